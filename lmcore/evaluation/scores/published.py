"""The metrics of an evaluation under the names that every user of the project relies on.

In come tables of scores and the facts of a training run; out comes, for each name, its value,
its two one-sided 95 % bounds, its unit and how many independent documents are behind it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.resampling import Resampling


def contract_metrics(
    *,
    validation: ScoreTable,
    train: ScoreTable,
    baselines: Mapping[int, ScoreTable],
    beside: Mapping[str, ScoreTable] = MappingProxyType({}),
    facts: Mapping[str, Any],
    resampling: Resampling,
) -> dict[str, dict[str, Any]]:
    """Metrics under their contract names.

    A metric without documents is left out.  With a single document it has no interval.

    Args:
        validation: Scores of the model on validation.
        train: On consumed train text.
        baselines: Of the n-grams, by order, on the same validation documents.
        beside: Further tables of bits per byte, by the names of their metrics.
        facts: Summary of the checkpoint: params, train_tokens_per_second, steps.
        resampling: Of the bootstrap.

    Raises:
        EmptyEvaluationError: If validation is empty or a score is not finite.
    """
    validation.total_bits_per_byte()
    tables = {
        "val_bits_per_byte": validation,
        "train_bits_per_byte": train,
        "anchor_bits_per_byte": validation.select(validation.anchor),
        **{f"baseline_kn{k}_bits_per_byte": table for k, table in baselines.items()},
        **beside,
    }
    metrics = {
        name: _entry(_interval(table, resampling=resampling), table, "bits/byte")
        for name, table in tables.items()
        if len(table)
    }
    loss = validation.nats_per_token(resampling=resampling) if _has_interval(validation) else None
    metrics["val_loss_nats_per_token"] = _entry(loss, validation, "nats/token")
    if loss is None:
        value = float(validation.nll_nats.sum() / validation.num_tokens.sum())
        metrics["val_loss_nats_per_token"]["value"] = value
    for name, unit in (("train_tokens_per_second", "tokens/s"), ("params", "parameters")):
        if math.isfinite(value := float(facts.get(name, math.nan))):
            n = int(facts.get("steps", 1)) if unit == "tokens/s" else 1
            metrics[name] = _number(value, unit=unit, n=n)
    return metrics


def _has_interval(table: ScoreTable) -> bool:
    return len(set(table.cluster)) >= 2


def _interval(table: ScoreTable, *, resampling: Resampling) -> Interval | None:
    # With it comes a library of a second, which a run that finds nothing new has no use for.
    from lmcore.evaluation.scores.metrics import bits_per_byte

    return bits_per_byte(table, resampling=resampling) if _has_interval(table) else None


def _entry(interval: Interval | None, table: ScoreTable, unit: str) -> dict[str, Any]:
    if interval is None:
        return _number(table.total_bits_per_byte(), unit=unit, n=len(set(table.cluster)))
    return interval.as_metric(unit)


def _number(value: float, *, unit: str, n: int) -> dict[str, Any]:
    return {"value": value, "lower": None, "upper": None, "unit": unit, "n": n}
