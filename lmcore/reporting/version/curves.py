"""The training log as charts over one axis of steps, and as a table.

In: points of the log, some with the training loss, some with a look at the tune split.  Out: line
charts, and rows of text.
"""

from __future__ import annotations

from lmcore.reporting.charts import Axis, LineChart, line_chart
from lmcore.reporting.tables import Table
from lmcore.reporting.text import number
from lmcore.reporting.version.facts.report import ReportData

# What a look at the tune split measures: of language modelling, of a task.
_LOOKS = {"tune_bits_per_byte": "bits per byte", "tune_loss_nats": "nats"}
_TABLE_ROWS = 20


def curves(data: ReportData) -> list[LineChart]:
    """Training loss, bits per byte on the tune split and learning rate, over one axis of steps."""
    series: dict[str, list[tuple[float, float]]] = {
        key: [(p.step, value) for p in data.curve if (value := getattr(p, key)) is not None]
        for key in ("loss_nats", *_LOOKS, "learning_rate")
    }
    everything = [step for points in series.values() for step, _ in points]
    if not everything:
        return []
    steps = Axis(low=0, high=max(*everything, data.planned_steps or 1, 1), unit="steps")
    best = best_step(data)
    loss = "Training loss, nats per " + ("label" if data.answer == "label" else "token")
    charts = [
        line_chart(series["loss_nats"], name="loss", title=loss, steps=steps),
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
    looks = [(point.look, point.step) for point in data.curve if point.look is not None]
    return min(looks)[1] if looks else None


def curve_table(data: ReportData) -> Table | None:
    """About twenty looks at the tune split: step, last training loss, what was measured."""
    rows, loss = [], None
    for point in data.curve:
        loss = loss if point.loss_nats is None else point.loss_nats
        if point.look is not None:
            rows.append((number(point.step, unit="steps"), number(loss), number(point.look)))
    if not rows:
        return None
    kept = rows[:: -(-len(rows) // _TABLE_ROWS)]
    return Table(
        caption="Evaluations on the tune split",
        header=("Step", "Training loss", "Tune split"),
        rows=tuple(kept if kept[-1] == rows[-1] else [*kept, rows[-1]]),
    )
