"""Near-copies among the staged texts and those that the ledger knows: what hangs together.

In: the columns of the work folder, with the ledger attached.  Out: common anchors for the new
members of each group of near-copies.  Texts that the ledger knows but this corpus does not hold
take part, so that a new document joins the near-copies of any time; but for those of models that
text cannot leak to (`lmcore.data.ingest.split`), as they would cost time.

Letters of one template are alike, and as one cluster they would be on one side: most or nothing
would be held out.  A cluster of more than `MAX_SHARING` texts that holds too much of the corpus is
therefore taken apart by what its members have of their own (`lmcore.data.copies.templates`).
What they share is then on both sides.  A smaller cluster stays whole: nothing of it leaks.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from lmcore.data.config import DataConfig
from lmcore.data.copies.clustering import cluster
from lmcore.data.copies.containment import contained
from lmcore.data.copies.deduplication import NUM_MINIMA, Rows, Signatures
from lmcore.data.copies.forest import Forest, groups
from lmcore.data.copies.scratch import Scratch
from lmcore.data.copies.templates import MAX_SHARING, Template
from lmcore.data.ingest.anchors import Anchors
from lmcore.data.ingest.mapped_columns import Bytes, Column, blocks, first_words
from lmcore.data.ingest.split import (
    EVERYBODY,
    ID_BYTES,
    LANGUAGE_MODEL,
    TASK,
    SplitLedger,
    split_anchors,
)
from lmcore.data.ingest.staged_texts import Sketches
from lmcore.data.ingest.staging import Staging
from lmcore.durable import storing

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


def join_near_copies(
    work: sqlite3.Connection,
    staging: Staging,
    anchors: Anchors,
    *,
    data: DataConfig,
    ledger: SplitLedger,
) -> NearCopies:
    """Give new near-copies common anchors.

    Args:
        work: With the ledger attached.
        staging: What was read.
        anchors: What is known of it; new texts are hung on theirs.
        data: What counts as a near-copy.
        ledger: For whom it is split.

    Raises:
        StorageError: If the disk of the work folder is full or fails.
    """
    scratch = staging.scratch
    known = _Known(work, staging, anchors, ledger)
    if len(known) < 2:
        return NearCopies()
    mapped = np.memmap(staging.signatures_path, dtype=np.uint16, mode="r")
    signatures: Signatures = mapped.reshape(-1, NUM_MINIMA)
    clusters = cluster(
        signatures,
        known.order(scratch),
        similarity=data.near_duplicate_similarity,
        scratch=scratch,
        contained=contained(
            staging.texts.sketches.hashes(),
            len(known),
            share=data.near_duplicate_containment,
            scratch=scratch,
        ),
    )
    whole = _Whole(known, most=data.validation_fraction * MAX_SHARE_OF_HELD_OUT)
    templates: list[tuple[int, float]] = []
    for members in groups(clusters.roots, scratch):
        if whole.may_stay_together(members):
            known.join(members)
            continue
        template = Template(signatures, members)
        templates.append((len(members), template.shared))
        for copies in _apart(staging.texts.sketches, template, data, scratch):
            known.join(copies)
    letters = sum(number for number, _ in templates)
    return NearCopies(
        pairs=clusters.pairs,
        templates=len(templates),
        letters=letters,
        shared=sum(n * share for n, share in templates) / letters if letters else 0.0,
    )


class _Known:
    """Rows of this corpus, and behind them those of texts that only the ledger knows.

    Args:
        work: With the ledger attached.
        staging: What was read; signatures and sketches of the others are put behind it.
        anchors: What its texts hang on.
        ledger: For whom it is split.
    """

    def __init__(
        self, work: sqlite3.Connection, staging: Staging, anchors: Anchors, ledger: SplitLedger
    ) -> None:
        self.texts, self._anchors = staging.texts, anchors
        self._ids = Column(staging.folder / "absent-ids.bin", np.uint8, width=ID_BYTES)
        self._founders = Column(staging.folder / "absent-anchors.bin", np.uint8, width=ID_BYTES)
        self._several: dict[int, bytes] = {}
        with staging.signatures_path.open("ab") as signatures, storing(staging.signatures_path):
            for ids in _owned(work, ledger):
                absent = ids[~self.texts.has(ids)]
                self._add(work, absent, staging, signatures)
        self._absent, self._hang_on = self._ids.array(), self._founders.array()
        for column in (self._ids, self._founders):
            column.close()

    def _add(
        self, work: sqlite3.Connection, ids: Bytes, staging: Staging, signatures: IO[bytes]
    ) -> None:
        """Put texts that this corpus does not hold behind it, those that can be compared."""
        rows = [
            row
            for identity in ids
            for row in work.execute(
                "SELECT id, anchors, signature, coalesce(sketch, X'') FROM ledger.document"
                " WHERE id = ? AND signature NOT NULL",
                (identity.tobytes(),),
            )
        ]
        if not rows:
            return
        found, anchors, minima, sketches = zip(*rows, strict=True)
        for row, value in enumerate(anchors, start=len(self._ids.array())):
            if len(value) > ID_BYTES:
                self._several[row] = value
        self._ids.append(_table(found))
        self._founders.append(_table([value[:ID_BYTES] for value in anchors]))
        signatures.write(b"".join(minima))
        lengths = np.array([len(sketch) for sketch in sketches], dtype=np.int64)
        staging.texts.sketches.append(np.frombuffer(b"".join(sketches), np.uint8), lengths)

    def __len__(self) -> int:
        return len(self.texts) + len(self._absent)

    def order(self, scratch: Scratch) -> npt.NDArray[np.uint64]:
        """The first bytes of each text's id, which do not depend on its row."""
        order: npt.NDArray[np.uint64] = scratch.array(len(self), np.uint64)
        start = 0
        for ids in (self.texts.ids, self._absent):
            for block in blocks(len(ids)):
                order[start + block.start : start + block.stop] = first_words(ids[block])
            start += len(ids)
        return order

    def anchors_of(self, row: int) -> bytes | None:
        """What a row hangs on, if it hangs on anything yet."""
        if (absent := row - len(self.texts)) < 0:
            return self._anchors[row]
        return self._several.get(absent) or self._hang_on[absent].tobytes()

    def join(self, rows: Rows) -> None:
        """Hang the new members of a group of near-copies on the anchors of the known ones."""
        anchors: set[bytes] = set()
        new: list[int] = []
        for row in _each(rows):
            if (found := self.anchors_of(row)) is not None:
                anchors.update(split_anchors(found))
            else:
                new.append(row)
        if not new:
            return
        founder = min(self.texts.ids[row].tobytes() for row in new)
        value = b"".join(sorted(anchors or {founder}))
        for row in new:
            self._anchors[row] = value


