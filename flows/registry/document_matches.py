"""Documents of registered versions, recognised by id or as near-copies by their sketches.

In: a verified version folder.  Out: which of its documents a text is, or which of them must be
forgotten.  A version that was made before sketches were kept answers by id alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmcore.data.copies.removal import Removals
from lmcore.data.copies.sketches import CopyIndex, Hashes, Sketch, likeness
from lmcore.version_folder import VersionFolder


@dataclass(frozen=True, kw_only=True)
class Query:
    """Something to look for.

    Attributes:
        id: Its id as a document.
        name: What a person calls it.
        shingles: All its distinct shingles, where its text is at hand.
        earlier: Those that earlier releases made of it, where they differ.
        sketch: A sample of them, where only that is.
        text: Its text, where it is at hand.
    """

    id: str
    name: str
    shingles: Hashes | None = None
    earlier: Hashes | None = None
    sketch: Sketch | None = None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Match:
    """A document of a version that is the one looked for, or a near-copy of it."""

    row: dict[str, Any]
    exact: bool
    share: float

    def to_json(self) -> dict[str, Any]:
        """As `lmcore seen --json` prints it."""
        names = ("id", "name", "split", "source", "license", "num_bytes")
        return {
            **{name: self.row[name] for name in names},
            "kind": "exact" if self.exact else "near-copy",
            "share": self.share,
        }


def find_documents(folder: VersionFolder, queries: Sequence[Query]) -> list[Match]:
    """Documents of a version that are one of the queries or near-copies of one; the exact first."""
    wanted = {query.id for query in queries}
    ids, sketches = _sketches(folder)
    index = CopyIndex(sketches)
    shares: dict[str, float] = {}
    for query in queries:
        if query.shingles is not None:
            for copy in index.find_shingles(query.shingles, query.earlier):
                shares[ids[copy.index]] = max(copy.share, shares.get(ids[copy.index], 0.0))
        elif query.sketch is not None:
            for identity, other in zip(ids, sketches, strict=True):
                if (share := likeness(query.sketch, other)) is not None:
                    shares[identity] = max(share, shares.get(identity, 0.0))
    found = [
        Match(
            row=row,
            exact=row["id"] in wanted,
            share=1.0 if row["id"] in wanted else shares[row["id"]],
        )
        for row in folder.documents()
        if row["id"] in wanted or row["id"] in shares
    ]
    return sorted(found, key=lambda match: (not match.exact, -match.share, match.row["name"]))


def find_row(folder: VersionFolder, identity: str) -> tuple[dict[str, Any], Sketch | None] | None:
    """A document of a version by its id, or by a beginning of it that only one document has."""
    rows = [row for row in folder.documents() if str(row["id"]).startswith(identity)]
    if len(rows) != 1:
        return None
    for name, raw in folder.sketches():
        if name == rows[0]["id"]:
            return rows[0], Sketch.from_bytes(raw)
    return rows[0], None


def removed_documents(folder: VersionFolder, removals: Removals) -> set[str]:
    """Ids of a version's documents that must be forgotten: removed, or near-copies of removed."""
    if not removals:
        return set()
    gone = {str(row["id"]) for row in folder.documents() if removals.by_id(row["id"]) is not None}
    sketched = [entry.sketch for entry in removals.entries if entry.sketch is not None]
    if not sketched:
        return gone
    hashes = np.unique(np.concatenate([sketch.hashes for sketch in sketched]))
    ids, sketches = _sketches(folder)
    for identity, sketch in zip(ids, sketches, strict=True):
        # Most documents have nothing in common with any removed one: one look-up says so.
        places = np.minimum(np.searchsorted(hashes, sketch.hashes), len(hashes) - 1)
        if identity in gone or not (hashes[places] == sketch.hashes).any():
            continue
        if any(likeness(removed, sketch) is not None for removed in sketched):
            gone.add(identity)
    return gone


def _sketches(folder: VersionFolder) -> tuple[list[str], list[Sketch]]:
    ids, sketches = [], []
    for identity, raw in folder.sketches():
        ids.append(identity)
        sketches.append(Sketch.from_bytes(raw))
    return ids, sketches
