"""Workbooks: every sheet with the named columns is read, and cells are as a person reads them."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import office_files as office

Put = Callable[[str, str | bytes], Path]
Read = Callable[..., list[Any]]


def test_sheets_are_read_in_order_and_named(put: Put, read: Read) -> None:
    sheets = {"A": [["text"], ["one"], [None], ["two"]], "B": [["id", "text"], [1, "three"]]}
    items = read(put("a.xlsx", office.xlsx(sheets)))
    assert [(item.file, item.position, item.text) for item in items] == [
        ("a.xlsx:A", 2, "one"),
        ("a.xlsx:A", 4, "two"),
        ("a.xlsx:B", 2, "three"),
    ]


def test_numbers_and_days_are_as_they_are_read(put: Put, read: Read) -> None:
    rows = [["text", "label", "day"], ["one", 1.0, datetime(2024, 5, 1)], ["two", 2.5, None]]
    path = put("a.xlsx", office.xlsx({"A": rows}))
    items = read(path, target_field="label", date_field="day")
    assert [(item.target, item.date) for item in items] == [("1", "2024-05-01"), ("2.5", None)]


def test_a_sheet_without_a_header_gets_names(put: Put, read: Read) -> None:
    path = put("a.xlsx", office.xlsx({"A": [["one", 1], ["two", 2]]}))
    items = read(path, columns=["text", "n"])
    assert [(item.position, item.text) for item in items] == [(1, "one"), (2, "two")]


def test_a_file_that_is_no_workbook_is_bad_input(put: Put, read: Read) -> None:
    (bad,) = read(put("a.xlsx", office.docx(["text"])))
    assert bad.reason
