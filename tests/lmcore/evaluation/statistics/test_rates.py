import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.statistics.intervals import Interval, clopper_pearson
from lmcore.evaluation.statistics.rates import clustered_rate, rate_difference


def test_without_hits_all_trials_count():
    found = clustered_rate([False] * 400, np.repeat(range(20), 20))
    assert found.upper == pytest.approx(clopper_pearson(0, 400).upper)
    assert (found.value, found.lower, found.n) == (0.0, 0.0, 400)


def test_hits_of_one_document_are_one_observation():
    hits = np.zeros(400, dtype=bool)
    hits[:20] = True  # a whole document
    spread = np.zeros(400, dtype=bool)
    spread[::20] = True  # one passage of each
    cluster = np.repeat(range(20), 20)
    together, apart = clustered_rate(hits, cluster), clustered_rate(spread, cluster)
    assert together.value == apart.value == 0.05
    # Alike within documents: as 20 trials with one hit, and no surer for 19 degrees of freedom.
    assert together.upper >= clopper_pearson(1, 20).upper
    assert apart.upper == pytest.approx(clopper_pearson(20, 400).upper)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_never_surer_than_independent_trials(trials):
    cluster, hits = zip(*trials, strict=True)
    if len(set(cluster)) < 2:
        with pytest.raises(EmptyEvaluationError, match="at least 2 documents"):
            clustered_rate(hits, cluster)
        return
    found = clustered_rate(hits, cluster)
    plain = clopper_pearson(sum(hits), len(hits))
    assert found.lower <= plain.lower + 1e-12
    assert found.upper >= plain.upper - 1e-12
    assert found.lower <= found.value <= found.upper


def test_a_difference_joins_the_bounds_of_both():
    first = Interval(value=0.10, lower=0.07, upper=0.14, n=100)
    second = Interval(value=0.05, lower=0.02, upper=0.06, n=50)
    found = rate_difference(first, second)
    assert found.value == pytest.approx(0.05)
    assert found.upper == pytest.approx(0.05 + 0.05)  # hypot(0.04, 0.03)
    assert found.lower == pytest.approx(0.05 - np.hypot(0.03, 0.01))
    assert found.n == 50
