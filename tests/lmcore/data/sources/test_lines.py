"""Lines of bytes within a bound, whatever stands between them."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.sources.lines import Line, decode, iter_lines, split_returns


class _Endless(io.RawIOBase):
    """A gigabyte without a line end; counts how much of it is asked for at once."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.largest = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.largest = max(self.largest, len(buffer))
        count = min(len(buffer), self.left)
        buffer[:count] = b"x" * count
        self.left -= count
        return count


def test_a_gigantic_line_is_skipped_in_bounded_pieces() -> None:
    raw = _Endless(300 << 20)
    lines = list(iter_lines(io.BufferedReader(raw, 1 << 16), max_bytes=1 << 20))
    assert [(line.number, line.data) for line in lines] == [(1, None)]
    assert raw.left == 0
    assert raw.largest <= 1 << 20


@pytest.mark.parametrize("length", [9, 10, 11])
def test_the_bound_on_lines_is_exact(length: int) -> None:
    stream = io.BytesIO(b"x" * length + b"\r\nnext")
    first, second = iter_lines(stream, max_bytes=10)
    assert (first.data is None) == (length > 10)
    assert second.data == b"next"


def read(data: bytes, *, max_bytes: int = 100) -> list[tuple[int, bytes | None]]:
    return [(line.number, line.data) for line in iter_lines(io.BytesIO(data), max_bytes=max_bytes)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\n\r\nb", [b"a", b"", b"b"]),
        (b"a\rb\n", [b"a\rb"]),
        (b"a\r\r\n", [b"a\r"]),
        (b"a\r", [b"a\r"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", [b"a", b"\xef\xbb\xbfb"]),
        (b"\xff\x00\n\x80", [b"\xff\x00", b"\x80"]),
    ],
)
def test_lines_by_hand(data: bytes, expected: list[bytes]) -> None:
    assert read(data) == list(enumerate(expected, start=1))


@given(st.lists(st.binary(max_size=8).filter(lambda b: not {10, 13} & {*b}), max_size=8))
@settings(deadline=None, max_examples=100)
def test_a_line_beyond_the_bound_costs_itself_alone(parts: list[bytes]) -> None:
    found = read(b"".join(part + b"\n" for part in (b"-", *parts)), max_bytes=4)
    expected = [b"-", *(part if len(part) <= 4 else None for part in parts)]
    assert found == list(enumerate(expected, start=1))


def test_lone_returns_split_lines_and_keep_their_number() -> None:
    lines = [Line(number=1, data=b"a\rb\r"), Line(number=2, data=None), Line(number=3, data=b"")]
    assert [(line.number, line.data) for line in split_returns(iter(lines))] == [
        *((1, b"a"), (1, b"b"), (1, b"")),
        (2, None),
        (3, b""),
    ]


@given(st.binary(max_size=12) | st.text("aß東🦊\x00", max_size=6).map(str.encode))
def test_what_is_decoded_encodes_to_the_same_bytes(data: bytes) -> None:
    text = decode(data)
    if text is None:
        with pytest.raises(UnicodeDecodeError):
            str(data, "utf-8")
    else:
        assert text.encode() == data
