"""Every file below a folder, each folder once, however many links lead to it.

Teams link folders: of another disk, of last year.  What a link leads to is read as if it lay there,
unless it is read already; what contains the link itself would never end.  Such links are named, and
real folders go before links, so that names do not depend on where a link happens to stand.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(kw_only=True)
class Walk:
    """What was found below a folder.

    Attributes:
        files: Name relative to the folder, `/`-separated, and place; sorted.  A folder that cannot
            be listed stands among them, so that whoever opens it says why.
        again: Names of linked folders that are not followed: what they lead to is read already, or
            contains the folder itself.
    """

    files: list[tuple[str, Path]] = field(default_factory=list)
    again: list[str] = field(default_factory=list)


def walk(folder: Path) -> Walk:
    """List every file below a folder, through links to folders too."""
    found = Walk()
    # Of the folder and of all that contain it: a link to one of them leads back here.
    seen = {identity for place in (folder, *folder.resolve().parents) if (identity := _of(place))}
    waiting = deque([folder])
    while waiting:
        start = waiting.popleft()
        if start != folder and not _first_time(start, seen):
            found.again.append(start.relative_to(folder).as_posix())
            continue
        links: list[Path] = []
        for place, folders, files in os.walk(start, onerror=lambda e: _unlisted(e, folder, found)):
            kept: list[str] = []
            for name in folders:
                path = Path(place, name)
                if name == "__pycache__":
                    continue
                if path.is_symlink():
                    links.append(path)
                elif _first_time(path, seen):
                    kept.append(name)
                else:  # inside a linked folder, where what is real may have been read already
                    found.again.append(path.relative_to(folder).as_posix())
            folders[:] = kept
            here = Path(place).relative_to(folder).as_posix()
            inside = "" if here == "." else f"{here}/"
            found.files += [(f"{inside}{name}", Path(place, name)) for name in files]
        waiting.extend(sorted(links))
    found.files.sort()
    found.again.sort()
    return found


def _first_time(path: Path, seen: set[tuple[int, int]]) -> bool:
    identity = _of(path)
    if identity is None:
        return True  # it is gone or may not be looked at: listing it says so
    if identity in seen:
        return False
    seen.add(identity)
    return True


def _of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _unlisted(error: OSError, folder: Path, found: Walk) -> None:
    path = Path(os.fsdecode(error.filename))
    if path != folder:
        found.files.append((path.relative_to(folder).as_posix(), path))
