"""Slopes over words, with intervals that take whole words as the unit.

In come one x and one y for each word, and the class of each; out comes the slope of y on x, both
taken relative to their class, in units of y per standard deviation of x.

Two methods, and the wider bound of each side, as in `lmcore.evaluation.statistics.intervals`: the
bootstrap of words within their class (Freedman 1981, correlation model), and the
heteroscedasticity-robust standard error HC3 (MacKinnon and White 1985) with Student's t, without
which two dozen words would seem surer than they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.resampling import STANDARD, Resampling

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

MIN_CLASS = 3
_SLICE = 1 << 20


def centred(values: ArrayLike, group: Sequence[str]) -> FloatArray:
    """Values minus the mean of their class, shape [N]."""
    result = np.array(values, dtype=np.float64)
    for rows in _members(group):
        result[rows] -= result[rows].mean()
    return result


def spread(values: ArrayLike, group: Sequence[str]) -> float:
    """Standard deviation within classes."""
    within = centred(values, group)
    freedom = len(within) - len(set(group))
    return float(np.sqrt(within @ within / freedom)) if freedom > 0 else 0.0


def reliability(values: ArrayLike, variance: ArrayLike, group: Sequence[str]) -> float:
    """Share of the spread of noisy values that is not noise, from 0 to 1.

    Args:
        values: Shape [N].
        variance: Sampling variance of each.
        group: Class of each.
    Source: Spearman 1904, with the noise known instead of found by repetition.
    """
    total = spread(values, group) ** 2
    noise = float(np.mean(np.asarray(variance, dtype=np.float64)))
    return max(0.0, 1 - noise / total) if total > 0 else 0.0


def slope_interval(
    x: ArrayLike,
    y: ArrayLike,
    group: Sequence[str],
    *,
    resampling: Resampling = STANDARD,
) -> Interval:
    """Slope of y on x within classes, for one standard deviation of x.

    Args:
        x: Shape [N].
        y: Shape [N].
        group: Class of each word; a class needs `MIN_CLASS` words.
        resampling: Of the bootstrap.

    Raises:
        EmptyEvaluationError: If a value is not finite, a class is too small or x has no spread.
    """
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise EmptyEvaluationError("a word's leaning is not finite; look at the model's scores")
    members = list(_members(group))
    if not members or min(len(rows) for rows in members) < MIN_CLASS:
        raise EmptyEvaluationError(f"a slope needs {MIN_CLASS} words of each class")
    scale = spread(x, group)
    if scale <= 0:
        raise EmptyEvaluationError("all words lean alike, so there is no slope")
    a, b = centred(x, group) / scale, centred(y, group)
    value = float(a @ b / (a @ a))
    sizes = np.empty(len(a))
    for rows in members:
        sizes[rows] = len(rows)
    leverage = a**2 / (a @ a) + 1 / sizes
    score = a * (b - value * a) / np.maximum(1 - leverage, 1e-9)
    error = float(np.sqrt(score @ score) / (a @ a))
    reach = float(stdtrit(max(1, len(a) - len(members) - 1), resampling.confidence)) * error
    draws = np.concatenate(list(_draws(a, b, members, resampling.resamples, resampling.rng())))
    low, high = np.quantile(draws, [1 - resampling.confidence, resampling.confidence])
    return Interval(
        value=value,
        lower=float(min(low, value - reach)),
        upper=float(max(high, value + reach)),
        n=len(a),
    )


def _draws(
    a: FloatArray,
    b: FloatArray,
    members: Sequence[IntArray],
    resamples: int,
    rng: np.random.Generator,
) -> Iterator[FloatArray]:
    size = max(1, _SLICE // len(a))
    for start in range(0, resamples, size):
        number = min(size, resamples - start)
        top, bottom = np.zeros(number), np.zeros(number)
        for rows in members:
            drawn = rows[rng.integers(0, len(rows), (number, len(rows)))]
            x = a[drawn] - a[drawn].mean(axis=1, keepdims=True)
            top += (x * b[drawn]).sum(axis=1)
            bottom += (x * x).sum(axis=1)
        # A sample of one word only has no slope; it happens to nobody with enough words.
        keep = bottom > 1e-12
        yield top[keep] / bottom[keep]


def _members(group: Sequence[str]) -> Iterator[IntArray]:
    names = np.asarray(list(group), dtype=object)
    for name in sorted(set(group)):
        yield np.flatnonzero(names == name)
