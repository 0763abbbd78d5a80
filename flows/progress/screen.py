"""How a person sees a job go: one line that is rewritten in a terminal, plain lines elsewhere.

In: the job of this process.  Out: stderr, and the board of the home.  A thread looks at the job
twice a second, so a step that tells nothing still shows that it lives, and nothing that is shown
influences what is done.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from flows.progress.job import Job, Snapshot, opened
from flows.progress.sentence import sentence

_TICK_SECONDS = 0.5
_FIRST_SECONDS = 1.0  # what is over by then needs no line
# Between plain lines: with a tick two seconds at most, and longer only behind ten minutes of a
# step, where a log would grow by thousands of lines.
_PLAIN_SECONDS, _PLAIN_SHARE = 1.4, 1 / 400
_CLEAR = "\r\x1b[2K"

Listener = Callable[[Snapshot], None]


class RewrittenLine:
    """The last line of a terminal, below everything else that is written to the stream.

    It stands in for the stream meanwhile, so that a log line clears it first.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._shown = ""
        self._at_start = True  # of a line, where others have written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """What others write: above the line."""
        with self._lock:
            if self._shown:
                self._stream.write(_CLEAR)
                self._shown = ""
            if text:
                self._at_start = text.endswith("\n")
            return self._stream.write(text)

    def show(self, text: str) -> None:
        """Replace the line; empty clears it."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if not self._at_start:
                return
            width = _width(self._stream)
            cut = text if len(text) < width else text[: max(1, width - 2)] + "…"
            if cut or self._shown:
                self._stream.write(_CLEAR + cut)
                self._stream.flush()
            self._shown = cut


@contextmanager
def last_line() -> Iterator[RewrittenLine | None]:
    """Inside, stderr has a last line that can be rewritten; None where it is no terminal."""
    stream = sys.stderr
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    line = RewrittenLine(stream)
    sys.stderr = line
    try:
        yield line
    finally:
        line.show("")
        if sys.stderr is line:
            sys.stderr = stream


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


class PlainLines:
    """Lines on a stream that is no terminal: at each step, then at intervals."""

    def __init__(self, now: float) -> None:
        self._last, self._step = now, ""

    def due(self, snapshot: Snapshot, now: float) -> bool:
        """Whether a line is to be written now."""
        step = f"{snapshot.stage} {snapshot.step}"
        changed = bool(snapshot.step) and step != self._step
        gap = max(_PLAIN_SECONDS, snapshot.seconds * _PLAIN_SHARE)
        if not changed and now - self._last < gap:
            return False
        self._step, self._last = step, now
        return True


class Screen:
    """Looks at a job, and tells everybody who listens.

    Args:
        job: To be shown.
        rewritten: The last line of the terminal; None where stderr is none.
    """

    def __init__(self, job: Job, rewritten: RewrittenLine | None) -> None:
        self.job = job
        self._rewritten = rewritten
        self._plain = PlainLines(time.monotonic())
        self._began = time.monotonic()
        self._listeners: list[tuple[Listener, float]] = []
        self._told: dict[Listener, float] = {}
        self._lock = threading.Lock()
        self._hidden = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="progress", daemon=True)
        self._thread.start()

    @contextmanager
    def listener(self, tell: Listener, *, seconds: float) -> Iterator[None]:
        """Inside, a function is told of the job, at most once in so many seconds."""
        entry = (tell, seconds)
        with self._lock:
            self._listeners.append(entry)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(entry)
                self._told.pop(tell, None)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Inside, nothing is shown: the person is asked something."""
        self._hidden += 1
        if self._rewritten:
            self._rewritten.show("")
        try:
            yield
        finally:
            self._hidden -= 1

    def close(self) -> None:
        """Show nothing more."""
        self._ended.set()
        self._thread.join(timeout=2 * _TICK_SECONDS)

    def _work(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            now, snapshot = time.monotonic(), self.job.snapshot()
            self._show(snapshot, now)
            with self._lock:
                for tell, seconds in self._listeners:
                    if now - self._told.get(tell, -seconds) >= seconds:
                        self._told[tell] = now
                        tell(snapshot)

    def _show(self, snapshot: Snapshot, now: float) -> None:
        if self._hidden or now - self._began < _FIRST_SECONDS:
            return
        if self._rewritten:
            self._rewritten.show(f"  {sentence(snapshot)}")
        elif self._plain.due(snapshot, now):
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"  {sentence(snapshot)}\n")
                sys.stderr.flush()


_screen: Screen | None = None


@contextmanager
def showing(name: str, model: str = "") -> Iterator[Job]:
    """Inside, people see what this process does; inside of another call, the same job goes on.

    Args:
        name: Of the command or flow.
        model: That it works on.
    """
    global _screen
    with opened(name, model) as job:
        if _screen is not None:
            yield job
            return
        with last_line() as line:
            _screen = Screen(job, line)
            try:
                yield job
            finally:
                _screen.close()
                _screen = None


@contextmanager
def listening(tell: Listener, *, seconds: float) -> Iterator[None]:
    """Inside, a function is told of the job of this process, where it is shown."""
    if _screen is None:
        yield
        return
    with _screen.listener(tell, seconds=seconds):
        yield


@contextmanager
def hidden() -> Iterator[None]:
    """Inside, nothing is shown: the person is asked something."""
    if _screen is None:
        yield
        return
    with _screen.hidden():
        yield
