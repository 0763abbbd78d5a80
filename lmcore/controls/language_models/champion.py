"""Controls of the gate `champion`: challengers that are no better, and some that are.

The margin that the gate asks for is the larger of a smallest gain and a multiple of the spread
between seeds.  These controls rest on the second alone, which is the sterner: `SEED_SIGMA` is that
spread for the bench's own model, so the gate is tried as it stands in a pipeline whose spread was
measured and that is content with any gain beyond it.
"""

from __future__ import annotations

from lmcore.controls.bench import ControlBench
from lmcore.controls.control import CHEAP_SEEDS, Control
from lmcore.controls.damage import with_noise
from lmcore.evaluation.gates.champion import Incumbent, Margin, champion
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE, measured_bits
from lmcore.evaluation.scores.table import ScoreTable

# Standard deviation of validation bits per byte between trainings of the bench's model that differ
# by the seed only, once they have settled: measured 0.0006, and a little room.
SEED_SIGMA = 0.001
# After the 1.5 epochs of the healthy model one training in six has not yet seen through the
# language, and lies 0.05 to 0.2 bits per byte behind: no spread of finished models.
_SETTLED_EPOCHS = 4.0
# Seeds of challengers lie beside those of benches, which are small numbers.
_OTHER_SEED = 1_000_003
_NOISE = 0.2
_SHORT = 0.3


def margin(bench: ControlBench) -> Margin:
    """The gate's limits with the spread of the bench's own models, and nothing beside it."""
    limits = bench.gates.champion.model_copy(
        update={"seed_sigma_bits_per_byte": SEED_SIGMA, "min_gain_bits_per_byte": 1e-9}
    )
    return Margin.of(bench.gates.model_copy(update={"champion": limits}), BITS_PER_BYTE)


def judge(bench: ControlBench, challenger: ScoreTable, incumbent: ScoreTable) -> GateResult:
    """Ask the gate about two models on the healthy validation documents."""
    rows = bench.sound.documents.iter_rows()
    known = {str(row["id"]): str(row["split"]) for row in rows}
    return champion(
        measured_bits(challenger),
        Incumbent(
            version=1,
            measured=measured_bits(incumbent),
            train_ids=frozenset(i for i, split in known.items() if split != "validation"),
            known_ids=frozenset(known),
        ),
        anchor=challenger.anchor,
        margin=margin(bench),
        required=True,
        resampling=bench.resampling,
    )


def new_seed(bench: ControlBench) -> GateResult:
    """The same configuration and data with another seed, both trained until they settle."""
    one, other = (
        bench.sound.scores(bench.sound.train(max_epochs=_SETTLED_EPOCHS, seed=seed).load("best"))
        for seed in (bench.seed, _OTHER_SEED + bench.seed)
    )
    return judge(bench, other, one)


def token_noise(bench: ControlBench) -> GateResult:
    """A challenger trained on text of which a fifth of the tokens are wrong."""
    documents = with_noise(bench, share=_NOISE)
    world = bench.world(documents, tokenizer=bench.sound.tokenizer)
    return judge(bench, bench.sound.scores(world.train().load("best")), bench.healthy_scores)


def identical(bench: ControlBench) -> GateResult:
    """The champion again."""
    again = bench.sound.scores(bench.healthy.load("best"))
    return judge(bench, again, bench.healthy_scores)


def better(bench: ControlBench) -> GateResult:
    """The healthy model against one that was trained a third as long."""
    stream = bench.sound.shards.stream("train")
    steps = max(1, round(_SHORT * len(stream) / bench.healthy.plan().tokens_per_step))
    short = bench.sound.train(max_steps=steps).load("best")
    return judge(bench, bench.healthy_scores, bench.sound.scores(short))


CONTROLS = (
    Control(
        gate="champion",
        name="same configuration, new seed",
        kind="negative",
        run=new_seed,
        expects=frozenset({"FAIL", "INCONCLUSIVE"}),
        tolerated=0.05,
        wanted_seeds=CHEAP_SEEDS,
        cost_seconds=10.0,
    ),
    Control(
        gate="champion",
        name="challenger with 20 % token noise",
        kind="negative",
        run=token_noise,
        cost_seconds=5.0,
    ),
    Control(
        gate="champion", name="identical model", kind="negative", run=identical, cost_seconds=0.4
    ),
    Control(
        gate="champion",
        name="truly better challenger",
        kind="healthy",
        run=better,
        cost_seconds=2.0,
    ),
)
