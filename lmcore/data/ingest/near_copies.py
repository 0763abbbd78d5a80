"""Near-copies among the staged texts and those that the ledger knows: what hangs together.

In: the index of the work folder with the ledger attached.  Out: common `anchors` for the new
members of each group of near-copies.  Texts that the ledger knows but this corpus does not hold
take part, so that a new document joins the near-copies of any time.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator

import numpy as np

from lmcore.data.config import DataConfig
from lmcore.data.copies.deduplication import NUM_MINIMA, cluster
from lmcore.data.ingest.split import split_anchors
from lmcore.data.ingest.staging import Staging

# A shingle that more texts than this share is boilerplate, and says nothing about copying.
MAX_SHARING = 50
_MIN_SHARED = 4


def join_near_copies(staging: Staging, *, data: DataConfig) -> int:
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
