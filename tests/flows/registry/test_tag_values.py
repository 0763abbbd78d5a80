import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_values import json_values

from flows.registry.tag_values import read_object, read_value

JSON = json_values(max_leaves=20)


@settings(deadline=None)
@given(JSON)
def test_what_we_write_is_read_again(value: Any) -> None:
    assert read_value(json.dumps(value)) == value
    assert read_value(json.dumps(value, ensure_ascii=False)) == value


@settings(deadline=None)
@given(st.text())
def test_whatever_was_typed_gives_a_value_that_can_be_written(text: str) -> None:
    json.dumps(read_value(text), allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 4_900 + "]" * 4_900,
        '{"a":' * 40 + "1" + "}" * 40,
        "[" * 100_000,
        "NaN",
        '{"a": -Infinity}',
        "1e999",
        "9" * 5_000,
        '"\\ud800"',
        '{"\\udc00": 1}',
        "",
        "{",
    ],
)
def test_what_nobody_of_ours_wrote_is_nothing(text: str) -> None:
    assert read_value(text) is None
    assert read_object(text) is None


def test_an_object_is_asked_for() -> None:
    assert read_object(None) is None
    assert read_object("[1]") is None
    assert read_object('{"a": [1]}') == {"a": [1]}
