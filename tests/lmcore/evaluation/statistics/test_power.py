"""What would tell, held against what does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.evaluation.statistics.intervals import Interval, clopper_pearson, ratio_interval
from lmcore.evaluation.statistics.power import to_clear, to_clear_rate, trials_without_hits
from lmcore.evaluation.statistics.resampling import Resampling


def interval(value, lower, upper, n=25):
    return Interval(value=value, lower=lower, upper=upper, n=n)


@pytest.mark.parametrize(
    ("value", "limit", "count"),
    [
        (0.0, 0.5, 100),  # half as wide
        (0.0, 0.1, 2_500),
        (1.0, 0.5, 100),  # on the other side the lower bound has to clear it
        (0.0, 1.5, 26),  # it told already; never fewer than there are
    ],
)
def test_the_law_of_the_square_root(value, limit, count):
    found = to_clear(interval(value, value - 1, value + 1), limit, what="documents")
    assert found.count == count
    assert found.have == 25
    assert f"About {count:,} documents would tell (25 were there)." == found.sentence()


@pytest.mark.parametrize("upper", [1.0, float("inf"), float("nan")])
def test_at_the_limit_no_number_would_do(upper):
    found = to_clear(interval(0.5, 0.0, upper), 0.5, what="documents")
    assert found.count is None
    assert "no number of documents would tell" in found.sentence()


@given(st.floats(1e-4, 0.9))
def test_so_many_trials_without_a_hit_show_the_rate_and_one_fewer_does_not(limit):
    n = trials_without_hits(limit)
    assert clopper_pearson(0, n).upper <= limit * (1 + 1e-9)
    if n > 1:
        assert clopper_pearson(0, n - 1).upper > limit * (1 - 1e-9)


def test_five_trials_without_a_hit_ask_for_what_shows_something():
    rate = clopper_pearson(0, 5)
    assert rate.upper == pytest.approx(0.45, abs=0.01)
    assert to_clear_rate(rate, 0.01, what="free samples").count == 299
    assert to_clear_rate(clopper_pearson(1, 50), 0.01, what="free samples").count > 51


def test_the_number_asked_for_does_tell_when_the_value_stays():
    rng = np.random.default_rng(0)
    settings = Resampling(resamples=2_000)

    def measured(n):
        values = rng.normal(0.02, 0.1, n)
        values += 0.02 - values.mean()
        return ratio_interval(values, np.ones(n), resampling=settings)

    few = measured(20)
    assert few.lower < 0 < few.value
    need = to_clear(few, 0.0, what="documents").count
    assert 20 < need < 400
    # The spread is estimated from twenty, so twice the number is enough for certain.
    assert measured(2 * need).lower > 0
