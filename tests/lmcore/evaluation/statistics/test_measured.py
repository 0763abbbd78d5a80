"""Measured metrics: paired by document, whatever the statistic, with bounds that hold."""

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from lmcore.errors import EmptyEvaluationError, NotFiniteError
from lmcore.evaluation.statistics.intervals import Ratio, Sample
from lmcore.evaluation.statistics.measured import AlignmentError, Measured
from lmcore.evaluation.statistics.metric import Metric
from lmcore.evaluation.statistics.resampling import Resampling

SHARE = Metric(name="accuracy", title="Accuracy", unit="share", higher_is_better=True, places=".1%")
LOSS = Metric(name="loss", title="The loss", unit="nats", higher_is_better=False)
CORPUS = Metric(name="bleu", title="BLEU", unit="BLEU", higher_is_better=True, places=".1f")
HOW = Resampling(resamples=1000)
SCORER = BLEU(force=True)


def names(count: int) -> np.ndarray:
    return np.array([f"d{i:03d}" for i in range(count)], dtype=object)


def mean(metric: Metric, values: object) -> Measured:
    each = np.asarray(values, dtype=np.float64)
    return Measured(
        metric=metric, id=names(len(each)), sample=Sample.ratio(each, np.ones(len(each)))
    )


def bleu_of(rows: np.ndarray) -> np.ndarray:
    return np.array(
        [SCORER._compute_score_from_stats([round(v) for v in row]).score for row in rows]
    )


def corpus(counts: np.ndarray) -> Measured:
    sample = Sample(sums=counts, score=bleu_of, weight=counts[:, 1], slow=True)
    return Measured(metric=CORPUS, id=names(len(counts)), sample=sample)


def sentences(rng: np.random.Generator, count: int, skill: float) -> np.ndarray:
    """Counts of BLEU (lengths, matches, totals) for sentences of unlike length, unlike hard."""
    length = rng.integers(8, 30, count)
    chance = np.clip(rng.normal(skill, 0.12, count), 0.05, 0.98)
    totals = np.stack([np.maximum(length - n, 0) for n in range(4)], axis=1)
    matches = rng.binomial(totals, np.stack([chance ** (n + 1) for n in range(4)], axis=1))
    return np.column_stack([length, length, matches, totals]).astype(np.float64)


def test_a_difference_is_paired() -> None:
    one, other = mean(SHARE, [1, 1, 0, 1]), mean(SHARE, [1, 0, 0, 1])
    gain = one.minus(other, resampling=HOW)
    assert gain.value == 0.25
    assert gain.n == 4


def test_documents_are_found_again_in_any_order() -> None:
    one = mean(LOSS, [1.0, 2.0, 3.0, 5.0])
    other = one.select([3, 1, 0, 2])
    nothing = one.minus(other, resampling=HOW)
    assert (nothing.value, nothing.lower, nothing.upper) == (0, 0, 0)
    assert one.equals(other)
    with pytest.raises(AlignmentError, match="1 of 4 documents"):
        one.minus(other.select([0, 1, 2]), resampling=HOW)
    with pytest.raises(AlignmentError, match="measured in loss, the other in accuracy"):
        one.minus(mean(SHARE, [1, 0, 1, 0]), resampling=HOW)


def test_a_document_that_counts_for_another_size_is_another_document() -> None:
    one, other = (
        Measured(metric=LOSS, id=names(2), sample=Sample.ratio([1.0, 2.0], sizes))
        for sizes in ([3.0, 4.0], [3.0, 5.0])
    )
    with pytest.raises(AlignmentError, match="counts for 4 in one table and for 5"):
        one.minus(other)


def test_a_share_stays_a_share() -> None:
    found = mean(SHARE, [1, 1, 1, 0]).interval(resampling=HOW)
    assert found.upper == 1.0
    assert mean(LOSS, [1, 1, 1, 0]).interval(resampling=HOW).upper > 1.0


