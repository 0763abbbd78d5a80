"""Controls of the gate `champion` of tasks: challengers that are no better, and some that are.

Classifiers learn from reviews a tenth of which have the wrong label, so that nobody is right on all
of them.  Writers are made up of answers that are right or not; two that are equally good and right
on other sentences differ by luck alone, which is what a new seed is.
"""

from __future__ import annotations

import numpy as np

from lmcore.controls.bench import ControlBench
from lmcore.controls.control import CHEAP_SEEDS, Control
from lmcore.controls.tasks.competence import SIZES, answers_of, labels_of, reviewer
from lmcore.controls.tasks.corpora import BY_HEART, trained, write_pairs, write_reviews
from lmcore.data.documents import Document
from lmcore.evaluation.gates.champion import Incumbent, Margin, champion
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.inputs import ChampionInput
from lmcore.evaluation.statistics.measured import Measured
from lmcore.tasks.gates.champion import accuracy_of, version_beside
from lmcore.tasks.measures.metrics import accuracy, bleu

_OTHER_SEED = 1_000_003
_DAMAGED = 0.2
_NOISY = 0.25
_SENTENCES = 200
_RIGHT = 0.6
_BETTER = 0.85
_REMOVED = 5


def _ask(bench: ControlBench, challenger: Measured, incumbent: Incumbent | Measured) -> GateResult:
    if isinstance(incumbent, Measured):
        incumbent = Incumbent(version=1, measured=incumbent, known_ids=frozenset(challenger.id))
    return champion(
        challenger,
        incumbent,
        anchor=np.zeros(len(challenger), dtype=np.bool_),
        margin=Margin.of(bench.gates, challenger.metric),
        required=True,
        resampling=bench.resampling,
    )


def _reviewed(bench: ControlBench, *, damaged: float = 0.0) -> Measured:
    """How often the classifier is right, with so many of its answers flipped."""
    task = reviewer(bench)
    labels, judged = labels_of(task), task.documents("validation")
    answers = answers_of(bench, task, flipped=damaged)
    return accuracy(judged, answers, labels.index(d.target for d in judged))


def same_answers(bench: ControlBench) -> GateResult:
    """The champion again."""
    return _ask(bench, _reviewed(bench), _reviewed(bench))


def new_seed(bench: ControlBench) -> GateResult:
    """The same configuration and data with another seed, on labels of which many are wrong."""
    documents = write_reviews(bench, leaning=0.5, sizes=SIZES, wrong_labels=_NOISY)
    one, other = (
        trained(
            bench,
            "sentiment",
            documents,
            word_counts=False,
            model=BY_HEART,
            max_steps=120,
            seed=seed,
        )
        for seed in (bench.seed, _OTHER_SEED + bench.seed)
    )
    labels, judged = labels_of(one), one.documents("validation")
    return _ask(
        bench, accuracy_of(other.best, judged, labels), accuracy_of(one.best, judged, labels)
    )


def damaged(bench: ControlBench) -> GateResult:
    """A fifth of the answers are the other label."""
    return _ask(bench, _reviewed(bench, damaged=_DAMAGED), _reviewed(bench))


def better(bench: ControlBench) -> GateResult:
    """The sound classifier against a damaged one."""
    return _ask(bench, _reviewed(bench), _reviewed(bench, damaged=_DAMAGED))


def unreadable(bench: ControlBench) -> GateResult:
    """A champion whose files are gone."""
    ours = _reviewed(bench)
    gone = bench.folder / "gone"
    given = ChampionInput(version=1, weights=gone, tokenizer=gone, key="gone")
    found = version_beside(given, lambda _: ours)
    assert found is not None
    return _ask(bench, ours, found)


def worse_after_a_removal(bench: ControlBench) -> GateResult:
    """A damaged classifier that has the excuse of documents that were removed."""
    return _ask(bench, _reviewed(bench, damaged=_DAMAGED), _after_removal(_reviewed(bench)))


