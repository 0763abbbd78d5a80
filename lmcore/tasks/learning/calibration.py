"""Probabilities that mean what they say: weights of a sum, one temperature, how far off they are.

Source: temperature scaling and the expected calibration error with bins of equal width, Guo et
al. 2017, arXiv:1706.04599.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

FloatArray = npt.NDArray[np.float64]

BINS = 15
_LOG_RANGE = (-2.5, 2.5)
# Fewer examples say less about the temperature than the value 1 does.
_MIN_EXAMPLES = 20
_PULL = 1.0


def fit_temperature(logits: FloatArray, labels: Sequence[int]) -> float:
    """The temperature with the least loss on held-out examples; 1 where there are few.

    Args:
        logits: Scores of the classes, [N, C].
        labels: Classes, [N].
    """
    if len(labels) < _MIN_EXAMPLES:
        return 1.0
    rows, chosen = np.arange(len(labels)), np.asarray(labels)

    def loss(log_temperature: float) -> float:
        scores = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scores[rows, chosen].mean())

    from scipy.optimize import minimize_scalar  # what only training needs

    found = minimize_scalar(loss, bounds=_LOG_RANGE, method="bounded")
    return round(float(np.exp(found.x)), 4)


def fit_factors(parts: Sequence[FloatArray], labels: Sequence[int]) -> list[float]:
    """How much each part of a sum of scores is worth on held-out examples: factors from zero on.

    What was learnt too little or by heart gets a small one.  A factor of one is worth the loss of
    an example or two, so that few examples change little; fewer than twenty, nothing.

    Args:
        parts: Scores of the classes, [N, C] each.
        labels: Classes, [N].
    """
    if len(labels) < _MIN_EXAMPLES:
        return [1.0] * len(parts)
    rows, wanted = np.arange(len(labels)), np.asarray(labels)
    stacked = np.stack(parts)

    def loss(factors: FloatArray) -> tuple[float, FloatArray]:
        scores = log_softmax(np.tensordot(factors, stacked, axes=1), axis=1)
        error = np.exp(scores)
        error[rows, wanted] -= 1
        slope = np.tensordot(stacked, error, axes=2) + 2 * _PULL * (factors - 1)
        return float(_PULL * ((factors - 1) ** 2).sum() - scores[rows, wanted].sum()), slope

    from scipy.optimize import minimize

    found = minimize(
        loss, np.ones(len(parts)), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(parts)
    )
    return [round(float(factor), 4) for factor in found.x]


def calibration_error(probabilities: FloatArray, labels: Sequence[int]) -> float:
    """Expected calibration error of the likeliest class, from 0 to 1.

    Args:
        probabilities: Of the classes, [N, C].
        labels: Classes, [N]; an unknown one is always an error.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == np.asarray(labels)
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    total = 0.0
    for number in range(BINS):
        inside = place == number
        if inside.any():
            total += inside.sum() * abs(confidence[inside].mean() - right[inside].mean())
    return float(total / len(confidence))