def test_chances_by_the_kind_of_the_metric() -> None:
    right, wrong = mean(SHARE, [1] * 5 + [0]), mean(SHARE, [0] * 6)
    # Five wins, no loss: one sign pattern of 32 does as well, counted twice for the tie.
    assert right.chances(wrong) == {"sign_flip_p": 1 / 32, "mcnemar_p": 2 / 32}
    better = mean(LOSS, [1.0, 2.0, 3.0]).chances(mean(LOSS, [2.0, 4.0, 6.0]))
    assert better == {"sign_flip_p": 1 / 8}
    counts = sentences(np.random.default_rng(0), 12, 0.6)
    assert corpus(counts).chances(corpus(counts)) == {}


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_value_that_is_not_a_number_is_told(broken: float) -> None:
    measured = mean(LOSS, [1.0, broken, 2.0])
    assert not measured.finite
    with pytest.raises(NotFiniteError, match=rf"not finite but {broken} \(1 of 3 documents\)"):
        measured.interval(resampling=HOW)
    with pytest.raises(NotFiniteError):
        mean(LOSS, [1.0, 1.0, 1.0]).minus(measured, resampling=HOW)


def test_one_cluster_has_no_interval() -> None:
    sample = Sample.ratio([1.0, 2.0], [1.0, 1.0], ["a", "a"])
    with pytest.raises(EmptyEvaluationError):
        Measured(metric=LOSS, id=names(2), sample=sample).interval()


@pytest.mark.parametrize("clusters", [12, 24, 200])
def test_bounds_of_bleu_hold_the_truth_in_about_95_percent(clusters: int) -> None:
    rng = np.random.default_rng(clusters)
    # As good as the truth: a corpus a thousand times as large.
    truth = float(bleu_of(sentences(rng, 200_000, 0.6).sum(axis=0, keepdims=True))[0])
    trials, below, above = 300, 0, 0
    for trial in range(trials):
        measured = corpus(sentences(rng, clusters, 0.6))
        found = measured.interval(resampling=Resampling(seed=trial, resamples=200))
        below += found.upper < truth
        above += found.lower > truth
    # 5 % of 300 is 15; 28 is its 99.9 % point. Far fewer would be a useless interval.
    for missed in (below, above):
        assert 2 <= missed <= 28, (below, above)


@pytest.mark.parametrize("clusters", [12, 24, 200])
def test_bounds_of_a_difference_in_bleu_hold_the_truth(clusters: int) -> None:
    rng = np.random.default_rng(100 + clusters)
    large = [sentences(rng, 200_000, skill).sum(axis=0, keepdims=True) for skill in (0.6, 0.55)]
    truth = float(bleu_of(large[0])[0] - bleu_of(large[1])[0])
    trials, below, above = 300, 0, 0
    for trial in range(trials):
        seed = int(rng.integers(1 << 30))
        # The same lengths and the same luck for both, as two models meet the same sentences.
        ours, theirs = (
            corpus(sentences(np.random.default_rng(seed), clusters, skill)) for skill in (0.6, 0.55)
        )
        found = ours.minus(theirs, resampling=Resampling(seed=trial, resamples=200))
        below += found.upper < truth
        above += found.lower > truth
    for missed in (below, above):
        assert missed <= 28, (below, above)


def test_a_percentile_interval_alone_would_not_hold_for_a_dozen() -> None:
    rng = np.random.default_rng(7)
    truth = float(bleu_of(sentences(rng, 200_000, 0.6).sum(axis=0, keepdims=True))[0])
    missed = 0
    for _ in range(300):
        counts = sentences(rng, 12, 0.6)
        rows = rng.integers(0, 12, (200, 12))
        draws = bleu_of(counts[rows].sum(axis=1))
        low, high = np.quantile(draws, [0.05, 0.95])
        missed += not low <= truth <= high
    # Two-sided 90 %: 30 of 300 expected, 46 is the 99.8 % point.
    assert missed > 46


def test_a_ratio_per_unit_is_divided_once() -> None:
    sample = Sample(sums=np.array([[2.0, 1.0], [4.0, 2.0]]), score=Ratio(per=2.0))
    assert Measured(metric=LOSS, id=names(2), sample=sample).interval().value == pytest.approx(1.0)
