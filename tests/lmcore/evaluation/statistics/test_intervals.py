import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.statistics.intervals import (
    MAX_GROUPS,
    Sample,
    clopper_pearson,
    independent_difference,
    interval,
    ratio_interval,
)
from lmcore.evaluation.statistics.resampling import Resampling


def test_value_is_the_ratio_of_sums():
    found = ratio_interval([1.0, 2.0, 6.0], [1, 1, 4], resampling=Resampling(resamples=1000))
    assert found.value == pytest.approx(1.5)
    assert found.lower < 1.5 < found.upper
    assert found.n == 3


def test_two_documents_use_students_t_by_hand():
    # Ratios 1 and 3 over one byte each: mean 2, standard error 1, t(1 df, 95 %) = 6.3138.
    found = ratio_interval([1.0, 3.0], [1.0, 1.0], resampling=Resampling(resamples=1000))
    assert found.upper == pytest.approx(2 + 6.3138, abs=1e-3)
    assert found.lower == pytest.approx(2 - 6.3138, abs=1e-3)


def test_near_copies_count_once():
    rng = np.random.default_rng(0)
    values = rng.normal(1, 0.3, 30)
    once = ratio_interval(values, np.ones(30), resampling=Resampling(resamples=2000))
    copies = ratio_interval(
        np.tile(values, 20),
        np.ones(600),
        np.tile(np.arange(30), 20),
        resampling=Resampling(resamples=2000),
    )
    naive = ratio_interval(np.tile(values, 20), np.ones(600), resampling=Resampling(resamples=2000))
    assert copies.n == 30
    assert copies.upper - copies.lower == pytest.approx(once.upper - once.lower, rel=0.05)
    assert naive.upper - naive.lower < 0.5 * (once.upper - once.lower)