def _owned(work: sqlite3.Connection, ledger: SplitLedger) -> Iterator[Bytes]:
    """Ids of texts that near-copies are looked for among, ascending, many at a time."""
    # By the index of owners, and never over all that the ledger knows.
    ids = work.execute(
        "SELECT id FROM ledger.owner WHERE kind = :kind AND model = :model"
        " UNION SELECT id FROM ledger.owner WHERE kind IN (SELECT value FROM json_each(:others))"
        " ORDER BY id",
        {
            "kind": ledger.kind,
            "model": ledger.model,
            "others": json.dumps(_LEAKING[ledger.kind]),
        },
    )
    while some := ids.fetchmany(_BLOCK):
        yield _table([identity for (identity,) in some])


def _table(values: Sequence[bytes]) -> Bytes:
    return np.frombuffer(b"".join(values), np.uint8).reshape(len(values), ID_BYTES)


class _Whole:
    """Whether a cluster can be on one side of the split as a whole.

    Args:
        known: All rows.
        most: Share of all documents, or of their bytes, that a cluster of very many may hold.
    """

    def __init__(self, known: _Known, *, most: float) -> None:
        self._known, self._sizes = known, known.texts.sizes
        size = sum(int(self._sizes[block].sum()) for block in blocks(len(self._sizes)))
        self._documents, self._bytes = most * len(self._sizes), most * size

    def may_stay_together(self, members: Rows) -> bool:
        """Few do, a small part does, and what was taken apart once is taken apart for ever."""
        if len(members) <= MAX_SHARING:
            return True
        documents, size, anchors = 0, 0, set[bytes]()
        for row in _each(members):
            if row < len(self._sizes):
                documents, size = documents + 1, size + int(self._sizes[row])
            if (found := self._known.anchors_of(row)) is not None:
                anchors.update(split_anchors(found))
            if documents > self._documents or size > self._bytes or len(anchors) > _MAX_ANCHORS:
                return False
        return True


def _apart(
    sketches: Sketches, template: Template, data: DataConfig, scratch: Scratch
) -> Iterator[Rows]:
    """The near-copies among letters of one template, by what they have of their own."""
    members = template.members
    forest = Forest(len(members), scratch)
    for left, right in template.copies(similarity=data.near_duplicate_similarity):
        forest.join(np.searchsorted(members, left), np.searchsorted(members, right))
    # A passage of the template is no more evidence here than it is above.
    for left, right in contained(
        sketches.hashes(members),
        len(members),
        share=data.near_duplicate_containment,
        scratch=scratch,
        most=template.most,
    ):
        forest.join(left, right)
    for places in groups(forest.roots(), scratch):
        yield members[places]


def _each(rows: Rows) -> Iterator[int]:
    for start in range(0, len(rows), _BLOCK):
        yield from rows[start : start + _BLOCK].tolist()
