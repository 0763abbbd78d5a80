"""What must not be used, for whoever reads parts: written once, read once by each process.

In: the removals in force.  Out: a file of them and a small value that names it, which each part's
task carries instead of the removals themselves: there may be many of them, and of parts, too.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from lmcore.data.copies.removal import NOTHING_REMOVED, Removals, read_removals
from lmcore.digests import canonical_json
from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError

_FILE = "removals.jsonl"
# Lists that a process which reads for many keeps.
_CACHED = 4


@dataclass(frozen=True, kw_only=True)
class RemovalsFile:
    """Names the removals in force.

    Attributes:
        path: Of the list; None: nothing was removed.
        digest: As of `Removals`.
    """

    path: Path | None = None
    digest: str = ""

    @classmethod
    def write(cls, removals: Removals, folder: Path) -> RemovalsFile:
        """Write them into a folder that stays until all is read."""
        if not removals:
            return cls()
        path = folder / _FILE
        lines = (canonical_json(entry.to_json()) + b"\n" for entry in removals.entries)
        atomic_write(path, b"".join(lines))
        return cls(path=path, digest=removals.digest)

    def read(self) -> Removals:
        """The removals.

        Raises:
            IntegrityError: If the file is not what was written.
        """
        return NOTHING_REMOVED if self.path is None else _read(self.path, self.digest)[0]

    def ids(self) -> frozenset[str]:
        """Ids of the removals."""
        return frozenset() if self.path is None else _read(self.path, self.digest)[1]


@functools.lru_cache(maxsize=_CACHED)
def _read(path: Path, digest: str) -> tuple[Removals, frozenset[str]]:
    removals = read_removals(path)
    if removals.digest != digest:
        raise IntegrityError(f"{path}: the removals in force were changed on their way; run again")
    return removals, frozenset(entry.id for entry in removals.entries)
