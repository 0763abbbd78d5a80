"""A measured value and its bounds as metrics of MLflow: `name`, `name_lower`, `name_upper`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BOUNDS = (("", "value"), ("_lower", "lower"), ("_upper", "upper"))


def with_bounds(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Metrics of a run by name; a bound that was not found is left out."""
    return {
        f"{name}{suffix}": float(metric[bound])
        for name, metric in metrics.items()
        for suffix, bound in _BOUNDS
        if metric.get(bound) is not None
    }
