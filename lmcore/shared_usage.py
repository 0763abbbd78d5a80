"""What lies in the store that homes share, and when any of them last used it.

In: a store.  Out: its places with their bytes and the time of their last use, from one listing.  A
place is used when it is published, when it would have been and was there, and when it is fetched;
the store's own clock says when.  Nothing here deletes anything.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lmcore.shared_store import SharedStore

# What libraries of stores call it.
_CHANGED = ("LastModified", "mtime", "last_modified")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A published folder, or what a killed upload left of one.

    Attributes:
        place: As of `SharedStore.publish`.
        num_bytes: Of all that lies there.
        last_used: Seconds since the epoch.
    """

    place: str
    num_bytes: int
    last_used: float

    @property
    def name(self) -> str:
        """What the folder is called."""
        return self.place.rpartition("/")[2]


def usage(store: SharedStore, below: str) -> list[Stored]:
    """All places below an area, the one that nobody has used for the longest first.

    Args:
        store: That homes share.
        below: An area (`content`, `work`), or a place.

    Raises:
        SharedStoreError: If the store cannot be reached.
    """
    found: dict[str, Stored] = {}
    for name, told in store.objects(below).items():
        place = f"{below}/{name}".rpartition("/")[0]
        before = found.get(place, Stored(place=place, num_bytes=0, last_used=0.0))
        found[place] = Stored(
            place=place,
            num_bytes=before.num_bytes + int(told["size"] or 0),
            last_used=max(before.last_used, _changed(told)),
        )
    return sorted(found.values(), key=lambda stored: (stored.last_used, stored.place))


def _changed(told: Mapping[str, Any]) -> float:
    """When an object was written last; now, where its store does not say it."""
    when = next((told[key] for key in _CHANGED if told.get(key)), None)
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    if isinstance(when, datetime):
        return when.timestamp()
    return time.time() if when is None else float(when)
