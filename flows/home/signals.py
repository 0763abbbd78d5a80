"""Ctrl-C and SIGTERM: the first one saves and stops, the second one stops at once."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lmcore.errors import LmcoreError

logger = logging.getLogger(__name__)

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_stop = threading.Event()
_polite = False


class StoppedError(LmcoreError):
    """The user stopped the run; what was done is saved."""


def stop_requested() -> bool:
    """Whether the user asked to stop; training saves a checkpoint and ends."""
    return _stop.is_set()


@contextmanager
def polite_signals() -> Iterator[None]:
    """Handle signals politely inside; in another thread than the main one, do nothing."""
    global _polite
    _stop.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _polite = True
    try:
        with _handled_by(_handle):
            yield
    finally:
        _polite = False


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


def _handle(number: int, frame: FrameType | None) -> None:
    if _stop.is_set():
        raise KeyboardInterrupt
    _stop.set()
    logger.warning("stopping: saving the state first (again to stop at once)")


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
