"""Cells hold any JSON value, tables of strangers have rows of one length."""

from lmcore.reporting.tables import Table, cell, read_tables


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
