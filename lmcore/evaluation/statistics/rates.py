"""How sure a rate is when its trials come in clusters: passages of one document are alike.

In come hits by trial and the cluster of each, out come exact bounds on an *effective* number of
trials: the binomial variance over the variance between clusters, corrected for the few clusters
that it is estimated from.
Source: Korn and Graubard, Survey Methodology 24 (1998), with the recommendation of NCHS (Parker
et al., Vital and Health Statistics 2(175), 2017) for rates of zero, where nothing can be said of
clusters: the effective number is the number of trials.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, stdtrit

from lmcore.counted import counted
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.resampling import CONFIDENCE


def clustered_rate(
    hits: ArrayLike, cluster: ArrayLike, *, confidence: float = CONFIDENCE
) -> Interval:
    """Bounds of the share of hits among trials that come in clusters.

    Args:
        hits: Whether each trial is one, shape [N].
        cluster: Of each trial, shape [N].
        confidence: Of each of the two one-sided bounds.

    Raises:
        EmptyEvaluationError: With fewer than two clusters.
    """
    hit = np.asarray(hits, dtype=np.float64)
    _, member = np.unique(np.asarray(cluster), return_inverse=True)
    trials, clusters = len(hit), int(member.max(initial=-1)) + 1
    if clusters < 2:
        raise EmptyEvaluationError(
            f"{counted(trials, 'passage')} of {counted(clusters, 'document')} to measure a rate on;"
            " at least 2 documents are needed, add text"
        )
    rate = float(hit.mean())
    effective = float(trials)
    if 0 < rate < 1:
        excess = np.bincount(member, weights=hit - rate)
        variance = clusters / (clusters - 1) * float(excess @ excess) / trials**2
        shrink = (stdtrit(trials - 1, confidence) / stdtrit(clusters - 1, confidence)) ** 2
        if variance > 0:
            effective = min(effective, float(shrink) * rate * (1 - rate) / variance)
    count = effective * rate
    return Interval(
        value=rate,
        lower=float(betaincinv(count, effective - count + 1, 1 - confidence)) if count else 0.0,
        upper=(
            float(betaincinv(count + 1, effective - count, confidence))
            if effective > count
            else 1.0
        ),
        n=trials,
        confidence=confidence,
    )


def rate_difference(first: Interval, second: Interval) -> Interval:
    """Bounds of the difference of two independent rates from the bounds of each.

    Source: square-and-add, Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    value = first.value - second.value
    return Interval(
        value=value,
        lower=value - math.hypot(first.value - first.lower, second.upper - second.value),
        upper=value + math.hypot(first.upper - first.value, second.value - second.lower),
        n=min(first.n, second.n),
        confidence=first.confidence,
    )
