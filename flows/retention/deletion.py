"""Folders and files of a home that can be deleted, and how nobody is disturbed by it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from flows.home.folders import Home
from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest
from lmcore.mending import DAMAGED, lying_aside


def content_folders(home: Home) -> Iterator[tuple[Path, Manifest | None]]:
    """Content folders, and what each was made of; None: nobody can tell, and it is of no use."""
    for path in sorted(home.content.glob("*/*")):
        if path.is_dir() and not path.name.startswith("."):
            try:
                manifest = None if path.parent.name == DAMAGED else Manifest.read(path)
            except IntegrityError:
                manifest = None
            yield path, manifest


def set_aside_in(home: Home) -> Iterator[tuple[Path, float]]:
    """What was found damaged in a home, files and folders, and when it was set aside."""
    for store in (home.root, home.content):
        yield from lying_aside(store)


def content_lock(path: Path) -> Path:
    """Held by who makes a content folder; the name of an unfinished one will do."""
    name = path.name.removeprefix(".").removesuffix(".partial")
    return path.with_name(f".{name}.lock")


def delete(path: Path, *, lock: Path | None, wait_seconds: float = 0.0) -> bool:
    """Delete a folder, or a file.

    Args:
        path: Of it.
        lock: Who works in it holds this one; None: nobody does.
        wait_seconds: For the lock.

    Returns:
        Whether nobody worked in it.
    """
    guard = FileLock(lock, timeout=wait_seconds) if lock else contextlib.nullcontext()
    try:
        with guard:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
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
