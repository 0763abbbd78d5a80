"""Clusters and sides for everything that was staged, written to the split ledger.

In: the columns of the work folder and the ledger.  Out: the cluster and the side of each row; in
the ledger, one row for each new document.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from sqlite3 import connect

from lmcore.data.config import DataConfig
from lmcore.data.ingest.anchors import Anchors
from lmcore.data.ingest.equal_values import distinct
from lmcore.data.ingest.forms import join_new_forms
from lmcore.data.ingest.held_out import HeldOut
from lmcore.data.ingest.known_texts import join_known_forms, recognise, remember
from lmcore.data.ingest.mapped_columns import blocks
from lmcore.data.ingest.near_copies import NearCopies, join_near_copies
from lmcore.data.ingest.places import BRIDGING, COPY, Places
from lmcore.data.ingest.split import Sides, SplitLedger, attached_ledger
from lmcore.data.ingest.staging import Staging

# Pages of the ledger that are in memory, KiB.
_CACHE = "PRAGMA ledger.cache_size = -16384"


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
) -> tuple[Places, Assignment]:
    """Decide the side of every staged text and append the new ones to the ledger.

    Args:
        staging: What was read.
        data: How it is split.
        ledger: Where sides are remembered, and for whom they are decided.
        expected: Whether there must be one: documents were split before.

    Returns:
        Where each text ended up, and what was done.

    Raises:
        SourceError: If there are too few texts for train, tune and validation, or one cluster is so
            large that too much or too little would be held out.
        IntegrityError: If the ledger cannot be used.
        StorageError: If the disk of the work folder or of the ledger is full or fails.
    """
    texts, scratch = staging.texts, staging.scratch
    # Nothing but the ledger is written, so it has a transaction of its own.
    with (
        closing(connect(":memory:")) as work,
        attached_ledger(work, ledger.path, expected=expected),
    ):
        work.execute(_CACHE)
        anchors = Anchors(len(texts), scratch)
        known = recognise(work, staging, anchors)
        join_known_forms(work, texts, anchors, known)
        near = (
            join_near_copies(work, staging, anchors, data=data, ledger=ledger)
            if data.near_duplicates
            else NearCopies()
        )
        forms = distinct(texts.forms, scratch)
        other_forms = join_new_forms(texts, anchors, forms, scratch)
        anchors.found_clusters(texts.ids)
        sides = Sides(work, data=data)
        places = Places(texts, anchors, forms, scratch)
        places.decide(work, sides)
        held_out = HeldOut(work, places, sides, known=known, data=data, scratch=scratch)
        appointed = 0
        for step in (held_out.move_large, held_out.fill_sides, held_out.balance):
            if moved := step():
                appointed += moved
                places.decide(work, sides)
        held_out.check(staging)
        remember(work, staging, anchors, known, ledger)
    return places, Assignment(
        known=sum(int(known[block].sum()) for block in blocks(len(known))),
        near_copies=near,
        other_forms=other_forms,
        appointed=appointed,
        bridging=places.excluded(BRIDGING),
        copies=places.excluded(COPY),
    )
