"""One process at a time: locks that are files below the home.

A server tier with several machines gives `Registry` another `Lock` of the same shape.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout

from lmcore.errors import LmcoreError


class BusyError(LmcoreError):
    """Another process holds the lock of the model."""


Lock = Callable[[str, float], AbstractContextManager[None]]


def file_lock(folder: Path) -> Lock:
    """Locks for all processes of this machine that share `folder`; freed when a process dies."""

    @contextlib.contextmanager
    def lock(name: str, timeout: float) -> Iterator[None]:
        guard = FileLock(folder / f"{name}.lock", timeout=timeout)
        try:
            guard.acquire()
        except Timeout as error:
            raise BusyError(
                f"another process has held the lock {name} for {timeout:.0f} s;"
                " try again when it has finished."
            ) from error
        try:
            yield
        finally:
            guard.release()

    return lock
