"""Measured values as every JSON answer writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmcore.evaluation.statistics.intervals import Interval


def metric(interval: Interval, unit: str) -> dict[str, Any]:
    """Value, bounds, unit, and how many independent things are behind it."""
    return {
        "value": interval.value,
        "lower": interval.lower,
        "upper": interval.upper,
        "unit": unit,
        "n": interval.n,
    }
