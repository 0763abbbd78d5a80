"""p-values by hand, and how often they are small where nothing differs."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.statistics.permutation import mcnemar, sign_flip_p
from lmcore.evaluation.statistics.resampling import Resampling


def test_mcnemar_is_exact():
    # Five wins, no loss: 2 * 0.5 ** 5.
    assert mcnemar([1] * 5 + [0], [0] * 6) == pytest.approx(2 * 0.5**5)
    assert mcnemar([1, 0], [1, 0]) == 1.0


def test_sign_flip_by_hand():
    # Three negative differences: only the observed signs of 8 are as low, so 1/8.
    assert sign_flip_p([-1.0, -2.0, -3.0]) == pytest.approx(1 / 8)
    # Sums over the signs of (1, 2, 3): observed 0 or below in 5 of 8.
    assert sign_flip_p([1.0, 2.0, -3.0]) == pytest.approx(5 / 8)
    assert sign_flip_p([-1.0, -1.0], ["a", "b"]) == pytest.approx(1 / 4)


def test_sign_flip_is_uniform_without_an_effect():
    rng = np.random.default_rng(5)
    p = [
        sign_flip_p(rng.normal(0, 1, 25), resampling=Resampling(resamples=500, seed=i))
        for i in range(300)
    ]
    assert 4 <= sum(value <= 0.05 for value in p) <= 29  # 15 expected
    assert min(p) > 0


def test_equal_models_are_never_told_apart():
    assert sign_flip_p(np.zeros(5)) == 1.0
    assert mcnemar([], []) == 1.0


def test_a_cluster_has_one_sign():
    # Two clusters with sums of -3 and -4, whatever the signs inside: one pattern of four.
    assert sign_flip_p([-5.0, 2.0, -4.0], ["a", "a", "b"]) == pytest.approx(1 / 4)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=8))
def test_the_exact_p_is_that_of_enumeration(values):
    sums = [np.dot(signs, values) for signs in itertools.product((1, -1), repeat=len(values))]
    expected = np.mean(np.array(sums) <= sum(values))
    assert sign_flip_p(values) == pytest.approx(expected)


def test_drawn_signs_agree_with_all_of_them_and_are_never_zero():
    values = np.random.default_rng(1).normal(-0.2, 1, 13)
    exact = sign_flip_p(values, resampling=Resampling(resamples=2**13))
    drawn = sign_flip_p(values, resampling=Resampling(resamples=2**13 - 1, seed=4))
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact / 2**13))
    assert drawn == sign_flip_p(values, resampling=Resampling(resamples=2**13 - 1, seed=4))
    # No sign pattern of a thousand does as well as this one: the observed one counts itself.
    assert sign_flip_p(-np.ones(60), resampling=Resampling(resamples=999)) == 1 / 1000


@pytest.mark.parametrize("values", [[], [-1.0], [-1.0, np.nan]])
def test_without_two_finite_documents_there_is_no_p(values):
    with pytest.raises(EmptyEvaluationError):
        sign_flip_p(values)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_mcnemar_is_symmetric_and_ignores_what_both_agree_on(pairs):
    first, second = zip(*pairs, strict=True)
    p = mcnemar(first, second)
    assert 0 < p <= 1
    assert mcnemar(second, first) == pytest.approx(p)
    assert mcnemar([*first, True, False], [*second, True, False]) == p


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test(wins, losses):
    first = [True] * wins + [False] * losses
    second = [False] * wins + [True] * losses
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(first, second) == pytest.approx(expected)
