"""Controls of the gate `overfitting`: models that know their training text by heart."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from lmcore.controls.bench import ROOMY, ControlBench, World
from lmcore.controls.control import Control
from lmcore.controls.damage import repeated
from lmcore.data.documents import Document
from lmcore.evaluation.gates.overfitting import FitLimits, fit_of_language, overfitting
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.memory.membership import SideNotes, membership_of
from lmcore.evaluation.scores.scoring import score_documents
from lmcore.training.checkpoint import Checkpoint, Which

_FEW = 6
_EPOCHS = 200
_TIMES = 50
_LONG_AFTER, _LOOKS = 30.0, 30
_PASSES = 4.0


def judge(
    bench: ControlBench, world: World, checkpoint: Checkpoint, *, kept: Which = "best"
) -> GateResult:
    """Ask the gate about a checkpoint, as the evaluation step does.

    Args:
        bench: Of the seed.
        world: What was learnt from.
        checkpoint: Its weights.
        kept: Which of them serve; `final`: the last ones, as where no better ones were kept.
    """
    sample = world.consumed(checkpoint)
    best = checkpoint.load(kept).eval()
    facts = checkpoint.summary
    same = kept == "final" or facts["final_weights_sha256"] == facts["weights_sha256"]
    seen, unseen = SideNotes(world.loaded.pieces), SideNotes(world.loaded.pieces)
    validation = score_documents(best, world.loaded, world.targets, on_scored=unseen.document)
    train = sample.scored_by(best, on_scored=seen.of_sample(sample))
    reference = world.reference(sample)
    fit = fit_of_language(
        validation,
        train,
        reference=reference,
        membership=membership_of(seen, unseen, reference),
        final=None if same else world.scores(checkpoint.load("final")),
        stopped_early=bool(facts["stopped_early"]),
    )
    return overfitting(
        fit,
        limits=FitLimits.of(bench.gates, fit.seen.metric),
        required=True,
        resampling=bench.resampling,
    )


def many_epochs(bench: ControlBench) -> GateResult:
    """200 epochs on 1 % of the data, and nothing that would stop them."""
    world = bench.world(_only(bench, _FEW), model=ROOMY)
    # One look at the tune split, at the end: so no earlier weights can be preferred.
    return judge(bench, world, world.train(max_epochs=_EPOCHS, evaluations=1))


def late_rise(bench: ControlBench) -> GateResult:
    """The same with the best weights kept, which know the few documents by heart too."""
    world = bench.world(_only(bench, _FEW), model=ROOMY)
    return judge(bench, world, world.train(max_epochs=_EPOCHS, evaluations=20, patience=20))


def repeated_documents(bench: ControlBench) -> GateResult:
    """Each train document 50 times under other names."""
    kept = _only(bench, 2 * _FEW)
    train = [document for document in kept if document.split == "train"]
    others = [document for document in kept if document.split != "train"]
    world = bench.world([*repeated(train, times=_TIMES), *others], model=ROOMY)
    return judge(bench, world, world.train(max_epochs=_PASSES, evaluations=1))


def early_stopped(bench: ControlBench) -> GateResult:
    """The healthy model."""
    return judge(bench, bench.sound, bench.healthy)


def stopped_in_time(bench: ControlBench) -> GateResult:
    """Many epochs on a quarter of the data, ended by the tune split once they stop helping."""
    train = [document for document in bench.corpus if document.split == "train"]
    world = bench.world(_only(bench, len(train) // 4))
    return judge(bench, world, world.train(max_epochs=20.0, evaluations=40, patience=3))


def long_after(bench: ControlBench, *, kept: Which) -> GateResult:
    """Nothing ends it once it stops helping: the best weights are sound, the last ones are not."""
    train = [document for document in bench.corpus if document.split == "train"]
    world = bench.world(_only(bench, len(train) // 4), model=ROOMY)
    checkpoint = world.train(max_epochs=_LONG_AFTER, evaluations=_LOOKS, patience=_LOOKS)
    return judge(bench, world, checkpoint, kept=kept)


def _only(bench: ControlBench, count: int) -> Sequence[Document]:
    """The corpus with only so many train documents."""
    train = [document for document in bench.corpus if document.split == "train"]
    return [*train[:count], *(d for d in bench.corpus if d.split != "train")]


CONTROLS = (
    Control(
        gate="overfitting",
        name="200 epochs on 1 % of the data",
        kind="negative",
        run=many_epochs,
        cost_seconds=6.0,
    ),
    Control(
        gate="overfitting",
        name="best of 200 epochs",
        kind="negative",
        run=late_rise,
        cost_seconds=7.0,
    ),
    Control(
        gate="overfitting",
        name="documents repeated 50 times",
        kind="negative",
        run=repeated_documents,
        cost_seconds=8.0,
    ),
    Control(
        gate="overfitting",
        name="trained on all of the data",
        kind="healthy",
        run=early_stopped,
        cost_seconds=0.5,
    ),
    Control(
        gate="overfitting",
        name="stopped early on a quarter of the data",
        kind="healthy",
        run=stopped_in_time,
        cost_seconds=6.0,
    ),
    Control(
        gate="overfitting",
        name="trained on long after, the last weights kept",
        kind="negative",
        run=functools.partial(long_after, kept="final"),
        cost_seconds=10.0,
    ),
    Control(
        gate="overfitting",
        name="the same, the best weights kept",
        kind="healthy",
        run=functools.partial(long_after, kept="best"),
        cost_seconds=10.0,
    ),
)
