"""A text in another language is told from those that were learnt from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from lmcore.errors import IntegrityError
from lmcore.tasks.learning.familiarity import FAMILIARITY_FILE, Familiarity

# One byte each, and a token of four.
PIECES = (*(bytes([place]) for place in range(97, 101)), b"abcd", b"")


def ids(*tokens: int) -> np.ndarray:
    return np.array(tokens, dtype=np.int32)


def test_rarity_is_nats_a_byte() -> None:
    found = Familiarity.of([ids(0, 0, 0), ids(4)], PIECES)
    # Counts 3 and 1, and a half for each of six tokens: 7 in all.
    assert found.nats == pytest.approx(-np.log(np.array([3.5, 0.5, 0.5, 0.5, 1.5, 0.5]) / 7))
    assert found.rarity(ids(0, 4)) == pytest.approx((np.log(7 / 3.5) + np.log(7 / 1.5)) / 5)
    assert found.rarity(ids()) == 0


def test_short_pieces_are_unlike_long_ones() -> None:
    found = Familiarity.of([ids(4, 4, 4, 4, place) for place in (0, 0, 1, 2)], PIECES)
    assert not found.unlike(ids(4, 4, 4, 4, 2))
    assert found.unlike(ids(3, 3, 3, 3, 3))
    assert not found.unlike(ids(3, 3, 3, 3))  # too short to say


def test_without_texts_nothing_is_unlike_them() -> None:
    assert not Familiarity.of([], PIECES).unlike(ids(3, 3, 3, 3, 3, 3))


@given(st.lists(st.lists(st.integers(0, 4), max_size=12), max_size=30))
def test_what_was_learnt_from_is_hardly_ever_unlike(texts: list[list[int]]) -> None:
    read = [ids(*text) for text in texts]
    found = Familiarity.of(read, PIECES)
    # A quantile lies between the highest two.
    highest = max((found.rarity(text) for text in read if len(text) >= 5), default=0.0)
    assert all(found.rarity(text) == highest for text in read if found.unlike(text))


def test_it_is_read_back_and_what_is_broken_is_refused(tmp_path) -> None:
    assert Familiarity.read(tmp_path, vocab_size=len(PIECES)) is None
    made = Familiarity.of([ids(0, 1, 2, 3, 4)], PIECES)
    made.write(tmp_path)
    again = Familiarity.read(tmp_path, vocab_size=len(PIECES))
    assert again is not None
    assert (again.limit, list(again.nats)) == (made.limit, list(made.nats))
    with pytest.raises(IntegrityError, match="vocabulary of 7"):
        Familiarity.read(tmp_path, vocab_size=7)
    save_file({"nats": made.nats}, tmp_path / FAMILIARITY_FILE)
    with pytest.raises(IntegrityError, match="sizes"):
        Familiarity.read(tmp_path, vocab_size=len(PIECES))
    (tmp_path / FAMILIARITY_FILE).write_bytes(b"\x00" * 20)
    with pytest.raises(IntegrityError, match="cannot be read"):
        Familiarity.read(tmp_path, vocab_size=len(PIECES))
