"""Files read in a process apart: one for all files of a thread that reads, begun at the first.

In: a stream of the file, which stays here and is handed over as it is asked for.  Out: its records,
as if it had been read here.  A process that takes more than it may, or that the library ends, is
ended and replaced; the file is set aside.  A corpus without such files begins none.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

from lmcore.data.sources.apart.job import Job
from lmcore.data.sources.apart.limits import LIMITS, LimitError, Limits, UnreadableError
from lmcore.data.sources.apart.wire import End, FrameError, Wire, pack, piece_of, unpack
from lmcore.data.sources.bombs import BombError
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Piece
from lmcore.errors import LmcoreError, SourceError

_WORKER = ("-W", "ignore", "-m", "lmcore.data.sources.apart.worker")
_MOST_HANDED_BYTES = 1 << 20
#: A process that neither answers nor uses its time is ended after so many times what it had.
_PATIENCE = 10
_STOP_SECONDS = 1.0


def read_apart(reader: str, stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """Read one file in a process apart.

    Args:
        reader: Module and function.
        stream: Its bytes.
        reading: What is known of it.

    Raises:
        SourceError, BombError, UnreadableError: As the reader would raise them, or what it raised.
        LimitError: If reading takes more than it may, or ends the process.
        LmcoreError: If no process can be had.
        Exception: What the stream raises.
    """
    with kept_processes() as kept:
        job = Job(reader=reader, reading=reading, is_seekable=stream.seekable(), limits=LIMITS)
        process = kept.take()
        try:
            yield from process.read(job, stream)
        finally:
            kept.put_back(process)


class Kept:
    """Processes of one thread that have no file at the moment."""

    def __init__(self) -> None:
        self.depth = 0
        self.num_begun = 0
        self._idle: list[ReaderProcess] = []

    def take(self) -> ReaderProcess:
        """One that waits, or a new one."""
        while self._idle:
            process = self._idle.pop()
            if process.is_ready:
                return process
            process.end()
        self.num_begun += 1
        return ReaderProcess()

    def put_back(self, process: ReaderProcess) -> None:
        """Keep it for the next file, if it can read one."""
        if process.is_ready:
            self._idle.append(process)
        else:
            process.end()

    def end(self) -> None:
        """End them all."""
        while self._idle:
            self._idle.pop().end()


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.kept = Kept()


_of_thread = _OfThread()


@contextlib.contextmanager
def kept_processes() -> Iterator[Kept]:
    """Inside, files that are read apart share a process, which ends with the outermost of these."""
    # The system ends a process with the thread that began it, so threads share none.
    kept = _of_thread.kept
    kept.depth += 1
    try:
        yield kept
    finally:
        kept.depth -= 1
        if kept.depth == 0:
            kept.end()


class ReaderProcess:
    """A process that reads one file after another."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, *_WORKER, str(theirs.fileno()), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    # A library that crashes says so in its own words, file by file.
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # Ctrl-C in a terminal is for the parent.
                    start_new_session=True,
                    env=_environment(),
                )
            except OSError as error:
                ours.close()
                raise LmcoreError(
                    f"a process that reads files apart cannot be started ({error}); free memory or"
                    " processes, and try again"
                ) from error
        self._wire = Wire(ours)
        self._owner = os.getpid()
        self._is_idle = True

    @property
    def is_ready(self) -> bool:
        """Whether it waits for a file."""
        return self._is_idle and self._owner == os.getpid() and self._process.poll() is None

    def end(self) -> None:
        """End it; does nothing in a fork of the process that began it."""
        self._is_idle = False
        self._wire.close()
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()

    def read(self, job: Job, stream: IO[bytes]) -> Iterator[Piece]:
        """Read one file; see `read_apart`."""
        self._is_idle = False
        limits, handed = job.limits, 0
        with self._told(limits):
            self._wire.send("J", pack(job.packed()))
        while True:
            seconds = _PATIENCE * limits.seconds(handed)
            with self._told(limits, handed):
                letter, content = self._wire.receive(
                    most_bytes=limits.answer_bytes, seconds=seconds
                )
            if letter == "r":
                data = self._read_here(stream, min(unpack(content), _MOST_HANDED_BYTES))
                handed += len(data)
                with self._told(limits, handed):
                    self._wire.send("D", data)
            elif letter == "s":
                offset, whence = unpack(content)
                place = stream.seek(offset, whence)
                with self._told(limits, handed):
                    self._wire.send("P", str(place).encode())
            elif letter == "p":
                try:
                    yield from map(piece_of, unpack(content))
                except GeneratorExit:
                    self._stop(limits)
                    raise
                with self._told(limits, handed):
                    self._wire.send("G")
            else:
                end = End(**unpack(content))
                self._is_idle = not end.is_last
                _raise(end, limits)
                return

    def _read_here(self, stream: IO[bytes], size: int) -> bytes:
        try:
            return stream.read(size)
        except Exception:
            with contextlib.suppress(OSError, EOFError, FrameError):
                self._wire.send("B")
                self._await_end()
            raise

    def _stop(self, limits: Limits) -> None:
        """Nobody wants more of the file; a process that does not leave it at once is not kept."""
        with contextlib.suppress(OSError, EOFError, FrameError):
            self._wire.send("S")
            self._await_end()

    def _await_end(self) -> None:
        letter, content = self._wire.receive(most_bytes=_MOST_HANDED_BYTES, seconds=_STOP_SECONDS)
        self._is_idle = letter == "e" and not End(**unpack(content)).is_last

    @contextlib.contextmanager
    def _told(self, limits: Limits, handed: int = 0) -> Iterator[None]:
        """Say why there is no conversation any more."""
        try:
            yield
        except FrameError as error:
            raise LimitError(f"tells {error} of itself") from None
        except TimeoutError:
            raise LimitError("the library that reads it does not come to an end") from None
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise LimitError(_why_ended(self._process.wait(), limits, handed)) from None


def _why_ended(status: int, limits: Limits, handed: int) -> str:
    if status == -signal.SIGXCPU:
        return f"takes more than {limits.seconds(handed):,} s of processor time to read"
    if status == -signal.SIGKILL:
        return "the system ended the process that read it, as one without free memory does"
    if status >= 0:
        raise LmcoreError(
            f"the process that reads files apart ended with exit status {status}; what it says:"
            f" {sys.executable} -m lmcore.data.sources.apart.worker 0 {os.getppid()}"
        )
    return f"the library that reads it crashes ({signal.Signals(-status).name})"


def _raise(end: End, limits: Limits) -> None:
    """Raise what the reader raised, if it did."""
    if end.failure == "user":
        raise SourceError(end.reason)
    if end.failure == "bomb":
        raise BombError(end.reason)
    if end.failure == "memory":
        raise LimitError(f"takes more than {limits.memory_bytes >> 20:,} MiB of memory to read")
    if end.failure:
        assert end.failure != "ours", end.reason
        raise UnreadableError(end.reason)


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        # What was found here is found there, and a module in the working directory replaces none.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONSAFEPATH": "1",
        # Threads, and memory that is only set aside, would count as used.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
