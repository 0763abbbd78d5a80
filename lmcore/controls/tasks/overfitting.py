"""Controls of the gate `overfitting` of tasks: models that know their examples by heart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lmcore.controls.bench import ControlBench
from lmcore.controls.control import Control
from lmcore.controls.tasks.competence import labels_of, reviewer
from lmcore.controls.tasks.corpora import BY_HEART, Trained, trained, write_pairs, write_reviews
from lmcore.evaluation.gates.overfitting import Fit, FitLimits, overfitting
from lmcore.evaluation.gates.result import GateResult
from lmcore.tasks.gates.overfitting import fit_of_classifier, fit_of_writer, probabilities

_FEW = {"train": 120, "tune": 40, "validation": 120}
_PAIRS = {"train": 1_500, "tune": 60, "validation": 120}
_FEW_PAIRS = {"train": 60, "tune": 30, "validation": 120}


def _ask(bench: ControlBench, fit: Fit) -> GateResult:
    return overfitting(
        fit,
        limits=FitLimits.of(bench.gates, fit.seen.metric),
        required=True,
        resampling=bench.resampling,
    )


def _classifier(task: Trained) -> Fit:
    judged = task.documents("validation")
    return fit_of_classifier(
        task.best,
        task.last,
        labels=labels_of(task),
        learnt=task.documents("train"),
        judged=judged,
        table=probabilities(task.best, judged),
        stopped_early=bool(task.checkpoint.summary.get("stopped_early")),
    )


def _writer(task: Trained) -> Fit:
    return fit_of_writer(
        task.best,
        task.last,
        learnt=task.documents("train")[: _PAIRS["validation"]],
        judged=task.documents("validation"),
        stopped_early=bool(task.checkpoint.summary.get("stopped_early")),
    )


def _meaningless(bench: ControlBench) -> Trained:
    """A classifier of few texts whose labels mean nothing, learnt by heart."""
    documents = write_reviews(bench, leaning=0.5, sizes=_FEW, wrong_labels=0.5)
    # One look at the tune split, at the end: so no earlier weights can be preferred.
    # Beside counted words the tune split would take its weight from a network that knows by heart.
    return trained(
        bench,
        "sentiment",
        documents,
        word_counts=False,
        model=BY_HEART,
        max_steps=250,
        evaluations=1,
    )


def labels_by_heart(bench: ControlBench) -> GateResult:
    """Labels that mean nothing can be learnt by heart only."""
    return _ask(bench, _classifier(_meaningless(bench)))


def _few_pairs(bench: ControlBench, **training: Any) -> Trained:
    """A translator of sixty sentences."""
    documents = write_pairs(bench, sizes=_FEW_PAIRS)
    options = {"max_steps": 250, "learning_rate": 1e-2, **training}
    return trained(bench, "translation", documents, model=BY_HEART, **options)


def pairs_by_heart(bench: ControlBench) -> GateResult:
    """Long after it knew them."""
    return _ask(bench, _writer(_few_pairs(bench, evaluations=1)))


def late_rise(bench: ControlBench) -> GateResult:
    """Training went on until sixty sentences were known by heart, and earlier weights serve."""
    fit = _writer(_few_pairs(bench, evaluations=10, patience=20))
    # Only the late rise is tried: the gap of weights from the middle may be either.
    return _ask(bench, replace(fit, seen=fit.unseen))


def sound_classifier(bench: ControlBench) -> GateResult:
    """A classifier of many texts, a tenth of which have the wrong label."""
    return _ask(bench, _classifier(reviewer(bench)))


def sound_translator(bench: ControlBench) -> GateResult:
    """A translator of many sentences."""
    task = trained(
        bench,
        "translation",
        write_pairs(bench, sizes=_PAIRS),
        max_steps=200,
        learning_rate=1e-2,
    )
    return _ask(bench, _writer(task))


CONTROLS = (
    Control(
        gate="overfitting",
        name="classifier: labels that mean nothing, by heart",
        kind="negative",
        run=labels_by_heart,
        cost_seconds=5.0,
    ),
    Control(
        gate="overfitting",
        name="classifier: sound",
        kind="healthy",
        run=sound_classifier,
        cost_seconds=3.0,
    ),
    Control(
        gate="overfitting",
        name="translator: sixty sentences by heart",
        kind="negative",
        run=pairs_by_heart,
        cost_seconds=7.0,
    ),
    Control(
        gate="overfitting",
        name="translator: trained on long after, the best weights kept",
        kind="healthy",
        run=late_rise,
        cost_seconds=3.0,
    ),
    Control(
        gate="overfitting",
        name="translator: sound",
        kind="healthy",
        run=sound_translator,
        cost_seconds=7.0,
    ),
)
