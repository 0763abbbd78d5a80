"""Controls of the gate `competence`: models that have learnt nothing worth their cost."""

from __future__ import annotations

from lmcore.controls.bench import ControlBench, World
from lmcore.controls.control import Control
from lmcore.controls.damage import shuffled
from lmcore.data.documents import Document
from lmcore.evaluation.baselines.baselines import fit_baselines, validation_ids
from lmcore.evaluation.gates.competence import competence, ngram_bars
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.scores.scoring import measured_bits
from lmcore.model.factory import new_model
from lmcore.model.language_model import LanguageModel


def judge(bench: ControlBench, model: LanguageModel) -> GateResult:
    """Ask the gate about a model that reads with the healthy tokenizer."""
    sound, limits = bench.sound, bench.gates.evaluation
    baseline = fit_baselines(
        bench.store,
        sound.documents,
        max_train_bytes=limits.max_baseline_bytes,
        max_validation_bytes=limits.max_validation_bytes,
    )
    scored = validation_ids(sound.documents, max_bytes=limits.max_validation_bytes)
    order = bench.gates.competence.baseline_order
    table = sound.scores(model, [d for d in sound.targets if d.id in scored])
    return competence(
        measured_bits(table),
        ngram_bars({order: baseline.scores(order)}, order=order),
        least_gain=-bench.gates.competence.max_difference_bits_per_byte,
        required=True,
        resampling=bench.resampling,
    )


def untrained(bench: ControlBench) -> GateResult:
    """Weights as they are drawn."""
    tokenizer = bench.sound.loaded
    model = new_model(
        bench.sound.model,
        vocab_size=tokenizer.vocab_size,
        end_id=tokenizer.end_id,
        seed=bench.seed,
        device="cpu",
    )
    return judge(bench, model.eval())


def shuffled_tokens(bench: ControlBench) -> GateResult:
    """Trained on the tokens of each document in random order."""
    return judge(bench, trained_on(bench, shuffled(bench)).train().load("best").eval())


def trained_on(bench: ControlBench, documents: list[Document]) -> World:
    """A world of damaged text that is read with the healthy tokenizer."""
    return bench.world(documents, tokenizer=bench.sound.tokenizer)


def healthy_model(bench: ControlBench) -> GateResult:
    """The healthy model."""
    return judge(bench, bench.healthy_model)


CONTROLS = (
    Control(
        gate="competence", name="untrained model", kind="negative", run=untrained, cost_seconds=0.4
    ),
    Control(
        gate="competence",
        name="trained on shuffled tokens",
        kind="negative",
        run=shuffled_tokens,
        cost_seconds=4.0,
    ),
    Control(
        gate="competence",
        name="healthy model",
        kind="healthy",
        run=healthy_model,
        cost_seconds=0.4,
    ),
)
