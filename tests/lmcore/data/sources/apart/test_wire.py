"""Frames and records between two processes: whole, bounded, and the same at the other end."""

import datetime
import socket
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.sources.apart.wire import Batch, FrameError, Wire, pack, piece_of, unpack
from lmcore.data.sources.records import BadInput, LeftOut, Piece, Record, Row

# Half a character, and two halves that do not belong together, are texts as well.
_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
_MAYBE = st.none() | _TEXT
_NUMBER = st.integers(0, 1 << 60)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_PIECES = st.one_of(
    st.builds(Record, file=_TEXT, position=_NUMBER, text=_TEXT, target=_MAYBE, date=_MAYBE),
    st.builds(BadInput, file=_TEXT, position=_NUMBER, reason=_TEXT, condemns_file=st.booleans()),
    st.builds(LeftOut, file=_TEXT, reason=_TEXT),
    st.builds(
        Row,
        file=_TEXT,
        position=_NUMBER,
        values=st.dictionaries(_TEXT, _VALUES, max_size=3),
        date=_MAYBE,
    ),
)


@pytest.fixture
def wires() -> Iterator[tuple[Wire, Wire]]:
    ends = [Wire(end) for end in socket.socketpair()]
    yield ends[0], ends[1]
    for end in ends:
        end.close()


@settings(deadline=None, max_examples=50)
@given(st.lists(_PIECES, max_size=5))
def test_records_are_the_same_at_the_other_end(pieces: list[Piece]) -> None:
    batch = Batch()
    for piece in pieces:
        batch.add(piece)
    assert len(batch) == len(pieces)
    assert list(map(piece_of, unpack(batch.take()))) == pieces
    assert not batch


def test_cells_of_a_look_that_json_does_not_know_are_told_as_far_as_they_say_something() -> None:
    day = datetime.datetime(2020, 2, 3, 4, 5)
    values = {"a": day, "b": Decimal("1.5"), "c": b"x", "d": {"e": [day.date()]}, (1, 2): 3}
    batch = Batch()
    batch.add(Row(file="a", position=1, values=values))
    (row,) = map(piece_of, unpack(batch.take()))
    assert isinstance(row, Row)
    assert row.values == {
        "a": "2020-02-03T04:05:00",
        "b": 1.5,
        "c": None,
        "d": {"e": ["2020-02-03"]},
    }


def test_a_frame_comes_whole_or_not_at_all(wires: tuple[Wire, Wire]) -> None:
    ours, theirs = wires
    ours.send("D", bytes(100_000))
    ours.send("J", pack({"a": 1}))
    assert theirs.receive(most_bytes=100_000) == ("D", bytes(100_000))
    letter, content = theirs.receive(most_bytes=100)
    assert (letter, unpack(content)) == ("J", {"a": 1})
    with pytest.raises(TimeoutError):
        theirs.receive(most_bytes=100, seconds=0.01)
    ours.send("D", bytes(101))
    with pytest.raises(FrameError):
        theirs.receive(most_bytes=100)


def test_the_end_of_the_other_is_seen(wires: tuple[Wire, Wire]) -> None:
    ours, theirs = wires
    ours.send("G")
    ours.close()
    assert theirs.receive(most_bytes=0) == ("G", b"")
    with pytest.raises(EOFError):
        theirs.receive(most_bytes=0)
    with pytest.raises(OSError, match="pipe"):
        theirs.send("e")
