"""The gate `overfitting` of a task: how good it is on what it learnt from, and on what it did not.

What decides is in `lmcore.evaluation.gates.overfitting`.  A classifier is asked how often it is
right, a writer what a token of a target costs; the late rise is one of the loss for both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmcore.data.documents import Document
from lmcore.evaluation.gates.overfitting import Fit
from lmcore.evaluation.statistics.intervals import FloatArray, Sample
from lmcore.evaluation.statistics.measured import Measured
from lmcore.model.language_model import LanguageModel
from lmcore.tasks.labels import Labels
from lmcore.tasks.learning.examples import side_by_side
from lmcore.tasks.measures.metrics import LOSS, TARGET_LOSS, accuracy, mean_of, measured
from lmcore.tasks.prediction import Predictor

_TINY = 1e-12


def fit_of_classifier(
    best: Predictor,
    last: Predictor | None,
    *,
    labels: Labels,
    learnt: Sequence[Document],
    judged: Sequence[Document],
    table: FloatArray,
    stopped_early: bool,
) -> Fit:
    """A classifier on both sides.

    Args:
        best: The weights that are judged.
        last: Those at the end of training; None where they are the best ones.
        labels: Its classes.
        learnt: Documents that the weights have read.
        judged: Held-out ones.
        table: Probabilities that the best weights give to their classes, [N, C].
        stopped_early: Whether training ended because it had stopped helping.
    """
    truth = labels.index(d.target for d in judged)

    def right(documents: Sequence[Document], found: FloatArray) -> Measured:
        wanted = labels.index(d.target for d in documents)
        return accuracy(documents, [int(c) for c in found.argmax(axis=1)], wanted)

    def loss(found: FloatArray) -> Measured:
        return mean_of(LOSS, judged, label_nats(found, truth))

    return Fit(
        seen=right(learnt, probabilities(best, learnt)),
        unseen=right(judged, table),
        best=loss(table),
        last=None if last is None else loss(probabilities(last, judged)),
        stopped_early=stopped_early,
    )


def fit_of_writer(
    best: Predictor,
    last: Predictor | None,
    *,
    learnt: Sequence[Document],
    judged: Sequence[Document],
    stopped_early: bool,
) -> Fit:
    """A writer on both sides; see `fit_of_classifier`."""
    unseen = target_loss(best, judged)
    return Fit(
        seen=target_loss(best, learnt),
        unseen=unseen,
        best=unseen,
        last=None if last is None else target_loss(last, judged),
        stopped_early=stopped_early,
    )


def probabilities(predictor: Predictor, documents: Sequence[Document]) -> FloatArray:
    """Of the classes of each document, [N, C]."""
    return predictor.probabilities(predictor.encode([d.text for d in documents]))


def label_nats(table: FloatArray, truth: Sequence[int]) -> FloatArray:
    """Nats of the right class; of an unknown one as if it had next to no probability."""
    found: FloatArray = np.array(
        [
            -np.log(np.maximum(_TINY, row[label] if label >= 0 else 0.0))
            for row, label in zip(table, truth, strict=True)
        ]
    )
    return found


def target_loss(predictor: Predictor, documents: Sequence[Document]) -> Measured:
    """Nats and tokens of each document's target."""
    assert isinstance(predictor.model, LanguageModel)
    examples, reading = predictor.pairs(documents), predictor.model.reading
    nats, tokens = np.zeros(len(examples)), np.zeros(len(examples))
    for members in side_by_side([e.num_tokens for e in examples], reading):
        found, weights = predictor.target_nats([examples[i] for i in members])
        nats[members] = (found * weights).sum(1).double().cpu().numpy()
        tokens[members] = weights.sum(1).double().cpu().numpy()
    return measured(TARGET_LOSS, documents, Sample.ratio(nats, np.maximum(tokens, 1)))
