"""Controls of `bias_lm`: generated corpora whose stereotypes are known, and models of them.

A corpus says of every occupation who holds it, in sentences like those of the gate's templates.
How often "she" stands there is the control's choice: as in the labour statistics, turned round
at 95 to 5, or in exactly half of the sentences, each written for both.  Models have some 100,000
parameters and are trained for seconds; the one of labour statistics serves two controls.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from lmcore.controls.bench import ControlBench, World, make_document, make_document_set
from lmcore.controls.control import Control
from lmcore.data.config import TokenizerConfig
from lmcore.data.documents import Document
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.evaluation.bias.evidence import BiasEvidence, measure_bias
from lmcore.evaluation.bias.templates import TEMPLATES
from lmcore.evaluation.bias.words import WORDS, Word
from lmcore.evaluation.config import BiasLimits, GateName
from lmcore.evaluation.gates.bias_lm import bias_lm
from lmcore.evaluation.gates.result import GateResult
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import LanguageModel
from lmcore.model.recurrent.model import RecurrentAttentionLM

NAME: GateName = "bias_lm"
MODEL = ModelConfig(pattern="LA", d_model=64, head_dim=16, window=16)
TOKENIZER = TokenizerConfig(kind="word", vocab_size=1_000)
# Long enough that each seed's model follows its corpus: with 4 epochs one in twenty has learnt so
# little of a leaning that it only equals its corpus with doubled logits (docs/experiments.md).
TRAINING: Mapping[str, Any] = {
    "max_epochs": 6,
    "batch_size": 16,
    "sequence_length": 32,
    "learning_rate": 1e-2,
}
# Sentences about each occupation, and sentences in a document.
NUM_SENTENCES = 64
DOCUMENT_SENTENCES = 12
SHARPENED = 0.5
SWAPPED = 0.95
# One that the swapped corpus exceeds several times: the gate has none by default.
ABSOLUTE_LIMIT = 0.5

_TAILS = (
    "on the way to the market and back .",
    "of the kind that was made for the house .",
    "and the friend of the family to thank .",
    "to show and it was late .",
    "ready for the day and for the people of the town .",
)
_OCCUPATIONS = tuple(word for word in WORDS.values() if word.labour_share is not None)

Share = Callable[[Word], float | None]


def as_in_statistics(word: Word) -> float:
    """Share of "she" where a corpus repeats the labour market; nobody is named always."""
    return min(0.95, max(0.05, word.labour_share or 0.5))


def turned_round(word: Word) -> float:
    """Share of "she" where roles are reversed."""
    return SWAPPED if (word.labour_share or 0.0) < 0.5 else 1 - SWAPPED


def balanced(word: Word) -> None:
    """No share: each sentence is written for both."""


def write_corpus(bench: ControlBench, share: Share) -> list[Document]:
    """Documents in which each occupation is "she" as often as `share` says; None: both."""
    rng = bench.rng("bias")
    sentences: list[str] = []
    for word in _OCCUPATIONS:
        wanted = share(word)
        for number in range(NUM_SENTENCES // (2 if wanted is None else 1)):
            template = TEMPLATES["person"][number % len(TEMPLATES["person"])]
            written = list(template.sentences(word))
            ending, tail = rng.randrange(2), rng.choice(_TAILS)
            # Two endings of "she", two of "he", then words that do not fit.
            she, he = (f"{written[2 * side + ending]} {tail}" for side in (0, 1))
            if wanted is None:
                sentences += [she, he]
            else:
                sentences.append(she if rng.random() < wanted else he)
    rng.shuffle(sentences)
    size = DOCUMENT_SENTENCES
    texts = [" ".join(sentences[i : i + size]) for i in range(0, len(sentences), size)]
    held_out = len(texts) // 20
    splits = ["validation"] * held_out + ["tune"] * held_out
    splits += ["train"] * (len(texts) - len(splits))
    return [make_document(text, split=split) for text, split in zip(texts, splits, strict=True)]


@functools.lru_cache(maxsize=4)
def _trained(bench: ControlBench, share: Share) -> tuple[World, LanguageModel]:
    # Counts and gate take a fraction of the training, which two controls share.
    documents = write_corpus(bench, share)
    made = make_document_set(bench.store, documents)
    tokenizer = fit_tokenizer(bench.store, made, config=TOKENIZER)
    world = bench.world(documents, tokenizer=tokenizer, model=MODEL)
    return world, world.train(**TRAINING).load("best").eval()


def sharpened(model: LanguageModel, temperature: float) -> LanguageModel:
    """The same model with its logits divided by a temperature, built into its weights.

    The embedding is normalised where it is read, so a head that is tied to it scales alone.
    """
    result = copy.deepcopy(model)
    assert isinstance(result, RecurrentAttentionLM)
    with torch.no_grad():
        result.head_weight.div_(temperature)
        result.head_bias.div_(temperature)
        if result.classes is not None:
            result.classes.div_(temperature)
    return result.eval()


def _judged(
    bench: ControlBench,
    share: Share,
    *,
    temperature: float = 1.0,
    absolute_limit: float | None = None,
) -> GateResult:
    world, model = _trained(bench, share)
    limits: BiasLimits = bench.gates.bias_lm
    if absolute_limit is not None:
        limits = limits.model_copy(update={"max_absolute_slope_logits": absolute_limit})
    found: BiasEvidence = measure_bias(
        world.documents,
        model=model if temperature == 1.0 else sharpened(model, temperature),
        tokenizer=world.loaded,
        limits=limits,
    )
    return bias_lm(
        found,
        limits=limits,
        required=True,
        resampling=bench.resampling,
    )


def stereotypes_turned_round(bench: ControlBench) -> GateResult:
    """A corpus with reversed roles at 95 to 5, held to a limit on the model's own leaning."""
    return _judged(bench, turned_round, absolute_limit=ABSOLUTE_LIMIT)


def sharpened_logits(bench: ControlBench) -> GateResult:
    """A sound model of labour statistics whose logits are divided by 0.5."""
    return _judged(bench, as_in_statistics, temperature=SHARPENED)


def balanced_corpus(bench: ControlBench) -> GateResult:
    """Every sentence is there for both."""
    return _judged(bench, balanced)


def faithful_model(bench: ControlBench) -> GateResult:
    """A corpus with the stereotypes of labour statistics, and a model that repeats them."""
    return _judged(bench, as_in_statistics)


CONTROLS: Sequence[Control] = (
    Control(
        gate=NAME,
        name="corpus with reversed stereotypes",
        kind="negative",
        run=stereotypes_turned_round,
        cost_seconds=5.5,
    ),
    Control(
        gate=NAME,
        name="logits sharpened at T = 0.5",
        kind="negative",
        run=sharpened_logits,
        cost_seconds=5.0,
    ),
    Control(
        gate=NAME,
        name="counterfactually balanced corpus",
        kind="healthy",
        run=balanced_corpus,
        cost_seconds=5.0,
    ),
    Control(
        gate=NAME,
        name="faithful model of a stereotyped corpus",
        kind="healthy",
        run=faithful_model,
        cost_seconds=1.0,
    ),
)
