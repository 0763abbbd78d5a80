"""What is no number, text or list is nothing, and nothing raises."""

from datetime import UTC, datetime

import pytest

from lmcore.reporting import values
from lmcore.reporting.tables import Table, cell, read_tables


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


def test_a_cell_holds_any_json_value():
    assert cell({"a_b": [1, True, None]}) == "a b: 1, yes, –"
    assert cell([float("nan"), 10**400]) == "–, –"
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    assert len(cell(deep)) < 1_000


def test_a_table_of_a_task_has_rows_of_one_length():
    raw = {"caption": "c", "header": ["a", "b"], "rows": [[1, None], [1], 7, "xy"], "note": None}
    assert read_tables([raw, 3]) == (Table(caption="c", header=("a", "b"), rows=(("1", "–"),)),)
    assert read_tables([{"header": 3}]) == read_tables("table") == ()
