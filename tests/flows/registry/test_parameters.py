import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.registry.parameters import KEY_CHARACTERS, flatten, valid_key

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=6,
)


def test_flatten_keeps_empty_sections() -> None:
    assert flatten({"a": {}, "b": [], "c": True, "d": "text"}) == {
        "a": "{}",
        "b": "[]",
        "c": "true",
        "d": "text",
    }


def test_a_value_is_named_by_its_whole_path() -> None:
    config = {"model": {"heads": 2, "rates": [0.5, {"late": None}]}, 7: b"raw"}
    assert flatten(config) == {
        "model.heads": "2",
        "model.rates.0": "0.5",
        "model.rates.1.late": "null",
        "7": json.dumps(str(b"raw")),
    }


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("training.max steps-1:/x", "training.max steps-1:/x"),
        ("loss (nats)", "loss _nats_"),
        ("größe\0", "gr__e"),
        ("x" * 300, "x" * 250),
    ],
)
def test_names_in_the_alphabet_of_mlflow(name: str, key: str) -> None:
    assert valid_key(name) == key


@given(st.text())
def test_every_name_becomes_a_valid_one_that_stays(name: str) -> None:
    key = valid_key(name)
    assert re.fullmatch(r"[\w\-. :/]*", key, flags=re.ASCII)
    assert len(key) <= KEY_CHARACTERS
    assert valid_key(key) == key


@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), VALUES, max_size=3))
def test_every_leaf_is_a_text(config: dict[str, Any]) -> None:
    def leaves(value: Any) -> int:
        if isinstance(value, dict | list) and value:
            items = value.values() if isinstance(value, dict) else value
            return sum(leaves(item) for item in items)
        return 1

    flat = flatten(config)
    assert all(isinstance(value, str) for value in flat.values())
    assert len(flat) <= leaves(config)
    assert bool(flat)
