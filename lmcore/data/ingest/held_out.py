"""How much is held out: within a tolerance of what was asked for, or refused.

In: the index of the work folder with the ledger attached, and table `side` as hashing filled it.
Out: appointments of clusters that are new, or one sentence that says which cluster is too large.

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
from collections.abc import Iterator

from lmcore.counted import counted
from lmcore.data.config import DataConfig
from lmcore.data.copies.templates import MAX_SHARING
from lmcore.data.ingest.places import clusters_by_side
from lmcore.data.ingest.split import (
    ID_BYTES,
    MIN_VALIDATION_CLUSTERS,
    SPLIT_KEY,
    Sides,
    keyed_uniform,
)
from lmcore.data.ingest.staging import Staging
from lmcore.errors import SourceError

#: Held-out documents may be so many times `data.validation_fraction` of all.
TOLERANCE = (0.5, 2.0)
_SIDES = ("train", "tune", "validation")


class HeldOut:
    """Appoints new clusters so that enough, and not too much, is held out.

    Args:
        work: Index with table `side`.
        sides: Which take the appointments.
        data: The fraction that is wanted.
    """

    def __init__(self, work: sqlite3.Connection, sides: Sides, *, data: DataConfig) -> None:
        self._work, self._sides, self._data = work, sides, data
        self._named = self._one("SELECT 1 FROM current WHERE forced = 'validation' LIMIT 1")
        self._documents, self._bytes = work.execute(
            "SELECT count(*), total(num_bytes) FROM current WHERE forced IS NULL"
        ).fetchone()
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
        found = self._clusters()
        total = sum(count for side, count in found.items() if side != "excluded")
        wanted = {
            "validation": 0 if self._named else min(MIN_VALIDATION_CLUSTERS, total // 3),
            "tune": 1,
            "train": 1,
        }
        appointed = 0
        for side, number in wanted.items():
            lacking = number - found.get(side, 0)
            donor = "train" if side != "train" else "validation"
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
        held, found = self._held_out(), self._clusters()
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
        found = self._clusters()
        missing = [side for side in _SIDES if not found.get(side)]
        if missing:
            (documents,) = self._work.execute("SELECT count(*) FROM current").fetchone()
            raise SourceError(
                f"too little text to split: {counted(documents, 'document')} in"
                f" {counted(sum(found.values()), 'cluster')}"
                f" of near-copies leave nothing for {' and '.join(missing)}, and train, tune and"
                " validation each need at least one; add text, set data.unit to paragraph or line,"
                " or raise data.validation_fraction and data.tune_fraction"
            )
        if self._named or self._least <= self._held_out() <= self._most:
            return
        largest = self._work.execute(
            "SELECT count(*), min(stage) FROM current WHERE forced IS NULL GROUP BY anchors"
            " HAVING NOT max(known) AND length(anchors) = ? AND count(*) > 1"
            " AND (2 * count(*) > ? OR (count(*) > ? AND 2 * total(num_bytes) > ?))"
            " ORDER BY 1 DESC LIMIT 1",
            (ID_BYTES, self._documents, MAX_SHARING, self._bytes),
        ).fetchone()
        if largest is not None:
            documents, stage = largest
            name = next(row["name"] for row in staging.rows() if row["stage"] == stage)
            raise SourceError(self._too_large(documents, name))

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
        (number,) = self._work.execute(
            "SELECT count(*) FROM (SELECT 1 FROM current GROUP BY anchors HAVING count(*) = 1"
            " OR (count(*) <= ? AND total(num_bytes) <= ?) LIMIT ?)",
            (self._large, self._large_bytes, len(_SIDES)),
        ).fetchone()
        return int(number)

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
        yield from self._work.execute(
            "SELECT anchors, count(*), total(num_bytes) FROM current c JOIN side USING (row)"
            " WHERE side = ? AND NOT known AND length(anchors) = ? AND anchors NOT IN"
            " (SELECT anchors FROM current WHERE (known OR (? AND forced NOT NULL))"
            " AND anchors IN (SELECT anchors FROM current WHERE NOT known)"
            " UNION SELECT anchor FROM ledger.appointment)"
            # The founder may be gone, but come back.
            " AND NOT EXISTS (SELECT 1 FROM ledger.document d WHERE d.id = c.anchors)"
            " GROUP BY anchors"
            " HAVING NOT ? OR (count(*) > 1 AND (count(*) > ? OR total(num_bytes) > ?))",
            (side, ID_BYTES, named_stay, only_large, self._large, self._large_bytes),
        )

    def _appoint(self, anchors: list[bytes], side: str) -> None:
        for anchor in anchors:
            self._sides.appoint(self._work, anchor, side)

    def _held_out(self) -> int:
        return self._one(
            "SELECT count(*) FROM current JOIN side USING (row)"
            " WHERE forced IS NULL AND side = 'validation'"
        )

    def _clusters(self) -> dict[str, int]:
        return clusters_by_side(self._work)

    def _one(self, question: str) -> int:
        found = self._work.execute(question).fetchone()
        return int(found[0]) if found else 0


def _first(anchor: bytes) -> float:
    return keyed_uniform(anchor, key=SPLIT_KEY)


def _last(anchor: bytes) -> float:
    return -keyed_uniform(anchor, key=SPLIT_KEY)
