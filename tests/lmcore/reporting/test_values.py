"""What is no number, text or list is nothing, and nothing raises."""

from datetime import UTC, datetime

import pytest

from lmcore.reporting import values


@pytest.mark.parametrize(
    "value", [None, True, "1.5", float("nan"), float("inf"), -1e101, 10**400, [1], {"value": 1}]
)
def test_only_finite_numbers_are_numbers(value):
    assert values.finite(value) is None
    assert values.whole(value) is None
    assert values.amounts({"a": value, "b": 2, "c": -1}) == {"b": 2.0}


def test_other_types_are_empty():
    assert (values.text(3), values.mapping([1]), values.items("ab")) == ("", {}, ())
    assert values.mapping({1: 2}) == {"1": 2}


def test_a_time_without_a_zone_is_in_utc():
    assert values.instant("2026-03-04T14:05:09") == datetime(2026, 3, 4, 14, 5, 9, tzinfo=UTC)
    assert values.instant("2026-03-04T14:05:09+01:00").hour == 14
    assert [values.instant(value) for value in ("yesterday", 3, None)] == [None] * 3


class Point(values.Fact):
    x: values.NeededNumber
    y: values.Number = None


class Line(values.Fact):
    points: values.Entries[Point] = ()
    named: values.Named[Point] = {}  # noqa: RUF012 - pydantic copies it
    first: values.Maybe[Point] = None


def test_what_cannot_be_read_is_left_out():
    raw = [{"x": 1, "y": "high"}, {"y": 2}, 3, Point(x=2)]
    line = Line(points=raw, named={"a": {"x": 1}, "b": {}, "\udc80": {"x": 2}}, first={"y": 1})
    assert line.points == (Point(x=1), Point(x=2))
    assert line.named == {"a": Point(x=1), "\udc80": Point(x=2)}
    assert line.first is None
    assert Line(points={"x": 1}, named=[1], first=None) == Line()
