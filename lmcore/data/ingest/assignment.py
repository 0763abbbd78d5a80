"""Clusters and sides for everything that was staged, written to the split ledger.

In: the index of the work folder and the ledger.  Out: in the index, table `side`
with the side of each row; in the ledger, one row for each new document.  Texts
that the ledger knows but this corpus does not hold take part in the clustering,
so that a new document joins the near-copies of any time.
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmcore.data.config import DataConfig
from lmcore.data.copies.deduplication import NUM_MINIMA, SIGNATURE_BYTES, cluster
from lmcore.data.ingest.split import (
    ID_BYTES,
    MIN_VALIDATION_CLUSTERS,
    SPLIT_KEY,
    Sides,
    attached_ledger,
    keyed_uniform,
    split_anchors,
)
from lmcore.data.ingest.staging import Staging
from lmcore.errors import SourceError

# A shingle that more texts than this share is boilerplate, and says nothing about copying.
MAX_SHARING = 50
_MIN_SHARED = 4


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What the split did.

    Attributes:
        known: Documents that the ledger knew before.
        pairs: Pairs of near-copies that were compared and confirmed.
        appointed: Clusters that were put on a side because hashing left it (nearly) empty.
        bridging: Documents excluded because they are near-copies of clusters on two sides.
        copies: Documents excluded because a near-copy is validation text.
    """

    known: int
    pairs: int
    appointed: int
    bridging: int
    copies: int


def assign(staging: Staging, *, data: DataConfig, ledger_path: Path) -> Assignment:
    """Decide the side of every staged text and append the new ones to the ledger.

    Raises:
        SourceError: If there are too few texts for train, tune and validation.
        IntegrityError: If the ledger cannot be used.
    """
    work = staging.work
    with attached_ledger(work, ledger_path):
        work.execute(
            "UPDATE current SET known = 1, anchors = d.anchors"
            " FROM ledger.document d WHERE d.id = current.id"
        )
        (known,) = work.execute("SELECT count(*) FROM current WHERE known").fetchone()
        pairs = _cluster(staging, data=data) if data.near_duplicates else 0
        work.execute("UPDATE current SET anchors = id WHERE anchors IS NULL")
        sides = Sides(work, data=data)
        _place(work, sides)
        appointed = _appoint(work, sides)
        if appointed:
            _place(work, sides)
        _check_sides(work)
        work.executemany("INSERT INTO ledger.document VALUES (?, ?, ?, ?)", _new_documents(staging))
        reasons = dict(
            work.execute("SELECT reason, count(*) FROM side WHERE reason != '' GROUP BY reason")
        )
    return Assignment(
        known=known,
        pairs=pairs,
        appointed=appointed,
        bridging=reasons.get("bridging", 0),
        copies=reasons.get("copy", 0),
    )


def _new_documents(
    staging: Staging,
) -> Iterator[tuple[bytes, bytes, bytes | None, bytes | None]]:
    select = "SELECT row, id, anchors, sketch FROM current WHERE NOT known ORDER BY row"
    with staging.signatures_path.open("rb") as signatures:
        for row, document_id, anchors, sketch in staging.work.execute(select):
            signatures.seek(row * SIGNATURE_BYTES)
            yield document_id, anchors, signatures.read(SIGNATURE_BYTES) or None, sketch


def _cluster(staging: Staging, *, data: DataConfig) -> int:
    """Give new near-copies common anchors; returns the number of similar pairs."""
    work = staging.work
    work.execute("CREATE TABLE other (row INTEGER PRIMARY KEY, id BLOB, anchors BLOB)")
    work.execute("CREATE TABLE sketch (hash INTEGER, row INTEGER)")
    _index_sketches(work, work.execute("SELECT row, sketch FROM current WHERE sketch NOT NULL"))
    num_rows = staging.num_rows
    absent = work.execute(
        "SELECT d.id, d.anchors, d.signature, d.sketch FROM ledger.document d"
        " LEFT JOIN current c ON c.id = d.id WHERE c.id IS NULL AND d.signature NOT NULL"
        " ORDER BY d.id"
    )
    with staging.signatures_path.open("ab") as signatures:
        for document_id, anchors, signature, sketch in absent:
            work.execute("INSERT INTO other VALUES (?, ?, ?)", (num_rows, document_id, anchors))
            signatures.write(signature)
            if sketch is not None:
                _index_sketches(work, [(num_rows, sketch)])
            num_rows += 1
    if num_rows < 2:
        return 0
    everything = "SELECT row, id FROM current UNION ALL SELECT row, id FROM other ORDER BY row"
    order = np.fromiter(
        (int.from_bytes(id_[:8], "big") for _, id_ in work.execute(everything)),
        dtype=np.uint64,
        count=num_rows,
    )
    clusters = cluster(
        np.memmap(staging.signatures_path, dtype=np.uint16, mode="r").reshape(-1, NUM_MINIMA),
        order,
        similarity=data.near_duplicate_similarity,
        contained=_contained(work, share=data.near_duplicate_containment),
    )
    del order
    # Most rows are alone in their cluster; only the others are sorted.
    roots = clusters.roots
    children = np.flatnonzero(roots != np.arange(num_rows))
    rows = np.union1d(children, roots[children])
    ranks = rows[np.argsort(roots[rows], kind="stable")]
    edges = np.flatnonzero(np.diff(roots[ranks], prepend=-1, append=num_rows))
    for start, end in itertools.pairwise(edges.tolist()):
        _join(work, ranks[start:end].tolist())
    return clusters.pairs


