"""Folders in the store that homes share which nobody needs any more.

In: a home, and the keys that are wanted.  Out: each folder that goes, or would go.  A home knows
what its registry names, and not what homes with another registry need.  So a folder goes only where
nothing here names it, and no home has used it for `UNUSED_DAYS`: whoever needs it uses it with each
run.  What goes too early is made again, and a home that fetches it meanwhile makes it, too.  Sides
of the split never go.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

from flows.home.folders import Home
from flows.progress.job import current as current_job
from flows.retention.reasons import is_needed
from lmcore.manifest import MANIFEST
from lmcore.shared_store import SharedStore
from lmcore.shared_usage import Stored, usage

#: So long no home has used what may go: longer than any schedule that retrains each month waits.
UNUSED_DAYS = 35
_DAY_SECONDS = 86_400.0
_AREAS = ("content", "work")
# Of a key, in the name of a folder.
_KEY_DIGITS = 32


def shared_left_over(
    home: Home, wanted: AbstractSet[str], *, days: int = 0, dry_run: bool
) -> Iterator[dict[str, Any]]:
    """Delete what nobody needs from the shared store; yields what to say of each.

    Args:
        home: That may share folders with others.
        wanted: Keys of content that versions which stay, of every model, and unfinished runs name.
        days: It stays for so many, where these are more than `UNUSED_DAYS`.
        dry_run: Delete nothing.

    Raises:
        SharedStoreError: If the store cannot be reached.
    """
    store = home.shared
    if store is None:
        return
    days = max(days, UNUSED_DAYS)
    names = {key[:_KEY_DIGITS] for key in wanted}
    for area in _AREAS:
        for stored in usage(store, area):
            if not _is_unused(stored, days):
                break  # those behind it were used later
            if stored.name in names or (area == "content" and _is_needed(store, stored, wanted)):
                continue
            current_job().count(f"shared {stored.name}")
            if dry_run or _remove(store, stored, days):
                when = datetime.fromtimestamp(stored.last_used, UTC)
                yield {
                    "place": stored.place,
                    "last_used": when.isoformat(timespec="seconds"),
                    "bytes": stored.num_bytes,
                }


def _is_unused(stored: Stored, days: int) -> bool:
    return time.time() - stored.last_used > days * _DAY_SECONDS


def _is_needed(store: SharedStore, stored: Stored, wanted: AbstractSet[str]) -> bool:
    """Whether a folder is a cache that was made from one that is wanted."""
    raw = store.read(stored.place, MANIFEST)
    try:
        manifest = json.loads(raw or b"")
        kind, key, inputs = manifest["kind"], manifest["key"], manifest["inputs"]
    except (ValueError, KeyError, TypeError):
        return False  # half an upload, or damaged: nobody can use it
    return is_needed(kind, key, inputs, wanted=wanted)


def _remove(store: SharedStore, stored: Stored, days: int) -> bool:
    """Delete a folder that is still unused; whether it was."""
    if not all(_is_unused(now, days) for now in usage(store, stored.place)):
        return False
    store.remove(stored.place)
    return True
