"""The gate `instrument` of a task, and what it probes.

Texts in a batch do not influence each other, padding changes nothing, probabilities sum to one,
later words of a target never change what was predicted before them, no text names its own label,
and the base model has not seen the text that is judged on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import log_softmax

from lmcore.data.documents import Document
from lmcore.evaluation.config import InstrumentLimits
from lmcore.evaluation.gates.result import GateResult
from lmcore.model.language_model import RecurrentAttentionLM
from lmcore.tasks.judging.baselines import words
from lmcore.tasks.labels import normal
from lmcore.tasks.learning.classifier import TextClassifier
from lmcore.tasks.prediction import FloatArray, Predictor, class_logits
from lmcore.training.step import to_tensor

# Classified, and written: the latter takes as many readings as there are texts.
_CLASSIFIED, _WRITTEN = 16, 8


@dataclass(frozen=True, kw_only=True)
class InstrumentFacts:
    """What was probed.

    Attributes:
        neighbours: Largest change of a score by the texts beside it.
        probability_sum: Largest distance of a sum of probabilities from one.
        causality: Largest change of an earlier score by a later word; None: nothing is written.
        own_label: Share of texts that hold their own label as a word; None: no labels.
        other_label: Share that holds a given other label.
        seen_by_base: Judged documents that the base model was trained on.
        documents: Judged documents.
        tokenizer_split: What the tokenizer was fitted on.
    """

    neighbours: float
    probability_sum: float
    causality: float | None
    own_label: float | None
    other_label: float | None
    seen_by_base: int
    documents: int
    tokenizer_split: str


def instrument(facts: InstrumentFacts, *, limits: InstrumentLimits, required: bool) -> GateResult:
    """Can the measurement be trusted?"""
    problems = []
    exact = {
        "the texts beside it change an answer": facts.neighbours,
        "probabilities do not sum to one": facts.probability_sum,
        "later words change earlier scores": facts.causality or 0.0,
    }
    largest = max(exact.values())
    problems += [f"{what} (by {v:.2g})" for what, v in exact.items() if not v <= limits.tolerance]
    own, other = facts.own_label, facts.other_label
    if own is not None and other is not None and own - other > limits.max_own_label_share:
        problems.append(
            f"{own:.0%} of the texts hold their own label as a word and {other:.0%} another one, so"
            " the label is read off"
        )
    if facts.tokenizer_split != "train":
        problems.append(f"the tokenizer was fitted on {facts.tokenizer_split!r}")
    seen = facts.seen_by_base
    note = (
        f" {seen} of the held-out documents were training text of the base model and are left out."
        if seen
        else ""
    )
    return GateResult(
        gate="instrument",
        required=required,
        outcome="FAIL" if problems else "PASS",
        value=largest,
        limit=limits.tolerance,
        unit="nats",
        reason=(
            f"The measurement cannot be trusted: {'; '.join(problems)}.{note}"
            if problems
            else "The measurement can be trusted: a text is answered as if it were alone,"
            f" probabilities sum to one (all within {largest:.0e}), and no target is seen before"
            f" it is predicted.{note}"
        ),
        evidence=dict(facts.__dict__),
    )


def probe_classifier(
    predictor: Predictor,
    judged: Sequence[Document],
    *,
    probabilities: FloatArray,
    seen_by_base: int,
    tokenizer_split: str,
) -> InstrumentFacts:
    """Probe a classifier.

    Args:
        predictor: It.
        judged: Held-out documents with their labels.
        probabilities: Its answers to them, [N, C].
        seen_by_base: See `InstrumentFacts`.
        tokenizer_split: Likewise.
    """
    texts = [document.text for document in judged]
    own, other = own_label_share(texts, [normal(document.target) for document in judged])
    return InstrumentFacts(
        neighbours=_classified_together(predictor, texts[:_CLASSIFIED]),
        probability_sum=float(np.abs(probabilities.sum(axis=1) - 1).max()),
        causality=None,
        own_label=own,
        other_label=other,
        seen_by_base=seen_by_base,
        documents=len(judged),
        tokenizer_split=tokenizer_split,
    )


def probe_writer(
    predictor: Predictor, judged: Sequence[Document], *, seen_by_base: int, tokenizer_split: str
) -> InstrumentFacts:
    """Probe a translator or summarizer.

    Args:
        predictor: It.
        judged: Held-out documents with their targets.
        seen_by_base: See `InstrumentFacts`.
        tokenizer_split: Likewise.
    """
    some = judged[:_WRITTEN]
    return InstrumentFacts(
        neighbours=_written_together(predictor, some),
        probability_sum=_probability_sum(predictor, some),
        causality=_causality(predictor, some),
        own_label=None,
        other_label=None,
        seen_by_base=seen_by_base,
        documents=len(judged),
        tokenizer_split=tokenizer_split,
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
    return float(np.abs(log_softmax(together, axis=1) - log_softmax(alone, axis=1)).max())


def _written_together(predictor: Predictor, documents: Sequence[Document]) -> float:
    """Largest change of a token's nats by the streams beside it and by padding."""
    pairs = predictor.pairs(documents)
    together, _ = predictor.target_nats(pairs)
    largest = 0.0
    for row, pair in zip(together, pairs, strict=True):
        alone, _ = predictor.target_nats([pair])
        largest = max(largest, float((row[: alone.shape[1]] - alone[0]).abs().max()))
    return largest


def _causality(predictor: Predictor, documents: Sequence[Document]) -> float:
    """Largest change of earlier nats when the last token of a target is another one."""
    largest = 0.0
    for pair in predictor.pairs(documents):
        if len(pair.target) < 2:
            continue
        other = pair.target.copy()
        other[-1] = (other[-1] + 1) % predictor.tokenizer.end_id
        nats, _ = predictor.target_nats([pair, replace(pair, target=other)])
        # The changed token itself and the end behind it may differ.
        largest = max(largest, float((nats[0, :-2] - nats[1, :-2]).abs().max()))
    return largest


@torch.no_grad()
def _probability_sum(predictor: Predictor, documents: Sequence[Document]) -> float:
    model = predictor.model
    assert isinstance(model, RecurrentAttentionLM)
    batch = predictor.stream(predictor.pairs(documents)[:2])
    logits, _ = model(to_tensor(batch.inputs, model.embedding.weight.device))
    return float((logits.float().softmax(-1).sum(-1) - 1).abs().max())


def own_label_share(texts: Sequence[str], labels: Sequence[str]) -> tuple[float, float]:
    """How often a text holds its own label as a word, and how often another one.

    Returns:
        Share of the texts that hold their own label; mean share that hold a given other one.
    """
    names = [name.casefold() for name in dict.fromkeys(labels)]
    own = other = 0
    for text, label in zip(texts, labels, strict=True):
        found = Counter(words(text.casefold()))
        flat = f" {' '.join(found)} "
        holds = [name for name in names if found.get(name) or (" " in name and f" {name} " in flat)]
        own += label.casefold() in holds
        other += sum(name != label.casefold() for name in holds)
    count = max(1, len(texts))
    return own / count, other / count / max(1, len(names) - 1)
