"""Clusters and sides for everything that was staged, written to the split ledger.

In: the index of the work folder and the ledger.  Out: in the index, table `side`
with the side of each row; in the ledger, one row for each new document.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from lmcore.data.config import DataConfig
from lmcore.data.copies.deduplication import SIGNATURE_BYTES
from lmcore.data.ingest.forms import (
    exclude_forms_of_validation,
    join_known_forms,
    join_new_forms,
)
from lmcore.data.ingest.held_out import HeldOut
from lmcore.data.ingest.near_copies import NearCopies, join_near_copies
from lmcore.data.ingest.places import find_shared
from lmcore.data.ingest.split import (
    ID_BYTES,
    Sides,
    SplitLedger,
    attached_ledger,
    split_anchors,
)
from lmcore.data.ingest.staging import Staging

_LedgerRow = tuple[bytes, bytes, bytes | None, bytes | None, bytes]


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What the split did.

    Attributes:
        known: Documents that the ledger knew before.
        near_copies: Pairs of near-copies, and the templates among them.
        other_forms: Documents that are another form of a text that is there already.
        appointed: Clusters that were put on a side because hashing left it (nearly) empty, or held
            out too much or too little.
        bridging: Documents excluded because they are near-copies of clusters on two sides.
        copies: Documents excluded because a near-copy is validation text.
    """

    known: int
    near_copies: NearCopies
    other_forms: int
    appointed: int
    bridging: int
    copies: int


def assign(
    staging: Staging, *, data: DataConfig, ledger: SplitLedger, expected: bool = False
) -> Assignment:
    """Decide the side of every staged text and append the new ones to the ledger.

    Args:
        staging: What was read.
        data: How it is split.
        ledger: Where sides are remembered, and for whom they are decided.
        expected: Whether there must be one: documents were split before.

    Raises:
        SourceError: If there are too few texts for train, tune and validation, or one cluster is so
            large that too much or too little would be held out.
        IntegrityError: If the ledger cannot be used.
    """
    work = staging.work
    with attached_ledger(work, ledger.path, expected=expected):
        # Text by text, however many the ledger knows.
        work.execute(
            "UPDATE current SET known = 1, anchors = d.anchors FROM"
            " (SELECT c.id, d.anchors FROM current c CROSS JOIN ledger.document d ON d.id = c.id) d"
            " WHERE d.id = current.id"
        )
        (known,) = work.execute("SELECT count(*) FROM current WHERE known").fetchone()
        _learn_forms(staging)
        join_known_forms(work)
        near = (
            join_near_copies(staging, data=data, ledger=ledger)
            if data.near_duplicates
            else NearCopies()
        )
        other_forms = join_new_forms(work)
        work.execute("UPDATE current SET anchors = id WHERE anchors IS NULL")
        find_shared(work)
        sides = Sides(work, data=data)
        _place(work, sides)
        held_out = HeldOut(work, sides, data=data)
        appointed = 0
        for step in (held_out.move_large, held_out.fill_sides, held_out.balance):
            if moved := step():
                appointed += moved
                _place(work, sides)
        held_out.check(staging)
        work.executemany(
            "INSERT INTO ledger.document (id, anchors, signature, sketch, form)"
            " VALUES (?, ?, ?, ?, ?)",
            _new_documents(staging),
        )
        work.execute(
            "INSERT OR IGNORE INTO ledger.owner SELECT ?, ?, id FROM current",
            (ledger.kind, ledger.model),
        )
        reasons = dict(
            work.execute("SELECT reason, count(*) FROM side WHERE reason != '' GROUP BY reason")
        )
    return Assignment(
        known=known,
        near_copies=near,
        other_forms=other_forms,
        appointed=appointed,
        bridging=reasons.get("bridging", 0),
        copies=reasons.get("copy", 0),
    )


