"""Which documents are scored when there are more than the time allows.

In come rows of a `DocumentSet` (without text), out come ids.  Documents are taken in the
order of a hash of their id, so the choice is the same in every run, depends on nothing
but the documents, and changes little when text is added.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping
from typing import Any

MIN_DOCUMENTS = 2


def sampled_ids(
    rows: Iterable[Mapping[str, Any]], *, max_bytes: int, purpose: str, most: int | None = None
) -> frozenset[str]:
    """Take documents in hash order until `max_bytes` are reached; see `sampled`."""
    taken = sampled(rows, max_bytes=max_bytes, purpose=purpose)
    return frozenset(identity for identity, _ in taken[:most])


def sampled(
    rows: Iterable[Mapping[str, Any]], *, max_bytes: int, purpose: str
) -> list[tuple[str, int]]:
    """Id and bytes of documents in hash order until `max_bytes` are reached (two at least).

    Memory is bounded by the documents taken, not by the rows.

    Args:
        rows: With `id` and `num_bytes`, as `DocumentSet.iter_rows` gives them.
        max_bytes: Of text; the document that crosses the line is the last one in.
        purpose: Part of the hash, so that samples for different purposes are independent.
    """
    kept: list[tuple[int, int, str]] = []  # a heap with the largest hash on top
    total = 0
    for row in rows:
        identity, size = str(row["id"]), int(row["num_bytes"])
        rank = int.from_bytes(hashlib.sha256(f"{purpose}:{identity}".encode()).digest()[:16], "big")
        heapq.heappush(kept, (-rank, size, identity))
        total += size
        while len(kept) > MIN_DOCUMENTS and total - kept[0][1] >= max_bytes:
            total -= heapq.heappop(kept)[1]
    return [(identity, size) for _, size, identity in sorted(kept, key=lambda item: -item[0])]
