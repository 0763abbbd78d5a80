"""A task on what it learnt from and on what it did not: accuracy, nats and the last weights."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from lmcore.controls.bench import make_document
from lmcore.tasks.gates.overfitting import (
    fit_of_classifier,
    fit_of_writer,
    label_nats,
    probabilities,
    target_loss,
)
from lmcore.tasks.labels import Labels
from lmcore.tasks.prediction import Predictor

ROWS = [(f"{'fine' if n % 2 else 'dull'} number {n}", "ny"[n % 2]) for n in range(60)]
LABELS = Labels(names=("n", "y"), shares=(0.5, 0.5))
LEARNT = [make_document(text, target=label) for text, label in ROWS]
JUDGED = [
    make_document("fine 100", target="y"),
    make_document("dull 101", target="n"),
    make_document("dull 102", target="y"),
    make_document("fine 103", target="other"),
]


def test_nats_are_those_of_the_right_class() -> None:
    table = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])
    found = label_nats(table, [1, 0, 1, -1])
    assert found[:2] == pytest.approx([math.log(4 / 3), math.log(2)])
    # No probability, and a class that is unknown, cost much and not infinitely much.
    assert found[2:] == pytest.approx([math.log(1e12)] * 2)


def test_a_classifier_is_compared_on_what_it_learnt_and_on_what_it_did_not(
    counting: Callable[..., Predictor],
) -> None:
    best = counting(ROWS, "best")
    table = probabilities(best, JUDGED)
    options = {"labels": LABELS, "learnt": LEARNT, "judged": JUDGED, "table": table}
    fit = fit_of_classifier(best, None, **options, stopped_early=False)
    assert (fit.seen.value, len(fit.seen)) == (1.0, 60)
    assert fit.unseen.each.tolist() == [1, 1, 0, 0]
    assert fit.seen.metric.name == "accuracy"
    assert fit.best.each == pytest.approx(label_nats(table, [1, 0, 1, -1]))
    assert (fit.last, fit.stopped_early) == (None, False)
    # The last weights learnt the opposite.
    last = counting([(text, "yn"[n % 2]) for n, (text, _) in enumerate(ROWS)], "last")
    worse = fit_of_classifier(best, last, **options, stopped_early=True)
    assert worse.last is not None
    assert worse.last.value > fit.best.value
    assert worse.best.value == fit.best.value
    assert worse.stopped_early


def test_the_loss_of_a_target_is_that_of_its_tokens(untrained_writer: Predictor) -> None:
    documents = [
        make_document("ab", target="xyz"),
        make_document("a longer source", target="z"),
        make_document("c", target=""),
    ]
    found = target_loss(untrained_writer, documents)
    (pair,) = untrained_writer.pairs(documents[:1])
    batch = untrained_writer.stream([pair])
    with torch.no_grad():
        logits, _ = untrained_writer.model(torch.from_numpy(batch.inputs), None)
    chosen = torch.log_softmax(logits[0].double(), dim=-1)
    # Behind the end token, two of the source and the separator: x, y, z and the end.
    nats = [-float(chosen[3 + n, token]) for n, token in enumerate((*b"xyz", 256))]
    assert found.each[0] == pytest.approx(sum(nats) / 4, rel=1e-4)
    assert found.sample.weights.tolist() == [4, 2, 1]
    assert found.metric.name == "val_loss_nats_per_target_token"
    # In whatever company and order.
    again = target_loss(untrained_writer, documents[::-1])
    assert again.each[::-1] == pytest.approx(found.each, rel=1e-4)


def test_a_writer_is_compared_by_what_targets_cost(untrained_writer: Predictor) -> None:
    learnt, judged = (
        [make_document(text, target=text) for text in texts] for texts in (("aa", "bb"), ("cc",))
    )
    fit = fit_of_writer(
        untrained_writer, untrained_writer, learnt=learnt, judged=judged, stopped_early=True
    )
    assert (len(fit.seen), len(fit.unseen)) == (2, 1)
    assert fit.best is fit.unseen
    assert fit.last is not None
    assert fit.last.value == fit.best.value
    assert fit.stopped_early
    alone = fit_of_writer(untrained_writer, None, learnt=learnt, judged=judged, stopped_early=False)
    assert replace(fit, last=None, stopped_early=False).unseen.value == alone.unseen.value
    assert alone.last is None
