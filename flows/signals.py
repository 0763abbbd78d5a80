"""Ctrl-C and SIGTERM: the first one saves and stops, the second one stops at once."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger(__name__)

_stop = threading.Event()


def stop_requested() -> bool:
    """Whether the user asked to stop; training saves a checkpoint and ends."""
    return _stop.is_set()


@contextmanager
def polite_signals() -> Iterator[None]:
    """Handle signals politely inside; in another thread than the main one, do nothing."""

    def handler(number: int, frame: FrameType | None) -> None:
        if _stop.is_set():
            raise KeyboardInterrupt
        _stop.set()
        logger.warning("stopping: saving the state first (again to stop at once)")

    _stop.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