def equal_after_a_removal(bench: ControlBench) -> GateResult:
    """The champion again, after documents were removed."""
    return _ask(bench, _reviewed(bench), _after_removal(_reviewed(bench)))


def _after_removal(measured: Measured) -> Incumbent:
    return Incumbent(
        version=1, measured=measured, known_ids=frozenset(measured.id), removed=_REMOVED
    )


def _translated(bench: ControlBench, right: float, purpose: str) -> Measured:
    """BLEU of a writer that has so many sentences right, and of the others every second word."""
    judged: list[Document] = write_pairs(bench, sizes={"validation": _SENTENCES})
    rng = bench.rng(purpose)
    targets = [d.target or "" for d in judged]
    outputs = [t if rng.random() < right else " ".join(t.split()[::2]) for t in targets]
    return bleu(judged, outputs, targets)


def equally_good(bench: ControlBench) -> GateResult:
    """As good as the champion, and right on other sentences."""
    return _ask(bench, _translated(bench, _RIGHT, "one"), _translated(bench, _RIGHT, "other"))


def same_translations(bench: ControlBench) -> GateResult:
    """The champion's translations again."""
    return _ask(bench, _translated(bench, _RIGHT, "one"), _translated(bench, _RIGHT, "one"))


def worse_translations(bench: ControlBench) -> GateResult:
    """Fewer sentences right."""
    return _ask(bench, _translated(bench, _RIGHT, "one"), _translated(bench, _BETTER, "other"))


def better_translations(bench: ControlBench) -> GateResult:
    """More sentences right."""
    return _ask(bench, _translated(bench, _BETTER, "one"), _translated(bench, _RIGHT, "other"))


CONTROLS = (
    Control(
        gate="champion",
        name="classifier: the champion again",
        kind="negative",
        run=same_answers,
        cost_seconds=3.0,
    ),
    Control(
        gate="champion",
        name="classifier: same configuration, new seed",
        kind="negative",
        run=new_seed,
        expects=frozenset({"FAIL", "INCONCLUSIVE"}),
        tolerated=0.05,
        wanted_seeds=CHEAP_SEEDS,
        cost_seconds=4.0,
    ),
    Control(
        gate="champion",
        name="classifier: a fifth of the answers wrong",
        kind="negative",
        run=damaged,
        cost_seconds=0.6,
    ),
    Control(
        gate="champion",
        name="classifier: much worse after a removal",
        kind="negative",
        run=worse_after_a_removal,
        cost_seconds=0.6,
    ),
    Control(
        gate="champion",
        name="classifier: a champion that cannot be read",
        kind="negative",
        run=unreadable,
        expects=frozenset({"INCONCLUSIVE"}),
        cost_seconds=0.6,
    ),
    Control(
        gate="champion",
        name="classifier: truly better",
        kind="healthy",
        run=better,
        cost_seconds=0.6,
    ),
    Control(
        gate="champion",
        name="classifier: as good after a removal",
        kind="healthy",
        run=equal_after_a_removal,
        cost_seconds=0.6,
    ),
    Control(
        gate="champion",
        name="translator: the champion again",
        kind="negative",
        run=same_translations,
        cost_seconds=0.9,
    ),
    Control(
        gate="champion",
        name="translator: as good on other sentences",
        kind="negative",
        run=equally_good,
        expects=frozenset({"FAIL", "INCONCLUSIVE"}),
        tolerated=0.05,
        wanted_seeds=CHEAP_SEEDS,
        cost_seconds=0.9,
    ),
    Control(
        gate="champion",
        name="translator: fewer sentences right",
        kind="negative",
        run=worse_translations,
        cost_seconds=0.9,
    ),
    Control(
        gate="champion",
        name="translator: truly better",
        kind="healthy",
        run=better_translations,
        cost_seconds=0.9,
    ),
)
