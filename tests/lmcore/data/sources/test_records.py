"""One row of any table becomes a record, or says what is wrong with it."""

import math

import pytest

from lmcore.data.config import SourceConfig
from lmcore.data.sources.records import BadInput, Record, Row, build_record


def build(row: dict[str, object], **config: object) -> Record | BadInput:
    source = SourceConfig(path="t.jsonl", **config)
    return build_record(Row(file="t.jsonl", position=7, values=row), source=source)


def test_text_target_and_date_are_taken_from_their_columns() -> None:
    row = {"body": "words", "label": 3, "day": "2020-05-01", "more": object()}
    found = build(row, text_field="body", target_field="label", date_field="day")
    assert found == Record(file="t.jsonl", position=7, text="words", target="3", date="2020-05-01")
    assert build({"text": ""}) == Record(file="t.jsonl", position=7, text="")


@pytest.mark.parametrize("day", [None, "", math.nan])
def test_a_row_may_lack_its_date_but_not_the_column(day: object) -> None:
    found = build({"text": "a", "day": day}, date_field="day")
    assert isinstance(found, Record)
    assert found.date is None
    missing = build({"text": "a"}, date_field="day")
    assert isinstance(missing, BadInput)
    assert missing.reason == "no key 'day'; found 'text'"


@pytest.mark.parametrize(
    ("value", "target"),
    [(3, "3"), (3.0, "3"), (0.5, "0.5"), (True, "true"), ("3", "3"), ("NA", "NA"), ("", "")],
)
def test_a_target_is_the_text_of_its_class(value: object, target: str) -> None:
    found = build({"text": "a", "y": value}, target_field="y")
    assert isinstance(found, Record)
    assert found.target == target


def test_lists_are_joined_on_request_in_text_and_target() -> None:
    row = {"text": ["a", "b"], "y": ("c", "d")}
    found = build(row, target_field="y", list_join="|")
    assert isinstance(found, Record)
    assert (found.text, found.target) == ("a|b", "c|d")


@pytest.mark.parametrize(
    ("row", "config", "reason"),
    [
        ({}, {}, "no key 'text'; found no keys at all"),
        ({"text": {}}, {}, "'text' is an object, not a string"),
        ({"text": True}, {}, "'text' is a boolean, not a string"),
        ({"text": 1.5}, {}, "'text' is a number, not a string"),
        ({"text": b"raw"}, {}, "'text' is no text, not a string"),
        ({"text": ["a"]}, {}, "'text' is a list, not a string; set list_join to join it"),
        (
            {"text": ["a", None]},
            {"list_join": " "},
            "'text' is a list of other things than strings",
        ),
        ({"text": "a", "y": None}, {"target_field": "y"}, "'y' is null, not a string"),
        ({"text": "a", "y": math.nan}, {"target_field": "y"}, "'y' is NaN, which is no label"),
        ({"text": "a", "y": math.inf}, {"target_field": "y"}, "'y' is infinite, which is no label"),
        ({"text": "a"}, {"target_field": "y"}, "no key 'y'; found 'text'"),
        (
            {"text": "a", "day": "x" * 99},
            {"date_field": "day"},
            f"day={'x' * 40!r} is not an ISO 8601 date",
        ),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_its_place(
    row: dict[str, object], config: dict[str, object], reason: str
) -> None:
    assert build(row, **config) == BadInput(file="t.jsonl", position=7, reason=reason)


def test_a_row_of_many_long_keys_has_a_short_reason() -> None:
    found = build({f"{i}{'k' * 500}": 1 for i in range(100)})
    assert isinstance(found, BadInput)
    assert len(found.reason) < 700
