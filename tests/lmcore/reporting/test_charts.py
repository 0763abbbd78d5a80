"""Scales hold their values, ticks are round, and every position is inside the plot."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.reporting.charts import MAX_POINTS, Axis, axis, line_chart, nice, thin

VALUES = st.lists(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12),
    min_size=1,
    max_size=20,
)


def test_nice_numbers_are_those_of_the_source():
    assert [nice(v) for v in (0.9, 1, 1.1, 2, 2.2, 5, 5.1, 0.03)] == pytest.approx(
        [1, 1, 2, 2, 5, 5, 10, 0.05]
    )


def test_ticks_are_round_and_in_place():
    ticks = Axis(low=0, high=1000, unit="steps").ticks(6)
    assert [(tick.at, tick.label) for tick in ticks] == [
        (0, "0"),
        (20, "200"),
        (40, "400"),
        (60, "600"),
        (80, "800"),
        (100, "1,000"),
    ]
    labels = [tick.label for tick in Axis(low=1.4, high=1.75).ticks(8)]
    assert labels == ["1.40", "1.45", "1.50", "1.55", "1.60", "1.65", "1.70", "1.75"]


@given(VALUES)
@settings(deadline=None, max_examples=200)
def test_an_axis_holds_its_values_in_their_order(values):
    scale = axis(values)
    places = [scale.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    assert scale.low < min(values) <= max(values) < scale.high
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 8
    assert all(0 <= tick.at <= 100 for tick in ticks)


def test_thinning_keeps_the_mean_and_says_how_many_a_point_stands_for():
    points = [(float(i), math.sin(i)) for i in range(4 * MAX_POINTS)]
    kept, group = thin(points)
    assert (len(kept), group) == (MAX_POINTS, 4)
    assert kept[0] == pytest.approx((1.5, sum(math.sin(i) for i in range(4)) / 4))
    assert thin(points[:10]) == (points[:10], 1)


def test_a_line_chart_describes_itself():
    steps = Axis(low=0, high=20, unit="steps")
    chart = line_chart(
        [(0, 4.0), (10, 2.0), (20, 3.0)], name="loss", title="Loss", steps=steps, mark=(10, "kept")
    )
    assert chart is not None
    assert chart.description == ("From 4 at step 0 to 3 at step 20; lowest 2 at step 10.")
    assert chart.mark == (50, "kept")
    assert chart.line.points == "0,6.9 50,93.1 100,50"
    assert chart.line.dots[1] == (50, 93.1)
    assert line_chart([], name="loss", title="Loss", steps=steps) is None


def test_one_flat_value_has_an_axis():
    chart = line_chart([(3, 2.0)], name="loss", title="Loss", steps=Axis(low=0, high=3))
    assert chart is not None
    assert chart.line.dots == ((100, 50),)
