"""What an evaluation leaves behind, and how the rest of the project reads it.

scores-validation.parquet   the model on validation
scores-train.parquet        the model on text that it was trained on
scores-final.parquet        the last weights on validation, where they are not the best ones
scores-champion.parquet     the champion on the same documents, where there is one
scores-kn5.parquet ...      the byte n-grams
gates.json  metrics.json  samples.json
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lmcore.artifacts import Handle
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.gates.result import GateResult, Verdict
from lmcore.evaluation.intervals import Interval
from lmcore.evaluation.metrics import bits_per_byte
from lmcore.evaluation.scores import ScoreTable

GATES_FILE = "gates.json"
METRICS_FILE = "metrics.json"
SAMPLES_FILE = "samples.json"


class EvalReport(Handle):
    """A finished evaluation.

    Summary: passed, outcome (of the required gates together), reason, gates (outcome by
    name), metrics (value by name), evaluation_hash, documents (scored), seconds by part.
    """

    kind: ClassVar[str] = "evaluation"

    def verdict(self) -> Verdict:
        """All gates' answers."""
        return Verdict(results=[GateResult.from_json(raw) for raw in self._read(GATES_FILE)])

    def metrics(self) -> dict[str, dict[str, Any]]:
        """Contract name to value, lower, upper, unit and n."""
        found: dict[str, dict[str, Any]] = self._read(METRICS_FILE)
        return found

    def samples(self) -> list[dict[str, Any]]:
        """Prompt, text, seed and temperature of each sample."""
        found: list[dict[str, Any]] = self._read(SAMPLES_FILE)
        return found

    def scores(self, name: str) -> ScoreTable:
        """One table: validation, train, final, champion, kn5, kn6 or kn8."""
        return ScoreTable.from_parquet(self.path / f"scores-{name}.parquet")

    def has_scores(self, name: str) -> bool:
        """Whether this evaluation has such a table."""
        return (self.path / f"scores-{name}.parquet").exists()

    def _read(self, name: str) -> Any:
        return json.loads((self.path / name).read_text(encoding="utf-8"))


def contract_metrics(
    *,
    validation: ScoreTable,
    train: ScoreTable,
    baselines: Mapping[int, ScoreTable],
    facts: Mapping[str, Any],
    seed: int,
    resamples: int,
) -> dict[str, dict[str, Any]]:
    """Metrics under their contract names.

    A metric without documents is left out.  With a single document it has no interval.

    Args:
        validation: Scores of the model on validation.
        train: On consumed train text.
        baselines: Of the n-grams, by order, on the same validation documents.
        facts: Summary of the checkpoint: params, train_tokens_per_second, steps.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Raises:
        EmptyEvaluationError: If validation is empty or a score is not finite.
    """
    options: dict[str, int] = {"seed": seed, "resamples": resamples}
    validation.total_bits_per_byte()
    tables = {
        "val_bits_per_byte": validation,
        "train_bits_per_byte": train,
        "anchor_bits_per_byte": validation.select(validation.anchor),
        **{f"baseline_kn{k}_bits_per_byte": table for k, table in baselines.items()},
    }
    metrics = {
        name: _entry(_interval(table, **options), table, "bits/byte")
        for name, table in tables.items()
        if len(table)
    }
    loss = validation.nats_per_token(**options) if _has_interval(validation) else None
    metrics["val_loss_nats_per_token"] = _entry(loss, validation, "nats/token")
    if loss is None:
        value = float(validation.nll_nats.sum() / validation.num_tokens.sum())
        metrics["val_loss_nats_per_token"]["value"] = value
    for name, unit in (("train_tokens_per_second", "tokens/s"), ("params", "parameters")):
        if math.isfinite(value := float(facts.get(name, math.nan))):
            n = int(facts.get("steps", 1)) if unit == "tokens/s" else 1
            metrics[name] = _number(value, unit=unit, n=n)
    return metrics


def write_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """JSON for people and programs: indented, no NaN.

    Raises:
        EmptyEvaluationError: If a number is not finite.
    """
    try:
        return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise EmptyEvaluationError(f"a result is not finite ({error})") from error


def _has_interval(table: ScoreTable) -> bool:
    return len(set(table.cluster)) >= 2


def _interval(table: ScoreTable, *, seed: int, resamples: int) -> Interval | None:
    return bits_per_byte(table, seed=seed, resamples=resamples) if _has_interval(table) else None


def _entry(interval: Interval | None, table: ScoreTable, unit: str) -> dict[str, Any]:
    if interval is None:
        return _number(table.total_bits_per_byte(), unit=unit, n=len(set(table.cluster)))
    return {
        "value": interval.value,
        "lower": interval.lower,
        "upper": interval.upper,
        "unit": unit,
        "n": interval.n,
    }


def _number(value: float, *, unit: str, n: int) -> dict[str, Any]:
    return {"value": value, "lower": None, "upper": None, "unit": unit, "n": n}
