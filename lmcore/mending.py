"""What was found damaged in a store and put right: set aside, made again, and written down.

In: something damaged.  Out: its place is free, it lies among the damaged things, and a line says
when, what and how.  Nothing damaged is deleted here: a person may want to look at it, and the
name that it has then tells since when it lies there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from lmcore.durable import fsync_directory

logger = logging.getLogger(__name__)

NOTES = "mended.jsonl"
DAMAGED = "damaged"


@dataclass(frozen=True, kw_only=True)
class Mending:
    """One thing that was mended.

    Attributes:
        at: ISO 8601 time in UTC.
        what: The file or folder.
        problem: What was wrong with it.
        remedy: What was done.
    """

    at: str
    what: str
    problem: str
    remedy: str


def set_aside(root: Path, damaged: Path) -> Path:
    """Move something damaged out of its place.

    Args:
        root: The store; what is damaged goes to a folder in it.
        damaged: A file or folder on the same file system.
    """
    folder = root / DAMAGED
    folder.mkdir(exist_ok=True)
    kept = folder / f"{damaged.name}-{time.time_ns()}"
    os.replace(damaged, kept)
    fsync_directory(damaged.parent)
    return kept


def lying_aside(root: Path) -> Iterator[tuple[Path, float]]:
    """What was set aside in a store, and when, as seconds since 1970; by name.

    What somebody else put there counts from its own time.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in sorted((root / DAMAGED).iterdir()):
            _, _, nanoseconds = path.name.rpartition("-")
            known = nanoseconds.isdecimal() and nanoseconds.isascii()
            yield path, int(nanoseconds) / 1e9 if known else path.lstat().st_mtime


def note_mending(root: Path, what: Path, *, problem: str, remedy: str) -> None:
    """Write down what was mended, and say it."""
    logger.warning("%s was damaged: %s", what, remedy)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps(
        asdict(Mending(at=now, what=str(what), problem=problem, remedy=remedy)), sort_keys=True
    )
    # One write of a whole line; two processes that append do not mix.
    with (root / NOTES).open("ab", buffering=0) as stream:
        stream.write(line.encode() + b"\n")


def mendings(root: Path) -> Iterator[Mending]:
    """All that was mended in a store, oldest first; lines that are none are passed over."""
    try:
        lines = (root / NOTES).read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield Mending(**json.loads(line))
        except (ValueError, TypeError):
            continue
