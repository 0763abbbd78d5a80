r"""Bounded lines of bytes: a gigabyte without a line end costs one buffer, not the memory.

In: a byte stream.  Out: numbered lines without their end; a line longer than the
bound comes without its bytes, and reading goes on behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_SKIP_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line.

    Attributes:
        number: From 1.
        data: Its bytes without the line end; None if it is longer than the bound.
    """

    number: int
    data: bytes | None


class LinesOf:
    """Some bytes of a stream, from where it stands, to be read by lines; counts them."""

    def __init__(self, stream: IO[bytes], num_bytes: int) -> None:
        self._stream, self._left = stream, num_bytes
        self.count = 0

    def readline(self, size: int) -> bytes:
        """At most so many bytes of the next line."""
        data = self._stream.readline(min(size, self._left))
        self._left -= len(data)
        self.count += data.endswith(b"\n") or (bool(data) and not self._left)
        return data


def iter_lines(stream: IO[bytes], *, max_bytes: int) -> Iterator[Line]:
    r"""Stream lines that end at `\n` or `\r\n`; a byte order mark in front is dropped."""
    number = 0
    while data := stream.readline(max_bytes + 2):
        number += 1
        if number == 1:
            data = data.removeprefix(_BOM)
        ended = data.endswith(b"\n")
        data = data.removesuffix(b"\n").removesuffix(b"\r") if ended else data
        if len(data) <= max_bytes:
            yield Line(number=number, data=data)
            continue
        while not ended and (rest := stream.readline(_SKIP_BYTES)):
            ended = rest.endswith(b"\n")
        yield Line(number=number, data=None)


def split_returns(lines: Iterator[Line]) -> Iterator[Line]:
    r"""Split lines at lone `\r` too, as plain text from old systems needs; numbers repeat."""
    for line in lines:
        if line.data is not None and b"\r" in line.data:
            for data in line.data.split(b"\r"):
                yield Line(number=line.number, data=data)
        else:
            yield line


def decode(data: bytes) -> str | None:
    """The text of UTF-8 bytes, or None if they are no valid UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
