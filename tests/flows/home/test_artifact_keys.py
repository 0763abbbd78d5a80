import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.home.artifact_keys import artifact_key


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("gates", "stories"), "gates-stories"),
        (("training", "Annual_Messages.v2"), "training-annual-messages-v2"),
        (("", "..", "A b"), "a-b"),
        (("é",), "model"),
        ((), "model"),
        (("x" * 300,), "x" * 200),
    ],
)
def test_keys_by_hand(parts: tuple[str, ...], key: str) -> None:
    assert artifact_key(*parts) == key


@given(st.lists(st.text(max_size=40), max_size=8))
def test_every_name_becomes_a_key_that_prefect_takes(parts: list[str]) -> None:
    key = artifact_key(*parts)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,199}", key)
    assert artifact_key(key) in (key, key.rstrip("-"))