def _learn_forms(staging: Staging) -> None:
    """Bring what the ledger knew before texts had forms up to how texts are compared today."""
    learnt = (
        "SELECT row, id, anchors, sketch, form FROM current"
        " WHERE known AND id IN (SELECT id FROM ledger.document WHERE form IS NULL) ORDER BY row"
    )
    staging.work.executemany(
        "UPDATE ledger.document SET signature = coalesce(?3, signature),"
        " sketch = coalesce(?4, sketch), form = ?5 WHERE id = ?1",
        _with_signatures(staging, learnt),
    )


def _new_documents(staging: Staging) -> Iterator[_LedgerRow]:
    return _with_signatures(
        staging,
        "SELECT row, id, anchors, sketch, form FROM current WHERE NOT known ORDER BY row",
    )


def _with_signatures(staging: Staging, select: str) -> Iterator[_LedgerRow]:
    with staging.signatures_path.open("rb") as signatures:
        for row, document_id, anchors, sketch, form in staging.work.execute(select):
            signatures.seek(row * SIGNATURE_BYTES)
            yield document_id, anchors, signatures.read(SIGNATURE_BYTES) or None, sketch, form


def _place(work: sqlite3.Connection, sides: Sides) -> None:
    """Fill table `side`: row, side, and why a document is excluded."""
    work.execute("DROP TABLE IF EXISTS side")
    work.execute(
        "CREATE TABLE side (row INTEGER PRIMARY KEY, side TEXT NOT NULL, reason TEXT NOT NULL)"
    )
    rows = work.execute("SELECT row, anchors, forced FROM current")
    work.executemany(
        "INSERT INTO side VALUES (?, ?, ?)",
        ((row, *_own_side(anchors, forced, sides)) for row, anchors, forced in rows),
    )
    if work.execute("SELECT 1 FROM current WHERE forced NOT NULL LIMIT 1").fetchone():
        _exclude_copies_of_validation(work)
    exclude_forms_of_validation(work)


def _own_side(anchors: bytes, forced: str | None, sides: Sides) -> tuple[str, str]:
    if forced is None and len(anchors) == ID_BYTES:  # as nearly all are
        return sides.of(anchors), ""
    if forced == "validation":
        return forced, ""
    wanted = {sides.of(anchor) for anchor in split_anchors(anchors)}
    if forced == "train":  # early stopping still needs its share of it
        wanted = {"tune" if side == "tune" else "train" for side in wanted}
    return (wanted.pop(), "") if len(wanted) == 1 else ("excluded", "bridging")


def _exclude_copies_of_validation(work: sqlite3.Connection) -> None:
    """Where sources name sides, a cluster can lie on two: validation wins."""
    work.execute("DROP TABLE IF EXISTS held_out")
    work.execute("CREATE TABLE held_out (anchor BLOB PRIMARY KEY) WITHOUT ROWID")
    work.executemany("INSERT OR IGNORE INTO held_out VALUES (?)", _anchors_on(work, "validation"))
    work.execute("DROP TABLE IF EXISTS copied")
    work.execute("CREATE TABLE copied (row INTEGER PRIMARY KEY)")
    work.executemany("INSERT INTO copied VALUES (?)", _hanging_on_held_out(work))
    work.execute(
        "UPDATE side SET side = 'excluded', reason = 'copy' WHERE row IN (SELECT row FROM copied)"
    )


def _hanging_on_held_out(work: sqlite3.Connection) -> Iterator[tuple[int]]:
    rows = work.execute(
        "SELECT row, anchors FROM current JOIN side USING (row) WHERE side IN ('train', 'tune')"
    )
    for row, anchors in rows:
        for anchor in split_anchors(anchors):
            if work.execute("SELECT 1 FROM held_out WHERE anchor = ?", (anchor,)).fetchone():
                yield (row,)
                break


def _anchors_on(work: sqlite3.Connection, side: str) -> Iterator[tuple[bytes]]:
    rows = work.execute("SELECT anchors FROM current JOIN side USING (row) WHERE side = ?", (side,))
    for (anchors,) in rows:
        for anchor in split_anchors(anchors):
            yield (anchor,)
