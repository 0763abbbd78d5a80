"""The training log as charts over one axis of steps, and as a table.

In: rows of the log, some with the training loss, some with an evaluation.  Out: line charts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.reporting.charts import Axis, LineChart, line_chart
from lmcore.reporting.text import finite, number
from lmcore.reporting.version.facts import ReportData

# What a look at the tune split measures: of language modelling, of a task.
_LOOKS = {"tune_bits_per_byte": "bits per byte", "tune_loss_nats": "nats"}


def _look(row: Mapping[str, Any]) -> float | None:
    return next((v for key in _LOOKS if (v := finite(row.get(key))) is not None), None)


def curves(data: ReportData) -> list[LineChart]:
    """Training loss, bits per byte on the tune split and learning rate, over one axis of steps."""
    series = {
        key: [
            (step, value)
            for row in data.curve
            if (step := finite(row.get("step"))) is not None
            and (value := finite(row.get(key))) is not None
        ]
        for key in ("loss_nats", *_LOOKS, "learning_rate")
    }
    everything = [step for points in series.values() for step, _ in points]
    if not everything:
        return []
    planned = finite(data.plan.get("steps")) or 1
    steps = Axis(low=0, high=max(max(everything), planned), unit="steps")
    best = best_step(data)
    charts = [
        line_chart(
            series["loss_nats"],
            name="loss",
            title="Training loss, nats per " + ("label" if data.task == "sentiment" else "token"),
            steps=steps,
        ),
        *(
            line_chart(
                series[key],
                name="tune",
                title=f"Tune split, {unit}",
                steps=steps,
                mark=None if best is None else (best, f"kept: step {best:,.0f}"),
            )
            for key, unit in _LOOKS.items()
        ),
        line_chart(
            series["learning_rate"], name="rate", title="Learning rate", steps=steps, floor=0.0
        ),
    ]
    return [chart for chart in charts if chart]


def best_step(data: ReportData) -> float | None:
    """The step whose weights were kept."""
    if data.best_step is not None:
        return float(data.best_step)
    rows = [
        (value, step)
        for row in data.curve
        if (value := _look(row)) is not None and (step := finite(row.get("step"))) is not None
    ]
    return min(rows)[1] if rows else None


def curve_table(data: ReportData) -> list[tuple[str, str, str]]:
    """About twenty evaluations on the tune split: step, last training loss, bits per byte."""
    rows, loss = [], None
    for row in data.curve:
        loss = row.get("loss_nats", loss)
        if (value := _look(row)) is not None:
            step = number(row.get("step"), unit="steps")
            rows.append((step, number(loss), number(value)))
    stride = -(-len(rows) // 20) or 1
    kept = rows[::stride]
    return kept if not rows or kept[-1] == rows[-1] else [*kept, rows[-1]]
