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
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmcore.data.config import DataConfig
from lmcore.data.copies.clustering import cluster
from lmcore.data.copies.containment import contained
from lmcore.data.copies.deduplication import NUM_MINIMA, Rows, Signatures
from lmcore.data.copies.forest import Forest, groups
from lmcore.data.copies.scratch import Scratch
from lmcore.data.copies.templates import MAX_SHARING, Template
from lmcore.data.ingest.split import EVERYBODY, LANGUAGE_MODEL, TASK, SplitLedger, split_anchors
from lmcore.data.ingest.staging import Staging

# A cluster of very many may not hold more than this part of the share that is held out, which needs
# three clusters at least.
MAX_SHARE_OF_HELD_OUT = 0.5
# Kinds of models of which each document counts; of one's own kind, only one's own do.
_LEAKING = {
    LANGUAGE_MODEL: (EVERYBODY, TASK),
    TASK: (EVERYBODY, LANGUAGE_MODEL),
    EVERYBODY: (EVERYBODY, LANGUAGE_MODEL, TASK),
}
# A cluster whose members hang on more anchors was taken apart before.
_MAX_ANCHORS = 8
_BLOCK = 1 << 14
_SKETCHES = (
    "SELECT row, sketch FROM current WHERE sketch NOT NULL UNION ALL SELECT o.row, d.sketch"
    " FROM other o CROSS JOIN ledger.document d ON d.id = o.id WHERE d.sketch NOT NULL"
)


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

    Raises:
        StorageError: If the disk of the work folder is full or fails.
    """
    work = staging.work
    scratch = Scratch(staging.folder)
    num_rows = _gather_known(staging, ledger)
    if num_rows < 2:
        return NearCopies()
    mapped = np.memmap(staging.signatures_path, dtype=np.uint16, mode="r")
    signatures: Signatures = mapped.reshape(-1, NUM_MINIMA)
    clusters = cluster(
        signatures,
        _order(work, num_rows, scratch),
        similarity=data.near_duplicate_similarity,
        scratch=scratch,
        contained=contained(
            work.execute(_SKETCHES),
            num_rows,
            share=data.near_duplicate_containment,
            scratch=scratch,
        ),
    )
    whole = _Whole(work, most=data.validation_fraction * MAX_SHARE_OF_HELD_OUT)
    templates: list[tuple[int, float]] = []
    for members in groups(clusters.roots, scratch):
        if whole.may_stay_together(members):
            _join(work, members)
            continue
        template = Template(signatures, members)
        templates.append((len(members), template.shared))
        for copies in _apart(work, template, data, scratch):
            _join(work, copies)
    letters = sum(number for number, _ in templates)
    return NearCopies(
        pairs=clusters.pairs,
        templates=len(templates),
        letters=letters,
        shared=sum(n * share for n, share in templates) / letters if letters else 0.0,
    )


def _order(work: sqlite3.Connection, num_rows: int, scratch: Scratch) -> npt.NDArray[np.uint64]:
    """The first bytes of each text's id, which do not depend on its row."""
    order = scratch.array(num_rows, np.uint64)
    ids = work.execute("SELECT id, row FROM current UNION ALL SELECT id, row FROM other ORDER BY 2")
    for start in range(0, num_rows, _BLOCK):
        found = (int.from_bytes(id_[:8], "big") for id_, _ in itertools.islice(ids, _BLOCK))
        block = order[start : start + _BLOCK]
        block[:] = np.fromiter(found, dtype=np.uint64, count=len(block))
    return order


def _gather_known(staging: Staging, ledger: SplitLedger) -> int:
    """Put what only the ledger knows behind this corpus; returns rows."""
    work = staging.work
    work.execute("CREATE TABLE other (row INTEGER PRIMARY KEY, id BLOB, anchors BLOB)")
    num_rows = staging.num_rows
    # By the index of owners, and never over all that the ledger knows.
    absent = work.execute(
        "SELECT d.id, d.anchors, d.signature FROM"
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
        for document_id, anchors, signature in absent:
            work.execute("INSERT INTO other VALUES (?, ?, ?)", (num_rows, document_id, anchors))
            signatures.write(signature)
            num_rows += 1
    return num_rows


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
        for row in _each(members):
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


def _apart(
    work: sqlite3.Connection, template: Template, data: DataConfig, scratch: Scratch
) -> Iterator[Rows]:
    """The near-copies among letters of one template, by what they have of their own."""
    members = template.members
    forest = Forest(len(members), scratch)
    for left, right in template.copies(similarity=data.near_duplicate_similarity):
        forest.join(np.searchsorted(members, left), np.searchsorted(members, right))
    # A passage of the template is no more evidence here than it is above.
    for left, right in contained(
        _sketches_of(work, members),
        len(members),
        share=data.near_duplicate_containment,
        scratch=scratch,
        most=template.most,
    ):
        forest.join(left, right)
    for places in groups(forest.roots(), scratch):
        yield members[places]


def _sketches_of(work: sqlite3.Connection, members: Rows) -> Iterator[tuple[int, bytes]]:
    """Place and sketch of those members that have one."""
    for place, row in enumerate(_each(members)):
        (sketch,) = work.execute(
            "SELECT sketch FROM current WHERE row = ?1 UNION ALL SELECT d.sketch"
            " FROM other o JOIN ledger.document d ON d.id = o.id WHERE o.row = ?1",
            (row,),
        ).fetchone()
        if sketch is not None:
            yield place, sketch


def _each(rows: Rows) -> Iterator[int]:
    for start in range(0, len(rows), _BLOCK):
        yield from rows[start : start + _BLOCK].tolist()


def _join(work: sqlite3.Connection, rows: Rows) -> None:
    """Hang the new members of a group of near-copies on the anchors that the known ones have."""
    anchors: set[bytes] = set()
    founder: bytes | None = None
    for row in _each(rows):
        found = work.execute(
            "SELECT id, anchors FROM current WHERE row = ?1"
            " UNION ALL SELECT id, anchors FROM other WHERE row = ?1",
            (row,),
        ).fetchone()
        if found[1] is not None:
            anchors.update(split_anchors(found[1]))
        elif founder is None or found[0] < founder:
            founder = found[0]
    if founder is None:
        return  # none of them is new
    value = b"".join(sorted(anchors or {founder}))
    work.executemany(
        "UPDATE current SET anchors = ? WHERE row = ? AND anchors IS NULL",
        ((value, row) for row in _each(rows)),
    )
