"""What text versions learnt from, stored once: lists and sketches of nearly the same text agree.

In: a stored version.  Out: the same files, as links to what an earlier version holds of the same
content.  They grow with the text (a fifth of it where documents are short), and a model that is
trained again on it, or on a little more, would bring them along again.  Weights are never shared: a
version that is gone back to must not lie in the file that was damaged.  Where a file system knows
no links, each version has its own.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from lmcore.digests import sha256_file
from lmcore.durable import fsync_directory
from lmcore.version_folder import text_parts, text_parts_in

#: A smaller one is not worth a link.
_LEAST_BYTES = 64 << 10
Links = Counter[tuple[int, int]]


class SharedFiles:
    """Files of one folder that others link to, by hash.

    Args:
        folder: Where they are; on the file system of what shares them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def share(self, version: Path, files: Mapping[str, tuple[int, str]]) -> None:
        """Replace files of a version by links to the same content.

        Args:
            version: A folder that was just verified.
            files: Size and SHA-256 by name, as its manifest has them.
        """
        for name in text_parts(files):
            size, sha256 = files[name]
            if size >= _LEAST_BYTES:
                with contextlib.suppress(OSError), self._lock():
                    self._share(version / name, size, sha256)

    def _share(self, path: Path, size: int, sha256: str) -> None:
        shared = self._folder / sha256
        if shared.exists() and shared.samefile(path):
            return
        # What is damaged must not become another version's too.
        if not shared.exists() or shared.stat().st_size != size or sha256_file(shared) != sha256:
            shared.unlink(missing_ok=True)
            os.link(path, shared)
            return
        partial = path.with_name(f".{path.name}.partial")
        partial.unlink(missing_ok=True)
        os.link(shared, partial)
        os.replace(partial, path)
        fsync_directory(path.parent)

    def saved_bytes(self, version: Path, leaving: Links | None = None) -> int:
        """Bytes of a version that stay when it goes, as others link to them.

        Args:
            version: Its folder.
            leaving: How many links of each file go as well, which are still there; it is counted.
        """
        total = 0
        for path in text_parts_in(version):
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                place = (state.st_dev, state.st_ino)
                others = state.st_nlink - 2 - (leaving[place] if leaving is not None else 0)
                if leaving is not None:
                    leaving[place] += 1
                total += state.st_size if others > 0 else 0
        return total

    def tidy(self) -> None:
        """Delete what no version links to any more."""
        with contextlib.suppress(OSError), self._lock():
            for path in self._folder.iterdir():
                if path.is_file() and path.stat().st_nlink == 1 and not path.name.startswith("."):
                    path.unlink()

    def _lock(self) -> FileLock:
        self._folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self._folder / ".lock")
