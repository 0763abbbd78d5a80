"""Controls of the gate `competence`: models that have learnt nothing worth their cost."""

from __future__ import annotations

import copy

import torch

from lmcore.controls.bench import HEALTHY_EPOCHS, ControlBench, World
from lmcore.controls.control import Control
from lmcore.controls.damage import shuffled
from lmcore.data.documents import Document
from lmcore.evaluation.baselines.baselines import fit_baselines, validation_ids
from lmcore.evaluation.gates.competence import beginning_bar, competence, ngram_bars
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.scores.scoring import measured_bits
from lmcore.model.language_model import LanguageModel

# Of the random products: as LoRA has them, and how large beside the weights.
_RANK, _NOISE = 4, 0.4


def judge(
    bench: ControlBench, model: LanguageModel, *, began_with: LanguageModel | None = None
) -> GateResult:
    """Ask the gate about a model that reads with the healthy tokenizer.

    Args:
        bench: Of the seed.
        model: The candidate.
        began_with: What it began with, in the place of a pretrained model, which would take a
            library; None: random weights.
    """
    sound, limits = bench.sound, bench.gates.evaluation
    baseline = fit_baselines(
        bench.store,
        sound.documents,
        max_train_bytes=limits.max_baseline_bytes,
        max_validation_bytes=limits.max_validation_bytes,
    )
    scored = validation_ids(sound.documents, max_bytes=limits.max_validation_bytes)
    order = bench.gates.competence.baseline_order
    targets = [d for d in sound.targets if d.id in scored]
    table = sound.scores(model, targets)
    untouched = None if began_with is None else sound.scores(began_with, targets)
    return competence(
        measured_bits(table),
        [*ngram_bars({order: baseline.scores(order)}, order=order), *beginning_bar(untouched)],
        least_gain=-bench.gates.competence.max_difference_bits_per_byte,
        required=True,
        resampling=bench.resampling,
    )


def untrained(bench: ControlBench) -> GateResult:
    """Weights as they are drawn."""
    return judge(bench, bench.sound.untrained())


def shuffled_tokens(bench: ControlBench) -> GateResult:
    """Trained on the tokens of each document in random order."""
    return judge(bench, trained_on(bench, shuffled(bench)).train().load("best").eval())


def trained_on(bench: ControlBench, documents: list[Document]) -> World:
    """A world of damaged text that is read with the healthy tokenizer."""
    return bench.world(documents, tokenizer=bench.sound.tokenizer)


def healthy_model(bench: ControlBench) -> GateResult:
    """The healthy model."""
    return judge(bench, bench.healthy_model)


def noise_beside_a_sound_model(bench: ControlBench) -> GateResult:
    """A sound model with small random products beside its matrices: what was learnt is noise.

    It is still better than the n-gram, so that bar alone would let it through.
    """
    model = copy.deepcopy(bench.healthy_model)
    rng = torch.Generator().manual_seed(bench.seed)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() == 2:
                left = torch.randn(len(weights), _RANK, generator=rng)
                right = torch.randn(_RANK, weights.shape[1], generator=rng)
                scale = _NOISE * float(weights.std()) / _RANK**0.5
                weights.add_(left @ right, alpha=scale)
    return judge(bench, model, began_with=bench.healthy_model)


def nothing_learnt(bench: ControlBench) -> GateResult:
    """A sound model that is what it began with."""
    return judge(bench, bench.healthy_model, began_with=bench.healthy_model)


def learnt_further(bench: ControlBench) -> GateResult:
    """The healthy model, beside one that has had a quarter of its steps."""
    began = bench.sound.train(max_epochs=HEALTHY_EPOCHS / 4).load("best").eval()
    return judge(bench, bench.healthy_model, began_with=began)


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
        name="fine-tuning that learnt noise",
        kind="negative",
        run=noise_beside_a_sound_model,
        cost_seconds=0.5,
    ),
    Control(
        gate="competence",
        name="fine-tuning that changed nothing",
        kind="negative",
        run=nothing_learnt,
        cost_seconds=0.5,
    ),
    Control(
        gate="competence",
        name="better than what it began with",
        kind="healthy",
        run=learnt_further,
        cost_seconds=2.0,
    ),
    Control(
        gate="competence",
        name="healthy model",
        kind="healthy",
        run=healthy_model,
        cost_seconds=0.4,
    ),
)
