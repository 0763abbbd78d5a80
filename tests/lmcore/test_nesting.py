from typing import Any

import pytest

from lmcore.nesting import is_deeper, levels


def test_each_level_holds_the_keys_and_values_of_the_one_above() -> None:
    value = {"a": [1, {"b": None}], "c": "d"}
    assert list(levels(value)) == [
        [value],
        ["a", "c", [1, {"b": None}], "d"],
        [1, {"b": None}],
        ["b", None],
    ]


@pytest.mark.parametrize("value", [3, "x", [], {}])
def test_what_holds_nothing_is_one_level(value: Any) -> None:
    assert list(levels(value)) == [[value]]


def test_a_depth_that_no_recursion_could_walk_is_told() -> None:
    value: Any = 1
    for number in range(5_000):
        value = [value] if number % 2 else {"k": value}
    assert is_deeper(value, 5_000)
    assert not is_deeper(value, 5_001)
