"""Metrics of tasks against values computed by hand, by scikit-learn and by sacrebleu itself."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sklearn.metrics import f1_score

from lmcore.data.documents import Document
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.learning.calibration import calibration_error, fit_factors, fit_temperature
from lmcore.tasks.measures import metrics

RNG = np.random.default_rng(0)


HOW = Resampling(resamples=1000)


def documents(count: int, targets: Sequence[str] = ()) -> list[Document]:
    facts = {"name": "x", "source": 0, "license": "CC0-1.0", "origin": "", "split": "validation"}
    return [
        Document(
            id=f"d{i}",
            text=f"text {i}",
            cluster=f"c{i}",
            num_bytes=6,
            anchor=False,
            target=targets[i] if targets else None,
            **facts,
        )
        for i in range(count)
    ]


def test_accuracy_by_hand() -> None:
    found = metrics.accuracy(documents(4), [0, 1, 1, 0], [0, 1, 0, -1])
    assert found.value == 0.5
    assert found.each.tolist() == [1, 1, 0, 0]
    interval = found.interval(resampling=HOW)
    assert interval.lower < 0.5 < interval.upper
    assert interval.n == 4


def test_macro_f1_is_that_of_scikit_learn() -> None:
    truth, guess = RNG.integers(0, 4, 200), RNG.integers(0, 4, 200)
    found = metrics.macro_f1(documents(200), guess.tolist(), truth.tolist(), num_labels=5)
    assert found.value == pytest.approx(f1_score(truth, guess, average="macro"))
    interval = found.interval(resampling=HOW)
    assert interval.lower < found.value < interval.upper


def test_macro_f1_by_hand() -> None:
    # Class 0: 1 hit, 2 guesses, 1 real -> 2/3; class 1: 1 hit, 1 guess, 2 real -> 2/3.
    found = metrics.macro_f1(documents(3), [0, 0, 1], [0, 1, 1], num_labels=2)
    assert found.value == pytest.approx(2 / 3)
    nothing = found.minus(found, resampling=HOW)
    assert (nothing.value, nothing.lower, nothing.upper) == (0, 0, 0)


def test_bleu_and_chrf_are_those_of_sacrebleu() -> None:
    outputs = ["the cat sat on the mat", "a dog ran home", "birds sing in the trees at dawn"]
    references = ["the cat sat on a mat", "the dog ran home", "birds sing at dawn in the trees"]
    found = metrics.of_written("translation", documents(3, references), outputs)
    bleu, chrf = found
    assert [m.metric.name for m in found] == ["bleu", "chrf"]
    assert bleu.value == pytest.approx(BLEU().corpus_score(outputs, [references]).score)
    assert chrf.value == pytest.approx(CHRF().corpus_score(outputs, [references]).score)
    assert "tok:13a" in bleu.signature
    one = CHRF().corpus_score(outputs[:1], [references[:1]]).score
    assert chrf.each[0] == pytest.approx(one)
    # A document counts for the length of its reference: words, and characters without blanks.
    assert bleu.sample.weights.tolist() == [6, 4, 7]
    assert chrf.sample.weights.tolist() == [15, 13, 25]
    perfect = metrics.bleu(documents(3), references, references)
    assert perfect.value == pytest.approx(100)
    gain = perfect.minus(bleu, resampling=HOW)
    assert gain.value == pytest.approx(100 - bleu.value)
    assert gain.lower <= gain.value <= gain.upper


def test_rouge_by_hand() -> None:
    one, two, longest = metrics.of_written("summarization", documents(1, ["a b x d"]), ["a b c d"])
    assert one.value == pytest.approx(3 / 4)
    assert two.value == pytest.approx(1 / 3)
    assert longest.value == pytest.approx(3 / 4)
    assert [m.metric.title for m in (one, two, longest)] == ["ROUGE-1", "ROUGE-2", "ROUGE-L"]


def test_calibration() -> None:
    # Says 75 % four times and is right three times; says 95 % once and is wrong.
    table = np.array([[0.75, 0.25]] * 4 + [[0.95, 0.05]])
    assert calibration_error(table, [0, 0, 0, 1, 1]) == pytest.approx(0.95 / 5)
    labels = [0] * 30 + [1] * 10
    temperature = fit_temperature(np.tile([[4.0, 0.0]], (40, 1)), labels)
    # Three in four are right, so the log-odds should be log 3.
    assert 4.0 / temperature == pytest.approx(np.log(3), rel=1e-2)
    assert fit_temperature(np.zeros((3, 2)), [0, 1, 0]) == 1.0


def test_a_part_of_a_sum_counts_for_what_it_is_worth() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, size=3000)
    sign = np.where(labels == 1, 1.0, -1.0) * np.where(rng.random(3000) < 0.8, 1, -1)
    sure = np.stack([-sign, sign], axis=1)
    noise = rng.normal(size=(3000, 2)) * 3
    of_sure, of_noise = fit_factors([sure, noise], labels.tolist())
    # Right in 80 %: log-odds of log(0.8 / 0.2), of which the scores differ by 2.
    assert of_sure == pytest.approx(math.log(4) / 2, abs=0.05)
    assert of_noise < 0.05
    # What is surely wrong gets nothing, not less.
    assert fit_factors([-sure], labels.tolist()) == [0.0]
    # Few examples leave it near one, very few at one.
    few = fit_factors([sure[:25], noise[:25]], labels[:25].tolist())
    assert 0.3 < few[0] < 1.5
    assert fit_factors([sure[:19], noise[:19]], labels[:19].tolist()) == [1.0, 1.0]
