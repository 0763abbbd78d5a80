"""Draws of groups: as many as asked for, all in range, the same from the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.evaluation.statistics import resampling
from lmcore.evaluation.statistics.resampling import CONFIDENCE, STANDARD, Resampling, drawn_rows


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 9))
def test_every_draw_has_a_place_for_each_group(groups, resamples, seed):
    found = np.concatenate(
        [np.zeros((0, groups)), *drawn_rows(groups, resamples, Resampling(seed=seed).rng())]
    )
    assert found.shape == (resamples, groups)
    assert ((found >= 0) & (found < groups)).all()


def test_memory_is_bounded_by_slices_and_no_draw_is_lost(monkeypatch):
    monkeypatch.setattr(resampling, "_SLICE", 100)
    slices = list(drawn_rows(30, 10, Resampling().rng()))
    assert [part.shape for part in slices] == [(3, 30), (3, 30), (3, 30), (1, 30)]
    # More groups than a slice has places: a draw at a time.
    assert [part.shape for part in drawn_rows(101, 2, Resampling().rng())] == [(1, 101)] * 2


def test_groups_are_drawn_with_replacement_and_equally_often():
    (found,) = drawn_rows(10, 10_000, Resampling(seed=1).rng())
    # Ten draws of ten: the chance that one group is missing is 0.9 ** 10.
    missing = np.mean([(found != group).all(axis=1) for group in range(10)])
    assert missing == pytest.approx(0.9**10, abs=0.01)
    counts = np.bincount(found.ravel(), minlength=10)
    # Four standard deviations of a binomial with 100,000 trials at 0.1.
    assert abs(counts - 10_000).max() < 4 * np.sqrt(9_000)


def test_the_seed_decides_and_the_standard_is_zero():
    one, same, other = (Resampling(seed=s).rng().integers(0, 1 << 60) for s in (3, 3, 4))
    assert one == same != other
    assert Resampling() == STANDARD
    assert (STANDARD.seed, STANDARD.confidence) == (0, CONFIDENCE)
