"""The gate `instrument` of a task: what is probed of a classifier and of a writer.

What decides is in `lmcore.evaluation.gates.instrument`.  Texts in a batch do not influence each
other, padding changes nothing, probabilities sum to one, later words of a target never change what
was predicted before them, no text names its own label, and the base model has not seen the text
that is judged on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import log_softmax

from lmcore.data.documents import Document
from lmcore.data.text.words import words_and_signs
from lmcore.data.tokens.borrowed import BASE_SPLIT
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.config import InstrumentLimits
from lmcore.evaluation.gates.instrument import Instrument, largest, total
from lmcore.evaluation.statistics.intervals import FloatArray
from lmcore.model.language_model import LanguageModel
from lmcore.tasks.labels import normal
from lmcore.tasks.learning.class_scores import class_logits
from lmcore.tasks.learning.classifier import TextClassifier
from lmcore.tasks.learning.examples import Example
from lmcore.tasks.prediction import Predictor

# Classified, and written: the latter takes as many readings as there are texts.
CLASSIFIED, WRITTEN = 16, 8


def probe_classifier(
    predictor: Predictor,
    judged: Sequence[Document],
    *,
    probabilities: FloatArray,
    seen_by_base: int,
    tokenizer_split: str,
    limits: InstrumentLimits,
) -> Instrument:
    """Probe a classifier.

    Args:
        predictor: It.
        judged: Held-out documents with their labels.
        probabilities: Its answers to them, [N, C].
        seen_by_base: Held-out documents that the base model was trained on, and left out.
        tokenizer_split: What the tokenizer was fitted on.
        limits: How many texts may name their label.
    """
    texts = [document.text for document in judged]
    own, other = own_label_share(texts, [normal(document.target) for document in judged])
    faults = []
    if own - other > limits.max_own_label_share:
        faults.append(
            f"{own:.0%} of the texts hold their own label as a word and {other:.0%} another one, so"
            " the label is read off"
        )
    return _instrument(
        {
            "the texts beside it change an answer": _classified_together(
                predictor, texts[:CLASSIFIED]
            ),
            "probabilities do not sum to one": largest([np.abs(probabilities.sum(axis=1) - 1)]),
        },
        faults=faults,
        seen_by_base=seen_by_base,
        tokenizer_split=tokenizer_split,
        facts={"documents": len(judged), "own_label": own, "other_label": other},
    )


def probe_writer(
    predictor: Predictor, judged: Sequence[Document], *, seen_by_base: int, tokenizer_split: str
) -> Instrument:
    """Probe a translator or summarizer; see `probe_classifier`."""
    some = judged[:WRITTEN]
    pairs = predictor.pairs(some)
    return _instrument(
        {
            "the texts beside it change an answer": _written_together(predictor, pairs),
            "probabilities do not sum to one": _total(predictor, pairs[:2]),
            "later words change earlier scores": _causality(predictor, pairs),
        },
        faults=[],
        seen_by_base=seen_by_base,
        tokenizer_split=tokenizer_split,
        facts={"documents": len(judged)},
    )


def _instrument(
    deviations: Mapping[str, float],
    *,
    faults: list[str],
    seen_by_base: int,
    tokenizer_split: str,
    facts: Mapping[str, Any],
) -> Instrument:
    came = tokenizer_split == BASE_SPLIT
    if tokenizer_split != "train" and not came:
        faults = [*faults, f"the tokenizer was fitted on {tokenizer_split!r}"]
    return Instrument(
        deviations=deviations,
        faults=faults,
        tokenizer="came with the model that was gone on from" if came else Instrument.tokenizer,
        note=(
            f" {seen_by_base} of the held-out documents were training text of the base model and"
            " are left out."
            if seen_by_base
            else ""
        ),
        facts={**facts, "seen_by_base": seen_by_base, "tokenizer_split": tokenizer_split},
    )


def _classified_together(predictor: Predictor, texts: Sequence[str]) -> float:
    """Largest change of a log-probability by the texts beside it and by padding.

    Before the temperature: where a model is sure of all texts, probabilities are one whatever
    changes.
    """
    model, end = predictor.model, predictor.tokenizer.end_id
    assert isinstance(model, TextClassifier)
    examples = predictor.encode(texts)
    together = class_logits(model, examples, end_id=end)
    alone = np.concatenate([class_logits(model, [example], end_id=end) for example in examples])
    return largest([np.abs(log_softmax(together, axis=1) - log_softmax(alone, axis=1))])


def _written_together(predictor: Predictor, pairs: Sequence[Example]) -> float:
    """Largest change of a token's nats by the streams beside it and by padding."""
    together, _ = predictor.target_nats(pairs)
    changes = []
    for row, pair in zip(together, pairs, strict=True):
        alone, _ = predictor.target_nats([pair])
        changes.append((row[: alone.shape[1]] - alone[0]).abs().max().item())
    return largest(changes)


def _causality(predictor: Predictor, pairs: Sequence[Example]) -> float:
    """Largest change of earlier nats when the last token of a target is another one."""
    changes = [0.0]
    for pair in pairs:
        if len(pair.target) < 2:
            continue
        other = pair.target.copy()
        other[-1] = _another(int(other[-1]), predictor.tokenizer)
        nats, _ = predictor.target_nats([pair, replace(pair, target=other)])
        # The changed token itself and the end behind it may differ.
        changes.append((nats[0, :-2] - nats[1, :-2]).abs().max().item())
    return largest(changes)


def _total(predictor: Predictor, pairs: Sequence[Example]) -> float:
    """How far the scores of what could follow are from probabilities that sum to one."""
    assert isinstance(predictor.model, LanguageModel)
    inputs = [predictor.stream([pair]).inputs[0] for pair in pairs]
    return largest([total(predictor.model, np.asarray(row, np.int64)) for row in inputs])


def _another(token: int, tokenizer: Tokenizer) -> int:
    """The token behind one, whichever the end token is, which this is not."""
    following = (token + 1) % tokenizer.vocab_size
    return (following + (following == tokenizer.end_id)) % tokenizer.vocab_size


def own_label_share(texts: Sequence[str], labels: Sequence[str]) -> tuple[float, float]:
    """How often a text holds its own label as a word, and how often another one.

    Returns:
        Share of the texts that hold their own label; mean share that hold a given other one.
    """
    spelt = {name: _spelt(name) for name in dict.fromkeys(labels)}
    own = other = 0
    for text, label in zip(texts, labels, strict=True):
        flat = _spelt(text)
        holds = [name for name, pieces in spelt.items() if pieces.strip() and pieces in flat]
        own += label in holds
        other += sum(name != label for name in holds)
    count = max(1, len(texts))
    return own / count, other / count / max(1, len(spelt) - 1)


def _spelt(text: str) -> str:
    """Words and signs of a text, whatever their case, each between blanks."""
    return f" {' '.join(words_and_signs(text.casefold()))} "
