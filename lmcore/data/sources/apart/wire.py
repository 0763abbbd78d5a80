"""Between the process that asks for a file's records and the one that reads it: framed messages.

A frame is a letter, the length of what follows in eight bytes, and that.  What is told of a file is
JSON, so a process that read a hostile file can hand over nothing but values.  The two take turns,
so that neither waits for room in the socket while the other does.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any, Literal, get_args

from lmcore.data.sources.records import Piece

#: Of the one that asks: read this; here are bytes; here the stream stands; go on; no more; the
#: stream is broken.
Order = Literal["J", "D", "P", "G", "S", "B"]
#: Of the one that reads: bytes are wanted; another place is; these are records; it has ended.
Answer = Literal["r", "s", "p", "e"]
_LENGTH_BYTES = 8
_PIECE_BYTES = 1 << 20
_KINDS: tuple[type[Piece], ...] = get_args(Piece)
_FIELDS = tuple(tuple(each.name for each in fields(kind)) for kind in _KINDS)


class FrameError(Exception):
    """A frame longer than it may be."""


class Wire:
    """One end of a socket between two processes."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, letter: Order | Answer, content: bytes = b"") -> None:
        """Send one frame.

        Raises:
            OSError: If the other process is gone.
        """
        # At one go: whoever has all of a frame may be gone before a second part of it, be it empty.
        self._end.sendall(letter.encode() + len(content).to_bytes(_LENGTH_BYTES, "big") + content)

    def receive(self, *, most_bytes: int, seconds: float | None = None) -> tuple[str, bytes]:
        """Wait for one frame.

        Args:
            most_bytes: Of its content.
            seconds: That the other may say nothing for; None: any number.

        Raises:
            EOFError: If the other process is gone.
            FrameError: If the frame is longer.
            TimeoutError: If the other says nothing.
        """
        self._end.settimeout(seconds)
        head = self._exactly(1 + _LENGTH_BYTES)
        size = int.from_bytes(head[1:], "big")
        if size > most_bytes:
            raise FrameError(f"{size:,} bytes at once")
        return head[:1].decode("latin-1"), self._exactly(size)

    def close(self) -> None:
        """End the conversation; the other process sees the end of its orders."""
        self._end.close()

    def _exactly(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size:
            try:
                piece = self._end.recv(min(size, _PIECE_BYTES))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise EOFError("the other process is gone")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


@dataclass(frozen=True, kw_only=True)
class End:
    """How the reading of a file ended.

    Attributes:
        failure: What kind of failure ended it; empty for none.
        reason: Of the failure.
        is_last: Whether the process that read ends as well.
    """

    failure: Literal["", "user", "bomb", "memory", "ours", "unreadable"] = ""
    reason: str = ""
    is_last: bool = False


def pack(value: Any) -> bytes:
    """JSON as the content of a frame; any string stays as it is, half a character too."""
    return _text(value).encode("utf-8", "surrogatepass")


def unpack(content: bytes) -> Any:
    """What `pack` or `Batch` made."""
    return json.loads(content.decode("utf-8", "surrogatepass"))


class Batch:
    """Records on their way: so many at once that a turn costs little beside them."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0

    def add(self, piece: Piece) -> None:
        """Take one more."""
        number = _KINDS.index(type(piece))
        packed = _text([number, *(getattr(piece, name) for name in _FIELDS[number])])
        self._pieces.append(packed)
        self._size += len(packed)

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def is_full(self) -> bool:
        """Whether it is time to send it."""
        return self._size >= _PIECE_BYTES

    def take(self) -> bytes:
        """The content of a frame of all that it holds; it is empty then."""
        content = f"[{','.join(self._pieces)}]".encode("utf-8", "surrogatepass")
        self._pieces, self._size = [], 0
        return content


def piece_of(packed: Sequence[Any]) -> Piece:
    """One of the items of a batch."""
    number, *values = packed
    piece: Piece = _KINDS[number](**dict(zip(_FIELDS[number], values, strict=True)))
    return piece


def _plain(value: object) -> object:
    """A cell of a look that JSON does not know: a day as it is written, else nothing."""
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else None


_text = json.JSONEncoder(ensure_ascii=False, skipkeys=True, default=_plain).encode
