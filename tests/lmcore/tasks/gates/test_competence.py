"""Which simple answers a task is held against, and which of them must be beaten."""

import numpy as np

from lmcore.controls.bench import make_document
from lmcore.evaluation.gates.competence import competence
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.gates.competence import bars_of_classifier, bars_of_writer
from lmcore.tasks.measures.baselines import LabelBaselines, Writer
from lmcore.tasks.measures.metrics import accuracy, mean_of
from lmcore.tasks.task import TRANSLATION

DOCUMENTS = [make_document(f"text {n}") for n in range(40)]
TRUTH = [n % 2 for n in range(40)]
# Always the second class; right in nine of ten.
SIMPLE = LabelBaselines(
    common=[1] * 40,
    linear=[1 - t if n < 4 else t for n, t in enumerate(TRUTH)],
    linear_table=np.zeros((40, 2)),
)


def test_a_classifier_has_to_beat_the_frequent_class_and_to_keep_up_with_words() -> None:
    majority, linear = bars_of_classifier(SIMPLE, DOCUMENTS, TRUTH, max_deficit=0.07)
    assert (majority.key, majority.measured.value) == ("majority", 0.5)
    assert (majority.must_be_beaten, majority.may_be_ahead) == (True, None)
    assert (linear.key, linear.measured.value) == ("linear", 0.9)
    assert (linear.must_be_beaten, linear.may_be_ahead) == (False, 0.07)


def test_those_bars_decide_as_the_gate_reads_them() -> None:
    bars = bars_of_classifier(SIMPLE, DOCUMENTS, TRUTH, max_deficit=0.05)

    def outcome(guess: list[int]) -> str:
        return competence(
            accuracy(DOCUMENTS, guess, TRUTH),
            bars,
            required=True,
            resampling=Resampling(resamples=1000),
        ).outcome

    assert outcome(TRUTH) == "PASS"
    assert outcome([1] * 40) != "PASS"
    # Surely better than a guess, and surely behind counted words.
    assert outcome([1 - t if n < 10 else t for n, t in enumerate(TRUTH)]) == "FAIL"


def test_a_writer_has_to_beat_the_first_and_the_others_are_reported() -> None:
    beside = {
        "baseline": Writer(name="a dictionary", outputs=[]),
        "baseline_copy": Writer(name="the source", outputs=[]),
    }
    measured = {
        name: mean_of(TRANSLATION.deciding, DOCUMENTS, np.full(40, value))
        for name, value in (("baseline_copy", 1.0), ("baseline", 2.0))
    }
    first, second = bars_of_writer(beside, measured)
    assert (first.key, first.name, first.measured.value) == ("baseline", "a dictionary", 2.0)
    assert first.must_be_beaten
    assert (second.key, second.measured.value) == ("baseline_copy", 1.0)
    assert (second.must_be_beaten, second.may_be_ahead) == (False, None)
