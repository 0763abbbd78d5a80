"""Files of a home that no version and no unfinished run needs: content, work, what was damaged.

In: a home, and the keys that are wanted.  Out: each file or folder that goes, or would go.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from flows.home.folders import Home
from flows.progress.job import current as current_job
from flows.registry.artifact_files import freed_bytes
from flows.registry.shared_files import Links
from flows.retention.deletion import (
    content_folders,
    content_lock,
    delete,
    last_change,
    set_aside_in,
)
from flows.retention.reasons import WAITING, is_needed
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.part_keys import PART_KIND, part_keys
from lmcore.mending import DAMAGED

#: So long the same command may still want to go on with an unfinished run, and so long somebody may
#: want to look at what was found damaged.
UNFINISHED_DAYS = 7
_DAY_SECONDS = 86_400.0
#: Kinds of what is found here.
FILES = ("content", "work", "damaged")

#: A file or a folder, the lock of who works in it, and what the answer says of it.
_Left = tuple[Path, Path | None, dict[str, Any]]


def left_over(
    home: Home, wanted: AbstractSet[str], *, days: int = 0, dry_run: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Delete what nobody needs and nobody works in; yields the kind of each, and what to say of it.

    Args:
        home: Whose files.
        wanted: Keys of content that is named.
        days: What changed later than so many days ago stays.
        dry_run: Delete nothing.
    """
    kinds = {
        "content": _content(home, wanted),
        "work": _work(home),
        "damaged": _damaged(home),
    }
    # What is deleted here links to nothing any more.
    leaving = Links() if dry_run else None
    for kind, found in kinds.items():
        for path, lock, said in found:
            if not is_older(path, days=days):
                continue
            current_job().count(f"{kind} {path.name[:40]}")
            size = freed_bytes(path, leaving)
            if dry_run or delete(path, lock=lock):
                yield kind, {**said, "bytes": size}


def is_old(when: float) -> bool:
    """Whether nobody will go on with what was last changed then, in seconds of the clock."""
    return time.time() - when > UNFINISHED_DAYS * _DAY_SECONDS


def may_have_left(home: Home, *, days: int) -> bool:
    """Whether anything here was made so long ago: a look at names, which costs next to nothing."""
    before = time.time() - days * _DAY_SECONDS
    for path in (*home.content.glob("*/*"), *home.work.iterdir()):
        if path.suffix != ".lock":
            with contextlib.suppress(FileNotFoundError):  # another process took it away
                if path.lstat().st_mtime <= before:
                    return True
    return False


def is_older(path: Path, *, days: int) -> bool:
    """Whether nothing in a folder, or a file, has changed for so many days."""
    return not days or time.time() - last_change(path) > days * _DAY_SECONDS


def _content(home: Home, wanted: AbstractSet[str]) -> Iterator[_Left]:
    """Content folders that no kept version and no unfinished run names."""
    folders = [(p, manifest) for p, manifest in content_folders(home) if p.parent.name != DAMAGED]
    parts = _parts([path for path, found in folders if found is not None and found.key in wanted])
    for path, manifest in folders:
        kind, key = path.parent.name, path.name
        if manifest is not None:
            kind, key = manifest.kind, manifest.key
            # Younger ones may be of an ingest or an evaluation that was killed, and goes on.
            if kind in (PART_KIND, *WAITING) and not is_old(last_change(path)):
                continue
            if kind == PART_KIND and key in parts:
                continue
            if is_needed(kind, key, manifest.inputs, wanted=wanted):
                continue
        yield path, content_lock(path), {"kind": kind, "key": key[:32]}


def _parts(kept: Sequence[Path]) -> set[str]:
    """Keys of the parts that kept documents were read in: the next ingest asks for them."""
    return {key for path in kept if path.parent.name == DocumentSet.kind for key in part_keys(path)}


def _work(home: Home) -> Iterator[_Left]:
    """Content that was begun, versions on their way to the registry, old points and scratch."""
    for partial in sorted(home.content.glob("*/.*.partial")):
        yield _in_work(home, partial)
    for path in sorted(home.work.iterdir()):
        if path.name.startswith("version-") or is_old(last_change(path)):
            yield _in_work(home, path)


def _in_work(home: Home, path: Path) -> _Left:
    reproduces = path.name.startswith("reproduce-")
    lock = home.locks / f"{path.name}.lock" if reproduces else None
    return path, lock, {"path": str(path.relative_to(home.root))}


def _damaged(home: Home) -> Iterator[_Left]:
    """What was found damaged, put right, and looked at by nobody for a week."""
    for path, when in set_aside_in(home):
        if is_old(when):
            yield path, None, {"path": str(path.relative_to(home.root))}