def _index_sketches(work: sqlite3.Connection, rows: Iterable[tuple[int, bytes]]) -> None:
    work.executemany(
        "INSERT INTO sketch VALUES (?, ?)",
        (
            (value, row)
            for row, sketch in rows
            for value in np.frombuffer(sketch, dtype=np.uint32).tolist()
        ),
    )


def _contained(work: sqlite3.Connection, *, share: float) -> Iterator[tuple[int, int]]:
    """Pairs of rows of which one holds at least `share` of the other's sampled shingles."""
    work.execute("CREATE INDEX sketch_hash ON sketch (hash, row)")
    work.execute("CREATE TABLE sketch_size AS SELECT row, count(*) AS size FROM sketch GROUP BY 1")
    work.execute("CREATE UNIQUE INDEX sketch_size_row ON sketch_size (row)")
    work.execute(
        "CREATE TABLE shared AS SELECT hash FROM sketch GROUP BY hash"
        " HAVING count(*) BETWEEN 2 AND ?",
        (MAX_SHARING,),
    )
    yield from work.execute(
        "SELECT p.a, p.b FROM (SELECT a.row AS a, b.row AS b, count(*) AS common FROM shared"
        " JOIN sketch a ON a.hash = shared.hash JOIN sketch b ON b.hash = a.hash AND b.row > a.row"
        " GROUP BY 1, 2 HAVING common >= ?) p"
        " JOIN sketch_size s ON s.row = p.a JOIN sketch_size t ON t.row = p.b"
        " WHERE p.common >= ? * min(s.size, t.size)",
        (_MIN_SHARED, share),
    )


def _join(work: sqlite3.Connection, rows: list[int]) -> None:
    """Hang the new members of a group of near-copies on the anchors that the known ones have."""
    anchors: set[bytes] = set()
    new: list[tuple[int, bytes]] = []
    for row in rows:
        found = work.execute(
            "SELECT id, anchors FROM current WHERE row = ?1"
            " UNION ALL SELECT id, anchors FROM other WHERE row = ?1",
            (row,),
        ).fetchone()
        if found[1] is None:
            new.append((row, found[0]))
        else:
            anchors.update(split_anchors(found[1]))
    value = b"".join(sorted(anchors or {min((id_ for _, id_ in new), default=b"")}))
    work.executemany(
        "UPDATE current SET anchors = ? WHERE row = ?", [(value, row) for row, _ in new]
    )


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


def _own_side(anchors: bytes, forced: str | None, sides: Sides) -> tuple[str, str]:
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
    copies: list[tuple[int]] = []
    rows = work.execute(
        "SELECT row, anchors FROM current JOIN side USING (row) WHERE side IN ('train', 'tune')"
    )
    for row, anchors in rows:
        for anchor in split_anchors(anchors):
            if work.execute("SELECT 1 FROM held_out WHERE anchor = ?", (anchor,)).fetchone():
                copies.append((row,))
                break
    work.executemany("UPDATE side SET side = 'excluded', reason = 'copy' WHERE row = ?", copies)


def _anchors_on(work: sqlite3.Connection, side: str) -> Iterator[tuple[bytes]]:
    rows = work.execute("SELECT anchors FROM current JOIN side USING (row) WHERE side = ?", (side,))
    for (anchors,) in rows:
        for anchor in split_anchors(anchors):
            yield (anchor,)


def _clusters_on(work: sqlite3.Connection) -> dict[str, int]:
    return dict(
        work.execute(
            "SELECT side, count(DISTINCT substr(anchors, 1, ?))"
            " FROM current JOIN side USING (row) GROUP BY side",
            (ID_BYTES,),
        )
    )


def _appoint(work: sqlite3.Connection, sides: Sides) -> int:
    """Fill sides that hashing left (nearly) empty with new clusters; returns how many."""
    found = _clusters_on(work)
    total = sum(count for side, count in found.items() if side != "excluded")
    named = work.execute("SELECT 1 FROM current WHERE forced = 'validation' LIMIT 1").fetchone()
    wanted = {
        "validation": 0 if named else min(MIN_VALIDATION_CLUSTERS, total // 3),
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
        # Only clusters that are wholly new, and that no source has named a side for, may move.
        named_stay = "validation" in (side, donor)
        movable = work.execute(
            "SELECT DISTINCT anchors FROM current JOIN side USING (row)"
            " WHERE side = ? AND length(anchors) = ? AND anchors NOT IN"
            " (SELECT anchors FROM current WHERE known OR (? AND forced NOT NULL)"
            " UNION SELECT anchor FROM ledger.appointment)",
            (donor, ID_BYTES, named_stay),
        )
        chosen = heapq.nsmallest(
            min(lacking, spare),
            (anchor for (anchor,) in movable),
            key=lambda a: keyed_uniform(a, key=SPLIT_KEY) * (-1 if side == "train" else 1),
        )
        for anchor in chosen:
            sides.appoint(work, anchor, side)
        found[side] = found.get(side, 0) + len(chosen)
        found[donor] = found.get(donor, 0) - len(chosen)
        appointed += len(chosen)
    return appointed


def _check_sides(work: sqlite3.Connection) -> None:
    found = _clusters_on(work)
    missing = [side for side in ("train", "tune", "validation") if not found.get(side)]
    if missing:
        (documents,) = work.execute("SELECT count(*) FROM current").fetchone()
        total = sum(found.values())
        raise SourceError(
            f"too little text to split: {documents} documents in {total} clusters of near-copies"
            f" leave nothing for {' and '.join(missing)}, and train, tune and validation each need"
            " at least one; add text, set data.unit to paragraph or line, or raise"
            " data.validation_fraction and data.tune_fraction"
        )
