"""Advice `data_sufficiency`: would more text make a better model?

Statistic: by what share twice the text would lower the bits per byte on validation, predicted
from models trained as long on parts of it (25, 50 and 100 %).  Loss falls as a power of the amount
of text, b(D) = c D^-a, so each doubling gains the same share, 1 - 2^-a.  For amounts that
double from one to the next, the least-squares line through log b takes its slope from the
first and the last alone: with b1 and bn over d doublings the gain is 1 - (bn / b1)^(1/d).
PASS: its upper bound is within the limit; else WARN.  It never says FAIL: a model from too little
text can still be the best there is.

Source: the power law is that of Hestness et al., arXiv:1712.00409; the paired interval of the
ratio bn / b1 is that of all gates.
Deviation: no irreducible loss is fitted, which three amounts cannot tell from the slope.  Near it
the curve bends and the gain is overestimated, so the warning comes too early rather than too
late; the gain of the last doubling alone is reported beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import DataSufficiencyLimits
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.scores.scoring import measured_bits
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import Interval, ratio_interval
from lmcore.evaluation.statistics.resampling import STANDARD, Resampling

NAME = "data_sufficiency"
SHARES = (0.25, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """A model that was trained on a part of the text.

    Attributes:
        share: Of the train documents, up to 1.
        train_bytes: How much text that is.
        table: What the model says of validation.
    """

    share: float
    train_bytes: int
    table: ScoreTable


def data_sufficiency(
    curve: Sequence[CurvePoint] | None,
    *,
    limits: DataSufficiencyLimits,
    required: bool,
    resampling: Resampling = STANDARD,
) -> GateResult:
    """Predict what twice the text would bring.

    Args:
        curve: Models on ever more text, the last one on all of it; None where none were trained.
        limits: From which predicted gain on to warn.
        required: Part of the result; advice never blocks.
        resampling: Of the bootstrap.

    Raises:
        AlignmentError: If the models were not scored on the same documents.
        EmptyEvaluationError: With fewer than two amounts of text or two documents, or scores
            that are not finite.
    """
    if curve is None:
        return GateResult(
            gate=NAME,
            required=required,
            outcome="SKIPPED",
            reason=(
                "NOT_RUN: whether more text would help is seen by training on parts of it, which"
                " takes as long again twice; gates.data_sufficiency.enabled: true switches it on."
            ),
            evidence={"code": "NOT_RUN"},
        )
    points = sorted(curve, key=lambda point: point.train_bytes)
    if len(points) < 2 or points[0].train_bytes == points[-1].train_bytes:
        raise EmptyEvaluationError(
            f"{len(points)} amounts of text to draw a line through; at least 2 different ones"
        )
    first, last = points[0], points[-1]
    gain = _gain(first, last, resampling=resampling)
    recent = _gain(points[-2], last, resampling=resampling)
    limit = limits.max_predicted_gain
    enough = gain.upper <= limit
    bits = measured_bits(last.table).value
    sentence = (
        f"Twice the text ({2 * last.train_bytes:,} bytes) would bring about {gain.value:.1%} fewer"
        f" bits per byte (between {gain.lower:.1%} and {gain.upper:.1%}), from {bits:.3f} to"
        f" {bits * (1 - gain.value):.3f}"
    )
    advice = (
        f"at most {limit:.0%} is expected where there is enough: more text may be worth its cost"
    )
    return GateResult(
        gate=NAME,
        required=required,
        outcome="PASS" if enough else "WARN",
        value=gain.value,
        lower=gain.lower,
        upper=gain.upper,
        limit=limit,
        unit="share",
        reason=f"{sentence}; {'that is little' if enough else advice}.",
        evidence={
            "curve": [
                {
                    "share": point.share,
                    "train_bytes": point.train_bytes,
                    "bits_per_byte": measured_bits(point.table).value,
                }
                for point in points
            ],
            "predicted_gain": gain.to_json(),
            "gain_of_last_doubling": recent.to_json(),
        },
    )


def _gain(small: CurvePoint, large: CurvePoint, *, resampling: Resampling) -> Interval:
    """Share that a doubling saves between two amounts of text."""
    small_nats = large.table.aligned(small.table).nll_nats
    doublings = math.log2(large.train_bytes / small.train_bytes)
    ratio = ratio_interval(
        large.table.nll_nats, small_nats, large.table.cluster, resampling=resampling
    )
    # A jackknife bound may leave the positive numbers where documents are few.
    value, low, high = (
        1 - float(np.maximum(side, 0.0)) ** (1 / doublings)
        for side in (ratio.value, ratio.upper, ratio.lower)
    )
    return Interval(value=value, lower=low, upper=high, n=ratio.n)
