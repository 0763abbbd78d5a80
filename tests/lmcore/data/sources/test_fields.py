"""Paths into nested data, by hand and against a walk of nested data that is made at random."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.data.sources.fields import Gathered, MissingFieldError, column_of, kind_of, value_at

ROW = {
    "text": "plain",
    "a.b": "a dotted name",
    "a": {"b": "nested", "c": [{"d": 1}, {"d": 2}], "list": [["x"], ["y", "z"]]},
    "messages": [{"content": "one"}, {"content": "two"}],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("text", "plain"),
        ("a.b", "a dotted name"),
        ("a.c[1].d", 2),
        ("a.c[].d", Gathered(values=(1, 2))),
        ("a.list[][]", Gathered(values=("x", "y", "z"))),
        ("a.list[1][0]", "y"),
        ("messages[].content", Gathered(values=("one", "two"))),
        ("messages[0]", {"content": "one"}),
    ],
)
def test_a_path_leads_to_its_value(path: str, value: object) -> None:
    assert value_at(ROW, path) == value


@pytest.mark.parametrize(
    ("path", "step", "found"),
    [
        ("body", "body", "'text'"),
        ("a.x", "x", "'b', 'c', 'list'"),
        ("text.x", "x", "a text"),
        ("text[]", "[]", "a text"),
        ("messages[5]", "[5]", "a list"),
        ("messages.content", "content", "a list"),
        ("messages[].body", "body", "'content'"),
        ("a..b", "a..b", "'text'"),
        ("", "", "'text'"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path: str, step: str, found: str) -> None:
    with pytest.raises(MissingFieldError) as caught:
        value_at(ROW, path)
    assert caught.value.step == step
    assert found in caught.value.found


KEYS = st.text("abc", min_size=1, max_size=3)
NESTED = st.recursive(
    st.integers(), lambda inner: st.dictionaries(KEYS, inner, min_size=1), max_leaves=12
)


def _paths(value: Any, prefix: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [pair for key, inner in value.items() for pair in _paths(inner, f"{prefix}.{key}")]


@given(st.dictionaries(KEYS, NESTED, min_size=1))
def test_every_leaf_is_reached_by_its_keys(row: dict[str, Any]) -> None:
    for key, value in row.items():
        for path, leaf in _paths(value, key):
            assert value_at(row, path) == leaf


def test_the_column_of_a_path_is_its_first_key() -> None:
    assert column_of("a.b", ["a", "a.b"]) == "a.b"
    assert column_of("a.b", ["a"]) == "a"
    assert column_of("a[].b", ["a"]) == "a"
    assert column_of("b", ["a"]) is None
    assert column_of("[0]", ["a"]) is None


def test_kinds_are_told_in_words() -> None:
    values = [{}, [], (), None, True, "x", 1, 1.5, b"x"]
    assert [kind_of(value) for value in values] == [
        "an object", "a list", "a list", "null", "a boolean", "a text", "a number", "a number",
        "no text",
    ]  # fmt: skip
