"""Lines of requests come back as they were, and nothing else passes for one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.data.requests.lines import Asked, Beside, Feedback, parsed, written

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def feedback(**changes: Any) -> Feedback:
    values: dict[str, Any] = {
        "id": "cmpl-1",
        "index": 0,
        "at": "2026-11-28T10:00:00+00:00",
        "client": "shop",
        "version": 3,
        "task": "sentiment",
        "text": "fine",
        "output": "positive",
        "rating": None,
        "accepted": None,
    }
    return Feedback(**{**values, **changes})


@given(TEXT, TEXT, st.integers(0, 99))
def test_a_line_is_one_line_and_comes_back(text: str, client: str, index: int) -> None:
    at = "2026-11-28T10:00:00+00:00"
    asked = Asked(
        id="a", index=index, at=at, client=client, version=1, task="language_modelling", text=text
    )
    for line in (asked, feedback(text=text, accepted=text)):
        raw = written(line)
        assert raw.count(b"\n") == 1
        assert parsed(raw) == line


def test_two_versions_beside_each_other_come_back() -> None:
    line = Beside(
        id="a",
        index=0,
        at="2026-11-28T10:00:00+00:00",
        task="language_modelling",
        version=1,
        shadow=2,
        num_bytes=8,
        bits=(16.5, 12.25),
    )
    assert parsed(written(line)) == line


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({"rating": "up"}, True),
        ({"rating": "down", "accepted": "negative"}, False),
        ({"accepted": "negative"}, False),
        ({"accepted": " positive "}, True),
        ({"accepted": "positive", "output": None}, None),
        ({}, None),
    ],
)
def test_whether_an_answer_was_right(changes: dict[str, Any], right: bool | None) -> None:
    assert feedback(**changes).right is right


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'{"kind": "asked"}',
        b'{"kind": "other"}',
        written(feedback()).replace(b'"version": 3', b'"version": "3"'),
        json.dumps({**json.loads(written(feedback())), "more": 1}).encode(),
        b"\xff",
    ],
)
def test_what_is_no_line_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no line of requests"):
        parsed(raw)
