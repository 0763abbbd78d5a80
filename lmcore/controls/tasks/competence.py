"""Controls of the gate `competence` of tasks: answers that are no better than something simple.

Three good reviews stand against each bad one, so that to guess is worse than always to give the
more frequent label.  Writers are made up of answers, as the gate reads nothing else of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from lmcore.controls.bench import ControlBench, make_document_set
from lmcore.controls.control import CHEAP_SEEDS, Control
from lmcore.controls.tasks.corpora import Trained, trained, write_pairs, write_reviews
from lmcore.data.documents import Document
from lmcore.evaluation.gates.competence import competence
from lmcore.evaluation.gates.result import GateResult
from lmcore.tasks.gates.competence import bars_of_classifier, bars_of_writer
from lmcore.tasks.gates.overfitting import probabilities
from lmcore.tasks.labels import Labels
from lmcore.tasks.measures.baselines import label_baselines, written_baselines
from lmcore.tasks.measures.metrics import accuracy, bleu

SIZES = {"train": 500, "tune": 60, "validation": 150}
GOOD = 0.75
WRONG_LABELS = 0.1
# So often a damaged classifier gives the other label: more than the linear model may be ahead.
_FLIPPED = 0.25
_PAIRS = {"train": 400, "tune": 40, "validation": 150}
_SURE = 0.6


def reviewer(bench: ControlBench) -> Trained:
    """A classifier of reviews, a tenth of which have the wrong label."""
    documents = write_reviews(bench, leaning=0.5, sizes=SIZES, wrong_labels=WRONG_LABELS, good=GOOD)
    return trained(bench, "sentiment", documents, max_steps=120)


def labels_of(task: Trained) -> Labels:
    """Its classes."""
    return Labels(names=task.best.record.labels, shares=task.best.record.shares)


def answers_of(bench: ControlBench, task: Trained, *, flipped: float = 0.0) -> list[int]:
    """Classes that it gives to the held-out texts, so many of them exchanged for the other one."""
    rng = bench.rng("flips")
    table = probabilities(task.best, task.documents("validation"))
    return [1 - int(c) if rng.random() < flipped else int(c) for c in table.argmax(axis=1)]


def _classified(bench: ControlBench, flipped: float | None) -> GateResult:
    """Ask about answers: the classifier's, so many of them flipped; None: the frequent label."""
    task = reviewer(bench)
    labels = labels_of(task)
    train, tune, judged = (task.documents(split) for split in SIZES)
    truth = labels.index(d.target for d in judged)
    simple = label_baselines(train, tune, judged, labels)
    answers = simple.common if flipped is None else answers_of(bench, task, flipped=flipped)
    return competence(
        accuracy(judged, answers, truth),
        bars_of_classifier(
            simple, judged, truth, max_deficit=bench.gates.tasks.max_accuracy_deficit
        ),
        required=True,
        resampling=bench.resampling,
    )


def frequent_label(bench: ControlBench) -> GateResult:
    """Always the most frequent label."""
    return _classified(bench, None)


def random_labels(bench: ControlBench) -> GateResult:
    """A coin."""
    return _classified(bench, 0.5)


def far_behind(bench: ControlBench) -> GateResult:
    """Better than the frequent label or not, and surely behind the linear model."""
    return _classified(bench, _FLIPPED)


def sound_classifier(bench: ControlBench) -> GateResult:
    """The classifier as it is."""
    return _classified(bench, 0.0)


def _written(bench: ControlBench, right: float, others: str) -> GateResult:
    """Ask about translations, so many of them right; the others are somebody else's."""
    pairs = write_pairs(bench, sizes=_PAIRS)
    corpus = make_document_set(bench.store, pairs)
    judged = [d for d in pairs if d.split == "validation"]
    beside = written_baselines("translation", corpus, judged)
    targets = [d.target or "" for d in judged]
    wrong = list(beside["baseline"].outputs) if others == "dictionary" else _shuffled(bench, judged)
    rng = bench.rng("writes")
    outputs = [t if rng.random() < right else w for t, w in zip(targets, wrong, strict=True)]
    return competence(
        bleu(judged, outputs, targets),
        bars_of_writer(
            beside, {key: bleu(judged, one.outputs, targets) for key, one in beside.items()}
        ),
        required=True,
        resampling=bench.resampling,
    )


def _shuffled(bench: ControlBench, judged: Sequence[Document]) -> list[str]:
    targets = [d.target or "" for d in judged]
    bench.rng("shuffles").shuffle(targets)
    return targets


def random_translations(bench: ControlBench) -> GateResult:
    """The translation of another sentence."""
    return _written(bench, 0.0, "shuffled")


def the_dictionary(bench: ControlBench) -> GateResult:
    """Word for word, as the bar is."""
    return _written(bench, 0.0, "dictionary")


def good_translations(bench: ControlBench) -> GateResult:
    """Most are right, the others word for word."""
    return _written(bench, _SURE, "dictionary")


CONTROLS = (
    Control(
        gate="competence",
        name="classifier: always the most frequent label",
        kind="negative",
        run=frequent_label,
        cost_seconds=3.0,
    ),
    Control(
        gate="competence",
        name="classifier: random answers",
        kind="negative",
        run=random_labels,
        cost_seconds=1.0,
    ),
    Control(
        gate="competence",
        name="classifier: far behind a linear model",
        kind="negative",
        run=far_behind,
        cost_seconds=1.0,
    ),
    Control(
        gate="competence",
        name="classifier: sound",
        kind="healthy",
        run=sound_classifier,
        cost_seconds=1.0,
    ),
    Control(
        gate="competence",
        name="translator: translations of other sentences",
        kind="negative",
        run=random_translations,
        wanted_seeds=CHEAP_SEEDS,
        cost_seconds=0.9,
    ),
    Control(
        gate="competence",
        name="translator: word for word",
        kind="negative",
        run=the_dictionary,
        cost_seconds=0.9,
    ),
    Control(
        gate="competence",
        name="translator: most sentences right",
        kind="healthy",
        run=good_translations,
        cost_seconds=0.9,
    ),
)
