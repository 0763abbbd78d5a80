"""One process at a time: locks that are files below the home.

A server tier with several machines gives `Registry` another `Lock` of the same shape.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout

from lmcore.errors import LmcoreError


class BusyError(LmcoreError):
    """Another process holds the lock of the model."""


_CONTENT = "content.lock"
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


@contextlib.contextmanager
def using_content(folder: Path) -> Iterator[None]:
    """Say that content folders are in use; many processes at a time, and prune is not among them.

    Args:
        folder: Of the home's locks.
    """
    with (folder / _CONTENT).open("ab") as file:  # freed when the process dies, too
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def owning_content(folder: Path) -> Iterator[None]:
    """Be the only process that has to do with content folders.

    Raises:
        BusyError: If another one uses them.
    """
    with (folder / _CONTENT).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                "a run, a sweep or a monitoring is in progress and uses content folders; nothing"
                " was deleted. Give the command again when it has ended."
            ) from error
        yield
