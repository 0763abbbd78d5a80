"""Near-copies among the staged texts and those that the ledger knows: what hangs together.

In: the index of the work folder with the ledger attached.  Out: common `anchors` for the new
members of each group of near-copies.  Texts that the ledger knows but this corpus does not hold
take part, so that a new document joins the near-copies of any time; but for those of models that
text cannot leak to (`lmcore.data.ingest.split`), as they would cost time.

Letters of one template are alike, and as one cluster they would be on one side: most or nothing
would be held out.  A cluster of more than `MAX_SHARING` texts that holds too much of the corpus is
therefore taken apart by what its members have of their own (`lmcore.data.copies.templates`).
What they share is then on both sides.  A smaller cluster stays whole: nothing of it leaks.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lmcore.data.config import DataConfig
from lmcore.data.copies.deduplication import NUM_MINIMA, Forest, Rows, Signatures, cluster
from lmcore.data.copies.templates import MAX_SHARING, Template
from lmcore.data.ingest.split import EVERYBODY, LANGUAGE_MODEL, TASK, SplitLedger, split_anchors
from lmcore.data.ingest.staging import Staging

# A cluster of very many may not hold more than this part of the share that is held out, which needs
# three clusters at least.
MAX_SHARE_OF_HELD_OUT = 0.5
_MIN_SHARED = 4
# Kinds of models of which each document counts; of one's own kind, only one's own do.
_LEAKING = {
    LANGUAGE_MODEL: (EVERYBODY, TASK),
    TASK: (EVERYBODY, LANGUAGE_MODEL),
    EVERYBODY: (EVERYBODY, LANGUAGE_MODEL, TASK),
}
# A cluster whose members hang on more anchors was taken apart before.
_MAX_ANCHORS = 8


@dataclass(frozen=True, kw_only=True)
class NearCopies:
    """What hangs together, and what only looks as if it did.

    Attributes:
        pairs: Pairs of near-copies that were compared and confirmed.
        templates: Templates whose letters are no near-copies of one another.
        letters: Documents that were made from them, here and in the ledger.
        shared: Share of their text that is the template, on average; 0 without any.
    """

    pairs: int = 0
    templates: int = 0
    letters: int = 0
    shared: float = 0.0


def join_near_copies(staging: Staging, *, data: DataConfig, ledger: SplitLedger) -> NearCopies:
    """Give new near-copies common anchors.

    Args:
        staging: What was read, with the ledger attached.
        data: What counts as a near-copy.
        ledger: For whom it is split.
    """
    work = staging.work
    num_rows = _gather_known(staging, ledger)
    if num_rows < 2:
        return NearCopies()
    everything = "SELECT row, id FROM current UNION ALL SELECT row, id FROM other ORDER BY row"
    order = np.fromiter(
        (int.from_bytes(id_[:8], "big") for _, id_ in work.execute(everything)),
        dtype=np.uint64,
        count=num_rows,
    )
    mapped = np.memmap(staging.signatures_path, dtype=np.uint16, mode="r")
    signatures: Signatures = mapped.reshape(-1, NUM_MINIMA)
    clusters = cluster(
        signatures,
        order,
        similarity=data.near_duplicate_similarity,
        contained=_contained(work, share=data.near_duplicate_containment),
    )
    del order
    whole = _Whole(work, most=data.validation_fraction * MAX_SHARE_OF_HELD_OUT)
    templates: list[tuple[int, float]] = []
    for members in _groups(clusters.roots):
        if whole.may_stay_together(members):
            _join(work, members.tolist())
            continue
        template = Template(signatures, members)
        templates.append((len(members), template.shared))
        for copies in _apart(work, template, data):
            _join(work, copies.tolist())
    letters = sum(number for number, _ in templates)
    return NearCopies(
        pairs=clusters.pairs,
        templates=len(templates),
        letters=letters,
        shared=sum(n * share for n, share in templates) / letters if letters else 0.0,
    )


def _gather_known(staging: Staging, ledger: SplitLedger) -> int:
    """Index all sketches, and put what only the ledger knows behind this corpus; returns rows."""
    work = staging.work
    work.execute("CREATE TABLE other (row INTEGER PRIMARY KEY, id BLOB, anchors BLOB)")
    work.execute("CREATE TABLE sketch (hash INTEGER, row INTEGER)")
    _index_sketches(work, work.execute("SELECT row, sketch FROM current WHERE sketch NOT NULL"))
    num_rows = staging.num_rows
    # By the index of owners, and never over all that the ledger knows.
    absent = work.execute(
        "SELECT d.id, d.anchors, d.signature, d.sketch FROM"
        " (SELECT id FROM ledger.owner WHERE kind = :kind AND model = :model"
        " UNION SELECT id FROM ledger.owner WHERE kind IN (SELECT value FROM json_each(:others))) o"
        " CROSS JOIN ledger.document d ON d.id = o.id"
        " WHERE d.id NOT IN (SELECT id FROM current) AND d.signature NOT NULL ORDER BY d.id",
        {
            "kind": ledger.kind,
            "model": ledger.model,
            "others": json.dumps(_LEAKING[ledger.kind]),
        },
    )
    with staging.signatures_path.open("ab") as signatures:
        for document_id, anchors, signature, sketch in absent:
            work.execute("INSERT INTO other VALUES (?, ?, ?)", (num_rows, document_id, anchors))
            signatures.write(signature)
            if sketch is not None:
                _index_sketches(work, [(num_rows, sketch)])
            num_rows += 1
    return num_rows


def _groups(roots: Rows) -> Iterator[Rows]:
    """Rows of each cluster of two or more, in ascending order."""
    # Most rows are alone in their cluster; only the others are sorted.
    children = np.flatnonzero(roots != np.arange(len(roots)))
    rows = np.union1d(children, roots[children])
    ranks = rows[np.argsort(roots[rows], kind="stable")]
    edges = np.flatnonzero(np.diff(roots[ranks], prepend=-1, append=len(roots)))
    for start, end in itertools.pairwise(edges.tolist()):
        yield ranks[start:end]


class _Whole:
    """Whether a cluster can be on one side of the split as a whole.

    Args:
        work: Index of the texts.
        most: Share of all documents, or of their bytes, that a cluster of very many may hold.
    """

    def __init__(self, work: sqlite3.Connection, *, most: float) -> None:
        self._work = work
        (documents, size) = work.execute(
            "SELECT count(*), total(num_bytes) FROM current"
        ).fetchone()
        self._documents, self._bytes = most * documents, most * size

    def may_stay_together(self, members: Rows) -> bool:
        """Few do, a small part does, and what was taken apart once is taken apart for ever."""
        if len(members) <= MAX_SHARING:
            return True
        documents, size, anchors = 0, 0, set[bytes]()
        for row in members.tolist():
            found = self._work.execute(
                "SELECT num_bytes, anchors FROM current WHERE row = ?1"
                " UNION ALL SELECT NULL, anchors FROM other WHERE row = ?1",
                (row,),
            ).fetchone()
            if found[0] is not None:
                documents, size = documents + 1, size + found[0]
            if found[1] is not None:
                anchors.update(split_anchors(found[1]))
            if documents > self._documents or size > self._bytes or len(anchors) > _MAX_ANCHORS:
                return False
        return True


def _apart(work: sqlite3.Connection, template: Template, data: DataConfig) -> Iterator[Rows]:
    """The near-copies among letters of one template, by what they have of their own."""
    members = template.members
    forest = Forest(len(members))

    def join(left: Rows, right: Rows) -> None:
        ones, others = np.searchsorted(members, left), np.searchsorted(members, right)
        for one, other in zip(ones.tolist(), others.tolist(), strict=True):
            forest.join(one, other)

    for left, right in template.copies(similarity=data.near_duplicate_similarity):
        join(left, right)
    # A passage of the template is no more evidence here than it is above. The sketches of all have
    # been compared by now, so that those of the letters can take their place.
    work.execute("DELETE FROM sketch")
    for row in members.tolist():
        (sketch,) = work.execute(
            "SELECT sketch FROM current WHERE row = ?1 UNION ALL SELECT d.sketch"
            " FROM other o JOIN ledger.document d ON d.id = o.id WHERE o.row = ?1",
            (row,),
        ).fetchone()
        if sketch is not None:
            _index_sketches(work, [(row, sketch)])
    share = data.near_duplicate_containment
    for one, other in _contained(work, share=share, most=template.most):
        join(np.array([one]), np.array([other]))
    for places in _groups(forest.roots()):
        yield members[places]


def _index_sketches(work: sqlite3.Connection, rows: Iterable[tuple[int, bytes]]) -> None:
    work.executemany(
        "INSERT INTO sketch VALUES (?, ?)",
        (
            (value, row)
            for row, sketch in rows
            for value in np.frombuffer(sketch, dtype=np.uint32).tolist()
        ),
    )


def _contained(
    work: sqlite3.Connection, *, share: float, most: int = MAX_SHARING
) -> Iterator[tuple[int, int]]:
    """Pairs of rows of which one holds at least `share` of the other's sampled shingles.

    Args:
        work: Table `sketch` has the hashes of the rows that are compared.
        share: Of the smaller sketch.
        most: A shingle that more rows have says nothing.
    """
    work.execute("CREATE INDEX IF NOT EXISTS sketch_hash ON sketch (hash, row)")
    work.execute("DROP TABLE IF EXISTS sketch_size")
    work.execute("CREATE TABLE sketch_size AS SELECT row, count(*) AS size FROM sketch GROUP BY 1")
    work.execute("CREATE UNIQUE INDEX sketch_size_row ON sketch_size (row)")
    work.execute("DROP TABLE IF EXISTS shared")
    work.execute(
        "CREATE TABLE shared AS SELECT hash FROM sketch GROUP BY hash"
        " HAVING count(*) BETWEEN 2 AND ?",
        (most,),
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
