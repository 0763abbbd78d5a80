"""Slopes by hand, their bounds, and how often those hold the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.bias.slopes import centred, reliability, slope_interval, spread
from lmcore.evaluation.statistics.resampling import Resampling


def test_a_line_by_hand():
    x, group = [-1.0, 0.0, 1.0], ["a"] * 3
    assert spread(x, group) == pytest.approx(1.0)
    found = slope_interval(x, [1.0, 3.0, 5.0], group, resampling=Resampling(resamples=1000))
    assert found.value == pytest.approx(2.0)
    assert found.lower == pytest.approx(2.0)
    assert found.upper == pytest.approx(2.0)
    assert found.n == 3


def test_the_slope_is_per_standard_deviation():
    rng = np.random.default_rng(0)
    x, y, group = rng.normal(size=30), rng.normal(size=30), ["a"] * 30
    one = slope_interval(x, y, group, resampling=Resampling(resamples=1000))
    other = slope_interval(100 * x + 7, y, group, resampling=Resampling(resamples=1000))
    assert other.value == pytest.approx(one.value)
    assert other.upper == pytest.approx(one.upper)


def test_classes_have_means_of_their_own():
    x, group = [0.0, 1.0, 2.0, 100.0, 101.0, 102.0], ["a"] * 3 + ["b"] * 3
    y = [0.0, 1.0, 2.0, -50.0, -49.0, -48.0]
    assert centred(y, group).tolist() == [-1, 0, 1, -1, 0, 1]
    found = slope_interval(x, y, group, resampling=Resampling(resamples=1000))
    # The spread within classes: squares 4, freedom 6 - 2.
    assert spread(x, group) == pytest.approx(1.0)
    assert found.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("x", "y", "group"),
    [
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], ["a"] * 3),
        ([1.0, 2.0, np.nan], [1.0, 2.0, 3.0], ["a"] * 3),
        ([1.0, 2.0, 3.0], [1.0, 2.0, np.inf], ["a"] * 3),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], ["a", "a", "b"]),
        ([], [], []),
    ],
)
def test_what_has_no_slope_raises(x, y, group):
    with pytest.raises(EmptyEvaluationError):
        slope_interval(x, y, group, resampling=Resampling(resamples=1000))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 40))
def test_bounds_are_around_the_value_and_sums_add_up(seed, n):
    rng = np.random.default_rng(seed)
    x, one, other, group = *rng.normal(size=(3, n)), ["a"] * n
    first, second, both = (
        slope_interval(x, y, group, resampling=Resampling(resamples=1000))
        for y in (one, other, one - other)
    )
    assert both.value == pytest.approx(first.value - second.value, abs=1e-9)
    assert both.lower <= both.value <= both.upper


def test_each_bound_holds_the_truth_in_95_of_100_cases():
    # Twenty words whose noise grows with x: the case for which the robust error is made.
    rng, missed, trials = np.random.default_rng(1), 0, 400
    for trial in range(trials):
        x = rng.normal(size=20)
        y = 0.5 * x / 1.0 + rng.normal(size=20) * (0.3 + 0.5 * np.abs(x))
        found = slope_interval(x, y, ["a"] * 20, resampling=Resampling(resamples=1000, seed=trial))
        missed += found.upper < 0.5 * spread(x, ["a"] * 20)
    # 5 % of 400 is 20; three standard deviations more are 33.
    assert missed <= 33


def test_reliability_by_hand():
    group = ["a"] * 3
    assert reliability([-1.0, 0.0, 1.0], [0.25] * 3, group) == pytest.approx(0.75)
    assert reliability([-1.0, 0.0, 1.0], [9.0] * 3, group) == 0.0
    assert reliability([2.0, 2.0, 2.0], [0.1] * 3, group) == 0.0
