"""The index of a published folder: which files it has, and that nobody changed it.

In: files with size and SHA-256.  Out: bytes for `index.json`, and the files of such bytes again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath

from lmcore.digests import canonical_json, digest
from lmcore.errors import IntegrityError

INDEX = "index.json"


def make_index(files: Mapping[str, tuple[int, str]]) -> bytes:
    """The content of an index.

    Args:
        files: Size in bytes and SHA-256, by name in the folder.
    """
    return canonical_json({"files": files, "digest": digest(files)})


def read_index(raw: bytes, *, where: str) -> dict[str, tuple[int, str]]:
    """What an index names.

    Args:
        raw: What `make_index` gave.
        where: What its folder is called in errors.

    Raises:
        IntegrityError: If it was changed or damaged.
    """
    try:
        told_there = json.loads(raw)
        files = told_there["files"]
        found = {str(name): (int(size), str(sha256)) for name, (size, sha256) in files.items()}
        sound = told_there["digest"] == digest(files) and all(_is_inside(name) for name in found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{where}/{INDEX} was changed or damaged, and is not used") from error
    if not sound:
        raise IntegrityError(f"{where}/{INDEX} was changed or damaged, and is not used")
    return found


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
