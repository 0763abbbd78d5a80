"""Temperatures, factors and calibration errors against values computed by hand."""

import math

import numpy as np
import pytest

from lmcore.tasks.learning.calibration import calibration_error, fit_factors, fit_temperature


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
