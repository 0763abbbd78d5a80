"""Folders of a home that can be deleted, and how nobody is disturbed by it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from flows.home.folders import Home
from lmcore.artifacts import Manifest
from lmcore.errors import IntegrityError
from lmcore.mending import DAMAGED


def content_folders(home: Home) -> Iterator[tuple[Path, Manifest | None]]:
    """Content folders, and what each was made of; None: nobody can tell, and it is of no use."""
    for path in sorted(home.content.glob("*/*")):
        if path.is_dir() and not path.name.startswith("."):
            try:
                manifest = None if path.parent.name == DAMAGED else Manifest.read(path)
            except IntegrityError:
                manifest = None
            yield path, manifest


def content_lock(path: Path) -> Path:
    """Held by who makes a content folder; the name of an unfinished one will do."""
    name = path.name.removeprefix(".").removesuffix(".partial")
    return path.with_name(f".{name}.lock")


def delete(path: Path, *, lock: Path | None, wait_seconds: float = 0.0) -> bool:
    """Delete a folder.

    Args:
        path: The folder.
        lock: Who works in it holds this one; None: nobody does.
        wait_seconds: For the lock.

    Returns:
        Whether nobody worked in it.
    """
    guard = FileLock(lock, timeout=wait_seconds) if lock else contextlib.nullcontext()
    try:
        with guard:
            shutil.rmtree(path, ignore_errors=True)
    except Timeout:
        return False
    return True


def last_change(path: Path) -> float:
    """When anything in a folder changed last."""
    times = [path.stat().st_mtime]
    for inside in path.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            times.append(inside.stat().st_mtime)
    return max(times)
