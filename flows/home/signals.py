"""Ctrl-C, SIGTERM, a closed terminal: the first ends what runs within seconds, the second at once.

What a step makes is whole or nothing (a content folder, a row of a database), so the first signal
leaves it at once, from wherever the program is (`interruptible`).  A training loses what it did not
save, so it asks (`stop_requested`) and saves.  What is neither, such as writing into the registry,
is short and ends first, in a step of its own (`finishing`) or inside of one (`to_the_end`).
"""

from __future__ import annotations

import _thread
import contextvars
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from lmcore.errors import LmcoreError

logger = logging.getLogger(__name__)

R = TypeVar("R")

# What a training does first; see `finishing`.
SAVING = "saving the state"
_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Between two attempts to leave a step: an exception that comes up inside a finalizer is lost.
_AGAIN_SECONDS = 1.0
_stop = threading.Event()
_polite = False
# Of the step that can be left, set when it is; None: there is none.
_left: threading.Event | None = None
_again = False
_asking = threading.Lock()
# What ends before a stop is obeyed.
_first = ""
# Set when the last word on a stop has been said; None: nothing is being said.
_said: threading.Event | None = None
_MOST_SAYING_SECONDS = 2.0


class StoppedError(LmcoreError):
    """The user stopped the run; what was done is saved."""


class StepInterrupted(KeyboardInterrupt):
    """The user asked to stop, and a step was left at once; nothing of it is kept."""


def stop_requested() -> bool:
    """Whether the user asked to stop; training saves a checkpoint and ends."""
    return _stop.is_set()


@contextmanager
def polite_signals() -> Iterator[None]:
    """Handle signals politely inside; in another thread than the main one, do nothing."""
    global _polite, _again
    _stop.clear()
    _again = False
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _polite = True
    try:
        with _handled_by(_handle):
            yield
    finally:
        _polite = False
        if _said is not None:
            _said.wait(_MOST_SAYING_SECONDS)


@contextmanager
def still_polite() -> Iterator[None]:
    """Inside a flow: what `polite_signals` began holds, although Prefect took SIGTERM meanwhile.

    Prefect's engine answers SIGTERM with an exception from wherever the program is.  That is right
    for a worker that cancels a flow run, so nothing changes unless `polite_signals` is active.
    """
    if not _polite or threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handled_by(_handle):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, a stop is obeyed at once: what is done there is kept whole or not at all.

    Without `polite_signals`, and in another thread than the main one, nothing changes.

    Raises:
        StepInterrupted: If the user asks to stop, or has asked before; whatever a library has made
            of it.
    """
    global _left
    if not _polite or threading.current_thread() is not threading.main_thread():
        yield
        return
    left = _left = threading.Event()
    try:
        if _stop.is_set():
            raise StepInterrupted
        yield
    except BaseException as error:
        if _stop.is_set() and _follows_from_a_stop(error):
            raise StepInterrupted from error
        raise
    finally:
        with _asking:
            _left = None
        left.set()


def _follows_from_a_stop(error: BaseException) -> bool:
    """Whether a step that was left raises this because it was left.

    A library makes another exception of what comes up inside of it: Rust's panic, or one of its
    own.  What we raise ourselves says what is wrong, unless it was made of that, too.  A second
    signal is what it is.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return isinstance(error, StepInterrupted)
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        if isinstance(found, StepInterrupted):
            return True
        seen.add(id(found))
        found = found.__cause__ or found.__context__
    return not isinstance(error, LmcoreError)


def while_listening(work: Callable[[], R]) -> R:
    """What some work gives that a library may not come back from for seconds.

    Python hears a signal between two operations of its own, in the main thread; so that thread
    waits, and another one works.  Whoever is stopped leaves it behind: it ends with the process,
    or makes something whole before.

    Args:
        work: Whole or nothing, as what is done in `interruptible`.
    """
    found = Future[R]()
    context = contextvars.copy_context()

    def give() -> None:
        try:
            found.set_result(context.run(work))
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=give, name="while-listening", daemon=True).start()
    return found.result()


@contextmanager
def finishing(what: str) -> Iterator[None]:
    """Inside, whoever asks to stop is told what is done first, such as "saving the state"."""
    global _first
    before, _first = _first, what
    try:
        yield
    finally:
        _first = before


@contextmanager
def to_the_end(what: str) -> Iterator[None]:
    """Inside a step that is left at once: what may not be left half done, and is short.

    Who asked meanwhile is obeyed by whatever comes next.
    """
    global _left
    before = _left
    with _asking:
        _left = None
    try:
        with finishing(what):
            yield
    finally:
        with _asking:
            _left = before


def _handle(number: int, frame: FrameType | None) -> None:
    # The program may stand anywhere, and hold any lock: of a queue that takes log records, of the
    # list of threads.  So this waits for none, and other threads do what may have to.
    global _again, _said
    repeated, _again = _again, False
    if not repeated:
        if _stop.is_set():
            raise KeyboardInterrupt
        _stop.set()
        first = f": {_first} first" if _first and not _left else ""
        _said = threading.Event()
        _thread.start_new_thread(_say, (first, _said))
        if _left:
            _thread.start_new_thread(_insist, (signal.Signals(number), _left))
    if _left:
        raise StepInterrupted


def _say(first: str, said: threading.Event) -> None:
    try:
        logger.warning("stopping%s (again to stop at once)", first)
    finally:
        said.set()


def _insist(number: signal.Signals, left: threading.Event) -> None:
    """Ask again until the step is left."""
    global _again
    while not left.wait(_AGAIN_SECONDS):
        with _asking:
            # Behind a step that is left the signal would meet whoever handles it then.
            if _left is not left:
                return
            _again = True
            _thread.interrupt_main(number)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
