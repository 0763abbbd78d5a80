"""Where staged texts end up: the cluster and the side of each.

In: what each text hangs on, and the split ledger's appointments.  Out: for each row its cluster,
its side, and why it is left out; and counts.  A cluster has the name of its smallest anchor.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Self

import numpy as np
import pyarrow as pa

from lmcore.data.copies.forest import Rows
from lmcore.data.copies.scratch import Scratch
from lmcore.data.documents import SPLITS
from lmcore.data.ingest.anchors import Anchors
from lmcore.data.ingest.equal_values import Distinct, distinct
from lmcore.data.ingest.mapped_columns import Bytes, Mask, blocks
from lmcore.data.ingest.split import NOWHERE, Sides, in_anchor_slices, split_anchors
from lmcore.data.ingest.staged_texts import TRAIN, VALIDATION, StagedTexts
from lmcore.data.ingest.staging import Stretch

#: Codes of sides: their places in `SPLITS`.
CODES: dict[str, int] = {side: code for code, side in enumerate(SPLITS)}
_TRAIN, _TUNE, _HELD, _EXCLUDED = (
    CODES[side] for side in ("train", "tune", "validation", "excluded")
)
# Why a text is excluded.
BRIDGING, COPY = 1, 2


@dataclass(frozen=True, kw_only=True)
class ClusterCounts:
    """Clusters in this corpus.

    Attributes:
        num_shared: Clusters of two documents or more.
        documents_in_shared: Documents in them.
        by_side: Clusters on each side.
    """

    num_shared: int
    documents_in_shared: int
    by_side: dict[str, int]


class Places:
    """Places of texts.

    Attributes:
        texts: All of them.
        anchors: What each hangs on.
        clusters: Which rows are in one cluster.
        shared: Whether other texts of this corpus are in a row's cluster, shape [rows].
        sides: Code of the side of each row, a place in `SPLITS`, shape [rows].
        reasons: Why a row is excluded; 0: it is not, shape [rows].

    Args:
        texts: All of them.
        anchors: What each hangs on.
        forms: Which rows are forms of one text.
        scratch: Where the arrays are.
    """

    def __init__(
        self, texts: StagedTexts, anchors: Anchors, forms: Distinct, scratch: Scratch
    ) -> None:
        self.texts, self.anchors, self._forms, self._scratch = texts, anchors, forms, scratch
        self.clusters = distinct(anchors.first, scratch)
        self.shared = self.clusters.shared(scratch)
        self.sides = scratch.array(len(texts), np.uint8)
        self.reasons = scratch.array(len(texts), np.uint8)
        self._some_named = any(texts.named[block].any() for block in blocks(len(texts)))

    def decide(self, work: sqlite3.Connection, sides: Sides) -> None:
        """Find the side of each row.

        Args:
            work: With the ledger attached.
            sides: Of anchors.
        """
        self._hash(sides)
        for row, anchors in self.anchors.several.items():
            self._put_on_several(row, {CODES[sides.of(a)] for a in split_anchors(anchors)})
        if self._some_named:
            self._exclude(self._on_anchors_of_validation())
        recorded = "SELECT 1 FROM ledger.appointment WHERE anchor = ?"
        # Sides that a version had are to be made again as they were.
        if not work.execute(recorded, (NOWHERE,)).fetchone():
            self._exclude(self._beside_validation(self._forms.first))

    def _hash(self, sides: Sides) -> None:
        """Put every row on the side of its smallest anchor, or where its source names it."""
        found = self._scratch.array(len(self.sides), np.uint8)
        for block in blocks(len(found)):
            firsts = block.start + np.flatnonzero(self.clusters.is_first(block))
            found[firsts] = sides.of_all([a.tobytes() for a in self.anchors.first[firsts]])
            hashed, named = found[self.clusters.first[block]], self.texts.named[block]
            # Early stopping still needs its share of what is named for training.
            learnt = np.where(hashed == _TUNE, hashed, _TRAIN)
            unheld = np.where(named == TRAIN, learnt, hashed)
            self.sides[block] = np.where(named == VALIDATION, _HELD, unheld)
            self.reasons[block] = 0

    def _put_on_several(self, row: int, wanted: set[int]) -> None:
        """Where anchors are on different sides, a text is near-copy to both, and on none."""
        named = self.texts.named[row]
        if named == VALIDATION:
            return
        if named == TRAIN:
            wanted = {code if code == _TUNE else _TRAIN for code in wanted}
        one = len(wanted) == 1
        self.sides[row], self.reasons[row] = (wanted.pop(), 0) if one else (_EXCLUDED, BRIDGING)

    def _exclude(self, copies: Iterator[Rows]) -> None:
        for rows in copies:
            trained_on = rows[np.isin(self.sides[rows], (_TRAIN, _TUNE))]
            self.sides[trained_on], self.reasons[trained_on] = _EXCLUDED, COPY

    def _beside_validation(self, first: Rows) -> Iterator[Rows]:
        """Rows whose `first` row is that of a row in validation."""
        held: Mask = self._scratch.array(len(first), np.bool_)
        for block in blocks(len(first)):
            held[first[block][self.sides[block] == _HELD]] = True
        for block in blocks(len(first)):
            yield block.start + np.flatnonzero(held[first[block]])

    def _on_anchors_of_validation(self) -> Iterator[Rows]:
        """Where sources name sides, a cluster can lie on two: validation wins."""
        if not self.anchors.several:
            yield from self._beside_validation(self.clusters.first)
            return
        # By any of their anchors, not the smallest alone.
        held = {
            anchor
            for block in blocks(len(self.sides))
            for row in np.flatnonzero(self.sides[block] == _HELD).tolist()
            for anchor in self.anchors.of(block.start + row)
        }
        for block in blocks(len(self.sides)):
            rows = range(block.start, block.stop)
            copied = [row for row in rows if not held.isdisjoint(self.anchors.of(row))]
            yield np.array(copied, dtype=np.int64)

    def on(self, side: str, block: slice) -> Mask:
        """Which of some rows are on a side."""
        mask: Mask = self.sides[block] == CODES[side]
        return mask

    def clusters_by_side(self) -> dict[str, int]:
        """How many clusters have a text on a side, of sides that have any."""
        found = {side: self._clusters_among(partial(self.on, side)) for side in SPLITS}
        return {side: number for side, number in found.items() if number}

    def counts(self) -> ClusterCounts:
        """Count clusters."""
        return ClusterCounts(
            num_shared=self._clusters_among(lambda block: self.shared[block]),
            documents_in_shared=sum(int(self.shared[b].sum()) for b in blocks(len(self.shared))),
            by_side=self.clusters_by_side(),
        )

    def excluded(self, reason: int) -> int:
        """How many texts are excluded for a reason."""
        return sum(int((self.reasons[b] == reason).sum()) for b in blocks(len(self.reasons)))

    def _clusters_among(self, wanted: Callable[[slice], Mask]) -> int:
        met: Mask = self._scratch.array(len(self.sides), np.bool_)
        for block in blocks(len(met)):
            met[self.clusters.first[block][wanted(block)]] = True
        return sum(int(met[block].sum()) for block in blocks(len(met)))


@dataclass(frozen=True, kw_only=True)
class PlacedTexts:
    """Some texts of one source, and where each ended up.

    Attributes:
        texts: Columns of a part's file; N rows.
        names: What each is called in its source, N.
        source: Number of their source.
        ids: Shape [N, ID_BYTES].
        clusters: Id of the (smallest) anchor of each, shape [N, ID_BYTES].
        sides: Codes, shape [N].
        shared: Whether other texts of this corpus are in the same cluster, shape [N].
    """

    texts: pa.Table
    names: pa.ChunkedArray
    source: int
    ids: Bytes
    clusters: Bytes
    sides: Bytes
    shared: Mask

    @classmethod
    def of(cls, some: Stretch, places: Places) -> Self:
        """Texts that lie together, with their places."""
        rows = some.rows
        return cls(
            texts=some.texts,
            names=some.part.names(some.texts),
            source=some.part.source,
            ids=places.texts.ids[rows],
            clusters=places.anchors.first[rows],
            sides=places.sides[rows],
            shared=places.shared[rows],
        )

    @cached_property
    def in_anchor(self) -> Mask:
        """Which are of the anchor slice of validation, shape [N]."""
        found: Mask = np.zeros(len(self.sides), dtype=np.bool_)
        held = self.sides == _HELD
        found[held] = in_anchor_slices([cluster.tobytes() for cluster in self.clusters[held]])
        return found

    def cut(self, own: slice) -> Self:
        """Some of them."""
        length = own.stop - own.start
        return replace(
            self,
            texts=self.texts.slice(own.start, length),
            names=self.names.slice(own.start, length),
            **{name: getattr(self, name)[own] for name in ("ids", "clusters", "sides", "shared")},
        )
