"""Ids are found by their first digits, wherever and however often those stand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.data import id_lookup
from lmcore.data.id_lookup import IdLookup, numbers_of

# Few beginnings, so that ids share them; digits of all kinds.
BEGINNINGS = ["0" * 16, "0123456789abcdef", "f" * 16, "8" + "0" * 15]
IDS = st.lists(st.sampled_from(BEGINNINGS), max_size=12).map(
    lambda beginnings: [f"{each}{number:048x}" for number, each in enumerate(beginnings)]
)


def stored(ids: list[str]) -> np.ndarray:
    return np.array([identity.encode() for identity in ids], dtype="S64")


@pytest.mark.parametrize("at_once", [1 << 16, 3])
def test_numbers_are_the_first_sixteen_digits(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(id_lookup, "_AT_ONCE", at_once)
    ids = [f"{each}{number:048x}" for number, each in enumerate(BEGINNINGS)]
    expected = [0, 0x0123456789ABCDEF, (1 << 64) - 1, 1 << 63]
    assert numbers_of(stored(ids)).tolist() == expected
    assert numbers_of(stored([])).tolist() == []


@given(IDS)
def test_all_places_of_a_beginning_are_found_in_their_order(ids: list[str]) -> None:
    lookup = IdLookup(numbers_of(stored(ids)))
    for beginning in BEGINNINGS:
        expected = [at for at, identity in enumerate(ids) if identity.startswith(beginning)]
        assert list(lookup.find(beginning + "e" * 48)) == expected
    assert list(lookup.find("7" * 64)) == []


def test_a_place_is_what_it_is_said_to_be() -> None:
    ids = [f"{each}{number:048x}" for number, each in enumerate(BEGINNINGS)]
    lookup = IdLookup(numbers_of(stored(ids)), np.array([7, 7, 9, 8], dtype=np.int32))
    assert [list(lookup.find(identity)) for identity in ids] == [[7], [7], [9], [8]]
