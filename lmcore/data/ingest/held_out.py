"""How much is held out: within a tolerance of what was asked for, or refused.

In: where texts ended up by hashing, with the ledger attached.  Out: appointments of clusters that
are new, or one sentence that says which cluster is too large.

Hashing holds out `data.validation_fraction` of the clusters.  Where there are few, or some are
large, that can be far from the same share of the documents.  The tolerance is half to twice the
fraction, in documents, and at least three clusters.  Documents that a source has put on a side do
not count, nor is anything moved that the ledger knows: there, the share is what it was.

* A cluster of two documents or more that alone holds more than the fraction, in documents or in
  bytes, is for training: held out, it would be most of what models are judged on.  But for
  a corpus of little else, whose sides all need a cluster.
* Sides that are (nearly) empty are filled with the clusters that a slightly larger fraction would
  have taken, until there are enough.
* Clusters are taken into or out of validation by the same rule until the tolerance is kept.
* Where that fails, and one cluster holds more than half of everything, nothing can be done.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterator

import numpy as np

from lmcore.counted import counted
from lmcore.data.config import DataConfig
from lmcore.data.copies.scratch import Scratch
from lmcore.data.copies.templates import MAX_SHARING
from lmcore.data.documents import Split
from lmcore.data.ingest.cluster_sums import Clusters
from lmcore.data.ingest.mapped_columns import Mask, blocks
from lmcore.data.ingest.places import Places
from lmcore.data.ingest.split import (
    MIN_VALIDATION_CLUSTERS,
    SPLIT_KEY,
    Sides,
    keyed_uniform,
)
from lmcore.data.ingest.staged_texts import UNNAMED, VALIDATION
from lmcore.data.ingest.staging import Staging
from lmcore.errors import SourceError

#: Held-out documents may be so many times `data.validation_fraction` of all.
TOLERANCE = (0.5, 2.0)
_SIDES: tuple[Split, ...] = ("train", "tune", "validation")


class HeldOut:
    """Appoints new clusters so that enough, and not too much, is held out.

    Args:
        work: With the ledger attached.
        places: Where texts ended up by hashing.
        sides: Which take the appointments.
        known: Whether the ledger knew a text before, shape [rows].
        data: The fraction that is wanted.
        scratch: Where arrays may lie.
    """

    def __init__(
        self,
        work: sqlite3.Connection,
        places: Places,
        sides: Sides,
        *,
        known: Mask,
        data: DataConfig,
        scratch: Scratch,
    ) -> None:
        self._work, self._sides, self._data = work, sides, data
        self._places, self._known, self._texts = places, known, places.texts
        # Those that hang on the very same anchors move together.
        self._clusters = Clusters(places.texts, places.anchors, scratch)
        self._rows = len(known)
        self._named = self._count(lambda block: self._texts.named[block] == VALIDATION)
        self._documents = self._count(self._unnamed)
        self._bytes = sum(
            int(self._texts.sizes[block][self._unnamed(block)].sum())
            for block in blocks(self._rows)
        )
        least, most = (factor * data.validation_fraction for factor in TOLERANCE)
        self._least, self._most = least * self._documents, most * self._documents
        self._large = data.validation_fraction * self._documents
        self._large_bytes = data.validation_fraction * self._bytes

    def move_large(self) -> int:
        """Keep for training what is too large to be held out; returns how many clusters."""
        if self._named or self._num_others() < len(_SIDES):
            return 0
        moved = 0
        for side in ("validation", "tune"):
            large = [anchor for anchor, _, _ in self._movable(side, only_large=True)]
            self._appoint(large, "train")
            moved += len(large)
        return moved

    def fill_sides(self) -> int:
        """Fill sides that hashing left (nearly) empty; returns how many clusters."""
        found = self._places.clusters_by_side()
        total = sum(count for side, count in found.items() if side != "excluded")
        wanted: dict[Split, int] = {
            "validation": 0 if self._named else min(MIN_VALIDATION_CLUSTERS, total // 3),
            "tune": 1,
            "train": 1,
        }
        appointed = 0
        for side, number in wanted.items():
            lacking = number - found.get(side, 0)
            donor: Split = "train" if side != "train" else "validation"
            spare = found.get(donor, 0) - wanted[donor]
            if lacking <= 0 or spare <= 0:
                continue
            # What no source has named a side for; where other text is held out, all the same.
            named_stay = "validation" in (side, donor)
            nearest = _last if side == "train" else _first
            ranked = heapq.nsmallest(
                min(lacking, spare),
                (
                    (side != "train" and self._is_large(documents, size), nearest(anchor), anchor)
                    for anchor, documents, size in self._movable(donor, named_stay=named_stay)
                ),
            )
            chosen = [anchor for _, _, anchor in ranked]
            self._appoint(chosen, side)
            found[side] = found.get(side, 0) + len(chosen)
            found[donor] = found.get(donor, 0) - len(chosen)
            appointed += len(chosen)
        return appointed

    def balance(self) -> int:
        """Take clusters into or out of validation by their hash; returns how many."""
        if self._named:
            return 0
        held, found = self._held_out(), self._places.clusters_by_side()
        chosen = []
        if held > self._most:
            spare = found.get("validation", 0) - MIN_VALIDATION_CLUSTERS
            for anchor, documents in self._nearest("validation", held - self._most):
                if held > self._most and spare > 0 and held - documents >= self._least:
                    chosen.append(anchor)
                    held, spare = held - documents, spare - 1
            self._appoint(chosen, "train")
        elif held < self._least:
            spare = found.get("train", 0) - 1
            for anchor, documents in self._nearest("train", self._least - held):
                if held < self._least and spare > 0 and held + documents <= self._most:
                    chosen.append(anchor)
                    held, spare = held + documents, spare - 1
            self._appoint(chosen, "validation")
        return len(chosen)

    def check(self, staging: Staging) -> None:
        """Refuse where a side is empty, or one cluster leaves too much or too little held out.

        Raises:
            SourceError: Naming what is too large, an example of it, and what to do.
        """
        found = self._places.clusters_by_side()
        missing = [side for side in _SIDES if not found.get(side)]
        if missing:
            raise SourceError(
                f"too little text to split: {counted(self._rows, 'document')} in"
                f" {counted(sum(found.values()), 'cluster')}"
                f" of near-copies leave nothing for {' and '.join(missing)}, and train, tune and"
                " validation each need at least one; add text, set data.unit to paragraph or line,"
                " or raise data.validation_fraction and data.tune_fraction"
            )
        if self._named or self._least <= self._held_out() <= self._most:
            return
        if (largest := self._largest()) is not None:
            documents, row = largest
            raise SourceError(self._too_large(documents, staging.name_of(row)))

    def _largest(self) -> tuple[int, int] | None:
        """Of a new cluster that is more than half of everything: documents, and its first row."""
        sums, old = self._clusters.sums(self._unnamed), self._clusters.marked(self._known_unnamed)
        most, size = self._documents, self._bytes
        found = [
            (int(documents), -row)
            for row, documents in self._clusters.on_one_anchor(sums, old)
            if documents > 1
            and (2 * documents > most or (documents > MAX_SHARING and 2 * sums.bytes[row] > size))
        ]
        if not found:
            return None
        documents, first = max(found)
        # The first row of a cluster may be named.
        return documents, self._clusters.first_of(-first, self._unnamed)

    def _too_large(self, documents: int, name: str) -> str:
        fraction = self._data.validation_fraction
        least, most = (min(1.0, factor * fraction) for factor in TOLERANCE)
        return (
            f"{documents:,} of {self._documents:,} documents are near-copies of one another, {name}"
            f" among them, so they are on one side of the split:"
            f" {counted(self._held_out(), 'document')}"
            f" would be held out, where data.validation_fraction={fraction:g} means {least:.0%} to"
            f" {most:.0%} of them; take out the copies or what they all share, add other text, name"
            " the sides (split: validation of a source), or set data.near_duplicates: false"
        )

    def _is_large(self, documents: int, size: float) -> bool:
        large = documents > self._large or size > self._large_bytes
        return documents > 1 and large

    def _num_others(self) -> int:
        """Clusters that are not large, counted up to as many as there are sides."""
        sums = self._clusters.sums(self._all)
        found = 0
        for block in blocks(self._rows):
            documents, size = sums.documents[block], sums.bytes[block]
            small = (documents <= self._large) & (size <= self._large_bytes)
            found += int(((documents == 1) | ((documents > 0) & small)).sum())
            if found >= len(_SIDES):
                return len(_SIDES)
        return found

    def _nearest(self, side: str, wanted: float) -> list[tuple[bytes, int]]:
        """Movable clusters of a side, nearest to the other by their hash; enough of them."""
        fits = (
            (anchor, documents)
            for anchor, documents, _ in self._movable(side)
            if side == "validation" or documents <= max(1, self._large)
        )
        key = _last if side == "validation" else _first
        return heapq.nsmallest(int(wanted) + 2, fits, key=lambda item: key(item[0]))

    def _movable(
        self, side: str, *, only_large: bool = False, named_stay: bool = True
    ) -> Iterator[tuple[bytes, int, float]]:
        """Clusters that are wholly new, and that no source has named a side for."""

        def new(block: slice) -> Mask:
            return self._places.on(side, block) & ~self._known[block]

        def stays(block: slice) -> Mask:
            named: Mask = ~self._unnamed(block) if named_stay else self._known[block]
            return self._known[block] | named

        sums = self._clusters.sums(new)
        for row, documents in self._clusters.on_one_anchor(sums, self._clusters.marked(stays)):
            size = float(sums.bytes[row])
            if only_large and not self._is_large(int(documents), size):
                continue
            anchor = self._places.anchors.first[row].tobytes()
            # The founder may be gone, but come back.
            if (
                not self._sides.is_appointed(anchor)
                and not self._work.execute(
                    "SELECT 1 FROM ledger.document WHERE id = ?", (anchor,)
                ).fetchone()
            ):
                yield anchor, int(documents), size

    def _appoint(self, anchors: list[bytes], side: Split) -> None:
        for anchor in anchors:
            self._sides.appoint(self._work, anchor, side)

    def _held_out(self) -> int:
        return self._count(
            lambda block: self._places.on("validation", block) & self._unnamed(block)
        )

    def _all(self, block: slice) -> Mask:
        return np.ones(block.stop - block.start, dtype=np.bool_)

    def _unnamed(self, block: slice) -> Mask:
        mask: Mask = self._texts.named[block] == UNNAMED
        return mask

    def _known_unnamed(self, block: slice) -> Mask:
        return self._unnamed(block) & self._known[block]

    def _count(self, wanted: Callable[[slice], Mask]) -> int:
        return sum(int(wanted(block).sum()) for block in blocks(self._rows))


def _first(anchor: bytes) -> float:
    return keyed_uniform(anchor, key=SPLIT_KEY)


def _last(anchor: bytes) -> float:
    return -keyed_uniform(anchor, key=SPLIT_KEY)
