"""What versions are made of: columns are averaged, and small parts are put together."""

import pytest

from lmcore.reporting.charts import Axis
from lmcore.reporting.dashboard.stacks import MAX_COLUMNS, MAX_PARTS, OTHERS, stacked_chart
from lmcore.reporting.dashboard.trends import version_axis


def test_columns_are_averaged_and_small_parts_are_put_together():
    rows = [(n, {f"part {i}": float(i + 1) for i in range(9)}) for n in range(1, 501)]
    chart = chart_of(rows)
    assert chart is not None
    assert len(chart.columns) == MAX_COLUMNS
    assert len(chart.legend) == MAX_PARTS
    assert chart.legend[-1] == (OTHERS, "10")
    assert sum(part.height for part in chart.columns[0].parts) == pytest.approx(100, abs=0.1)


def test_others_of_the_registry_and_of_the_chart_are_one_part():
    parts = {**{f"part {i}": float(i + 1) for i in range(7)}, OTHERS: 100.0}
    chart = chart_of([(1, parts)])
    assert [name for name, _ in chart.legend].count(OTHERS) == 1
    assert chart.legend[-1] == (OTHERS, "103")


def chart_of(rows):
    return stacked_chart(
        rows,
        title="t",
        summary="{label}",
        scale=Axis(low=0, high=45),
        ticks=(),
        steps=version_axis(n for n, _ in rows),
        shown=lambda value: f"{value:g}",
    )
