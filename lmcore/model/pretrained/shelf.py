"""Where bases lie: the content store of the home, and others that this process was told of.

A stored model names its base by key and does not hold it.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from lmcore.content_store import ContentStore
from lmcore.errors import IntegrityError
from lmcore.model.pretrained.base import BASE_FILE, Base

_roots: list[Path] = []


def use(root: Path) -> None:
    """Look for bases below the folder of a content store, too; or the folder is a base itself."""
    if root not in _roots:
        _roots.append(root)


def find(key: str) -> Path:
    """The verified folder of a base.

    Raises:
        IntegrityError: If it is nowhere, or damaged.
    """
    roots = [*_roots]
    if home := os.environ.get("LMCORE_HOME"):
        roots.append(Path(home) / "content")
    for root in roots:
        stored = ContentStore(root).path(Base.kind, key)
        folder = root if (root / BASE_FILE).is_file() else stored
        if folder.is_dir() and verified(folder).key == key:
            return folder
    where = ", ".join(map(str, roots)) or "no folder was named"
    raise IntegrityError(
        f"the pretrained model {key[:12]} that this version was made from is not here (looked in"
        f" {where}); nothing was loaded. Restore its folder, or set LMCORE_HOME to a home with it"
    )


@functools.lru_cache(maxsize=16)
def verified(folder: Path) -> Base:
    """A base's folder, hashed once in a process.

    Raises:
        IntegrityError: If it is damaged.
    """
    return Base.open(folder)