def test_same_seed_same_bounds_and_cluster_names_do_not_matter():
    rng = np.random.default_rng(1)
    top, bottom = rng.normal(2, 1, 200), rng.integers(1, 9, 200)
    names = np.array([f"{i // 2:03d}" for i in range(200)])
    first = ratio_interval(top, bottom, names, resampling=Resampling(seed=3))
    assert first == ratio_interval(top, bottom, np.arange(200) // 2, resampling=Resampling(seed=3))
    assert first != ratio_interval(top, bottom, names, resampling=Resampling(seed=4))


def test_equal_models_differ_by_exactly_zero():
    found = ratio_interval(np.zeros(5), np.ones(5))
    assert (found.value, found.lower, found.upper) == (0, 0, 0)


def test_many_documents_agree_with_the_normal_bound():
    rng = np.random.default_rng(2)
    values = rng.normal(1, 0.5, 50_000)
    found = ratio_interval(values, np.ones(50_000))
    assert MAX_GROUPS < 50_000
    half_width = 1.645 * values.std() / math.sqrt(50_000)
    assert found.upper - found.value == pytest.approx(half_width, rel=0.08)
    assert found.value - found.lower == pytest.approx(half_width, rel=0.08)


@pytest.mark.parametrize("clusters", [5, 12, 40])
def test_each_bound_covers_the_truth_in_about_95_percent(clusters):
    # Documents of log-normal length whose bits per byte spread by 10 %: as real text does.
    rng = np.random.default_rng(clusters)
    trials, below, above = 400, 0, 0
    for trial in range(trials):
        size = rng.lognormal(8, 0.7, clusters)
        bits = size * rng.normal(1.5, 0.15, clusters)
        found = ratio_interval(bits, size, resampling=Resampling(resamples=1000, seed=trial))
        below += found.upper < 1.5
        above += found.lower > 1.5
    # 5 % of 400 is 20; 36 is its 99.9 % point. Far fewer would be a useless interval.
    for missed in (below, above):
        assert 4 <= missed <= 36


def test_difference_of_independent_samples_covers_and_centres():
    rng = np.random.default_rng(9)
    missed, trials = 0, 300
    for trial in range(trials):
        first = Sample.ratio(rng.normal(1.6, 0.1, 20), np.ones(20))
        second = Sample.ratio(rng.normal(1.2, 0.2, 9), np.ones(9))
        found = independent_difference(
            first, second, resampling=Resampling(resamples=1000, seed=trial)
        )
        missed += not found.lower <= 0.4 <= found.upper
    assert 12 <= missed <= 50  # two-sided 90 %: 30 expected


def test_difference_of_a_sample_with_itself_is_centred_on_zero():
    sums = Sample.ratio([1.0, 2.0, 3.0], [1, 1, 1])
    found = independent_difference(sums, sums, resampling=Resampling(resamples=1000))
    assert found.value == 0
    assert found.lower < 0 < found.upper
    constant = Sample.ratio([2.0, 2.0], [1, 1])
    exact = independent_difference(constant, constant, resampling=Resampling(resamples=1000))
    assert (exact.lower, exact.upper) == (0, 0)


@pytest.mark.parametrize(
    ("top", "bottom", "words"),
    [
        ([], [], "0 independent documents"),
        ([1.0], [1.0], "1 independent document to"),
        ([1.0, math.nan], [1, 1], "not finite"),
        ([1.0, math.inf], [1, 1], "not finite"),
        ([1.0, 1.0], [1, 0], "no bytes"),
        ([1.0, 1.0], [1], "shape"),
    ],
)
def test_nothing_to_measure_raises(top, bottom, words):
    with pytest.raises(EmptyEvaluationError, match=words):
        ratio_interval(top, bottom)


def test_one_cluster_of_many_documents_is_one_document():
    with pytest.raises(EmptyEvaluationError):
        ratio_interval([1.0, 2.0, 3.0], [1, 1, 1], ["a", "a", "a"])


def test_any_statistic_is_resampled_like_a_ratio_and_jackknifed_like_one():
    # The mean as a statistic that the code knows nothing about: the same draws, the same jackknife.
    rng = np.random.default_rng(3)
    values, cluster = rng.normal(1, 0.3, 60), np.arange(60) // 2
    how = Resampling(resamples=1000, seed=5)
    known = ratio_interval(values, np.ones(60), cluster, resampling=how)
    sums = np.stack([values, np.ones(60)], axis=1)
    unknown = Sample(sums=sums, score=lambda rows: rows[:, 0] / rows[:, 1], cluster=cluster)
    found = interval(unknown, resampling=how)
    assert found.lower == pytest.approx(known.lower)
    assert found.upper == pytest.approx(known.upper)
    assert (found.n, known.n) == (30, 30)


def test_clopper_pearson_known_values():
    # Zero hits: 1 - 0.05^(1/n); 299 documents show a rate of at most 1 %.
    assert clopper_pearson(0, 299).upper == pytest.approx(1 - 0.05 ** (1 / 299))
    assert clopper_pearson(0, 299).upper <= 0.01 < clopper_pearson(0, 298).upper
    assert clopper_pearson(20, 20).lower == pytest.approx(0.05 ** (1 / 20))
    assert clopper_pearson(0, 5).lower == 0
    assert clopper_pearson(5, 5).upper == 1
    with pytest.raises(EmptyEvaluationError):
        clopper_pearson(0, 0)
    with pytest.raises(EmptyEvaluationError):
        clopper_pearson(3, 2)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson_contains_the_rate(pair):
    hits, trials = pair
    found = clopper_pearson(hits, trials)
    assert 0 <= found.lower <= hits / trials <= found.upper <= 1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=30),
    st.floats(0.1, 10),
    st.integers(0, 5),
)
def test_scaling_both_sides_leaves_the_interval(values, factor, seed):
    top, bottom = np.array(values), np.ones(len(values))
    plain = ratio_interval(top, bottom, resampling=Resampling(resamples=1000, seed=seed))
    scaled = ratio_interval(
        top * factor, bottom * factor, resampling=Resampling(resamples=1000, seed=seed)
    )
    assert scaled.upper == pytest.approx(plain.upper, abs=1e-9)
    assert plain.lower <= plain.value + 1e-12
    assert plain.upper >= plain.value - 1e-12
