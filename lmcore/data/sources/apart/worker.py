"""`python -m lmcore.data.sources.apart.worker SOCKET PARENT`: reads one file after another, apart.

In: orders over a socket, and the bytes of each file as they are asked for.  Out: its records.  This
process has bounds of its own, ignores the signals that are meant for its parent, and ends with it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import resource
import signal
import socket
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from lmcore.lifeline import end_with

_BUFFER_BYTES = 1 << 18
_PAGE_BYTES = resource.getpagesize()
_ORDER_BYTES = 64 << 20
#: A library that keeps what it read would in the end meet the bound with a sound file.
_KEPT_BYTES = 1 << 30
_STATM = Path("/proc/self/statm")


class _Stopped(BaseException):
    """Nobody wants more of this file; no reader takes it for an error of the file."""


class _Broken(BaseException):
    """The stream of the file failed, and its other end knows how."""


class _Handed(io.RawIOBase):
    """The file, whose bytes the other process hands over; each MiB buys time."""

    def __init__(self, wire: Any, limits: Any, *, is_seekable: bool) -> None:
        self._wire, self._limits, self._is_seekable = wire, limits, is_seekable
        self._begun, self._handed = time.process_time(), 0
        self._bound()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._is_seekable

    def readinto(self, buffer: Any) -> int:
        data = self._ask("r", len(buffer), expected="D")
        buffer[: len(data)] = data
        self._handed += len(data)
        self._bound()
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if not self._is_seekable:
            raise io.UnsupportedOperation("seek")
        return int(self._ask("s", [offset, whence], expected="P"))

    def tell(self) -> int:
        return self.seek(0, io.SEEK_CUR)

    def give(self, records: bytes) -> None:
        """Send records, and wait until more are wanted.

        Raises:
            _Stopped: If none are.
        """
        self._wire.send("p", records)
        self._order("G")

    def _ask(self, letter: Any, what: Any, *, expected: str) -> bytes:
        from lmcore.data.sources.apart.wire import pack

        self._wire.send(letter, pack(what))
        return self._order(expected)

    def _order(self, expected: str) -> bytes:
        letter, content = self._wire.receive(most_bytes=_ORDER_BYTES)
        if letter == "S":
            raise _Stopped
        if letter == "B":
            raise _Broken
        assert letter == expected
        return bytes(content)

    def _bound(self) -> None:
        seconds = self._begun + self._limits.seconds(self._handed)
        _lower(resource.RLIMIT_CPU, int(seconds) + 1)


def work(number: int, parent: int) -> None:
    """Read files until there are no more orders.

    Args:
        number: File descriptor of the socket.
        parent: Number of the process that gives orders.
    """
    # A stop is the parent's to obey: it ends this process by itself, and so does its death.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    end_with(parent)
    _lower(resource.RLIMIT_CORE, 0)
    with contextlib.suppress(OSError):  # of two, the system without memory is to end this one
        Path("/proc/self/oom_score_adj").write_text("1000")
    logging.disable()
    from lmcore.data.sources.apart.wire import Wire, pack, unpack

    wire = Wire(socket.socket(fileno=number))
    first = _size()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            _, content = wire.receive(most_bytes=_ORDER_BYTES)
            failure, reason = _read(wire, unpack(content))
            grown = _size() - first > _KEPT_BYTES
            is_last = grown or failure == "memory"
            wire.send("e", pack({"failure": failure, "reason": reason, "is_last": is_last}))
            if is_last:
                return


def _read(wire: Any, job: dict[str, Any]) -> tuple[str, str]:
    """Read one file; returns what ended it before its end, and why."""
    from lmcore.data.sources.apart.job import Job
    from lmcore.data.sources.apart.wire import Batch
    from lmcore.data.sources.archives import why_unreadable
    from lmcore.data.sources.bombs import BombError
    from lmcore.errors import UserError

    asked = Job.unpacked(job)
    limits = asked.limits
    _lower(resource.RLIMIT_AS, limits.memory_bytes)
    handed = _Handed(wire, limits, is_seekable=asked.is_seekable)
    batch = Batch()

    failure = reason = ""
    try:
        with contextlib.closing(_pieces(asked, handed)) as pieces:
            for piece in pieces:
                batch.add(piece)
                if batch.is_full:
                    handed.give(batch.take())
    except (_Stopped, _Broken):
        return "", ""
    except MemoryError:
        _lower(resource.RLIMIT_AS, resource.RLIM_INFINITY)
        return "memory", ""
    except UserError as error:
        failure, reason = "user", str(error)
    except BombError as error:
        failure, reason = "bomb", str(error)
    except AssertionError as error:
        failure, reason = "ours", str(error)
    except Exception as error:  # a library raises what it likes
        failure, reason = "unreadable", why_unreadable(error)
    if batch:
        with contextlib.suppress(_Stopped):
            handed.give(batch.take())
    return failure, reason


def _pieces(asked: Any, handed: _Handed) -> Generator[Any, None, None]:
    from lmcore.data.sources.kinds import reader
    from lmcore.data.sources.records import Row, build_record

    reading = asked.reading
    stream = io.BufferedReader(handed, _BUFFER_BYTES)
    for piece in reader(asked.reader)(stream, reading):
        # A value of a row may be anything; what a record takes of it is text.
        if isinstance(piece, Row) and not reading.all_columns:
            yield build_record(piece, source=reading.source)
        else:
            yield piece


def _lower(which: int, bound: int) -> None:
    """Set a bound of this process, as far as that is allowed; it can be raised again."""
    hardest = resource.getrlimit(which)[1]
    if hardest != resource.RLIM_INFINITY:
        bound = hardest if bound == resource.RLIM_INFINITY else min(bound, hardest)
    with contextlib.suppress(OSError, ValueError):  # a system that does not know it
        resource.setrlimit(which, (bound, hardest))


def _size() -> int:
    """Address space in bytes, where the system tells it."""
    try:
        return int(_STATM.read_text().split()[0]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


if __name__ == "__main__":
    work(*map(int, sys.argv[1:]))
