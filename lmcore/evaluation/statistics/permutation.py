"""How often chance alone would make one model look as much better: p-values beside an interval.

They are shown and decide nothing: a bound decides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from lmcore.evaluation.statistics.intervals import cluster_sums, into_groups
from lmcore.evaluation.statistics.resampling import STANDARD, Resampling

_SLICE = 1 << 20


def sign_flip_p(
    difference: ArrayLike,
    cluster: ArrayLike | None = None,
    *,
    resampling: Resampling = STANDARD,
) -> float:
    """One-sided p for sum(difference) < 0: how often random signs of clusters do as well.

    Exact enumeration where 2^n is at most `resamples`, else Monte Carlo with the
    observed sample counted in, so never zero (Phipson and Smyth 2010).

    Raises:
        EmptyEvaluationError: With fewer than two clusters, or a value that is not finite.
    """
    rng, resamples = resampling.rng(), resampling.resamples
    values = np.asarray(difference, dtype=np.float64)[:, None]
    sums = into_groups(cluster_sums(values, cluster), rng)[:, 0]
    # Rounding must not turn the observed sum into one that beats itself.
    observed = sums.sum() + 1e-9 * np.abs(sums).sum()
    if 2 ** len(sums) <= resamples:
        bits = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean((1 - 2.0 * bits) @ sums <= observed))
    hits, size = 0, max(1, _SLICE // len(sums))
    for start in range(0, resamples, size):
        signs = rng.integers(0, 2, (min(size, resamples - start), len(sums)), dtype=np.int8)
        hits += int(np.count_nonzero((1.0 - 2.0 * signs) @ sums <= observed))
    return (1 + hits) / (1 + resamples)


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """Exact two-sided p of two models being right on the same documents equally often.

    Source: McNemar 1947, by the binomial distribution; 1 where they never differ.
    """
    one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    wins, losses = int((one & ~two).sum()), int((two & ~one).sum())
    # At a chance of one half both tails are the same; scipy.stats would take half a second.
    return min(1.0, 2.0 * float(bdtr(min(wins, losses), wins + losses, 0.5)))
