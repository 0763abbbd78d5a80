"""What the split ledger knows of texts, asked for many at a time.

In: the ledger, attached to a connection, and the texts of a corpus.  Out: which are known and what
they hang on; rows for those that are new.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np

from lmcore.data.copies.deduplication import SIGNATURE_BYTES
from lmcore.data.copies.forest import Rows
from lmcore.data.ingest.anchors import Anchors
from lmcore.data.ingest.mapped_columns import Mask, blocks
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.ingest.staged_texts import StagedTexts
from lmcore.data.ingest.staging import Staging

# Values of one question; SQLite takes 999 at least.
_TOGETHER = 500


def recognise(work: sqlite3.Connection, staging: Staging, anchors: Anchors) -> Mask:
    """Hang texts that the ledger knows on what they hang on there; returns which these are.

    A ledger from before texts had forms learns those of the texts that come again.
    """
    texts = staging.texts
    known: Mask = staging.scratch.array(len(texts), np.bool_)
    lacking: list[int] = []
    if work.execute("SELECT 1 FROM ledger.document LIMIT 1").fetchone() is None:
        return known
    # In the order of the ledger, which is looked at from front to back.
    for rows in _some(texts.in_order):
        ids = [identity.tobytes() for identity in texts.ids[rows]]
        marks = _marks(ids)
        question = f"SELECT id, anchors, form IS NULL FROM ledger.document WHERE id IN ({marks})"  # noqa: S608
        found = work.execute(question, ids).fetchall()
        places = dict(zip(ids, rows.tolist(), strict=True))
        here = [places[identity] for identity, _, _ in found]
        known[here] = True
        anchors.hang(here, [value for _, value, _ in found])
        lacking += [row for row, (_, _, lacks) in zip(here, found, strict=True) if lacks]
    _learn_forms(work, staging, lacking)
    return known


def _learn_forms(work: sqlite3.Connection, staging: Staging, rows: Sequence[int]) -> None:
    """Bring what the ledger knew before texts had forms up to how texts are compared today."""
    work.executemany(
        "UPDATE ledger.document SET signature = coalesce(?2, signature),"
        " sketch = coalesce(?3, sketch), form = ?4 WHERE id = ?1",
        _compared(staging, np.array(rows, dtype=np.int64)),
    )


def join_known_forms(
    work: sqlite3.Connection, texts: StagedTexts, anchors: Anchors, known: Mask
) -> None:
    """Hang new texts on the anchors of a text that the ledger knows in another form."""
    if work.execute("SELECT 1 FROM ledger.document LIMIT 1").fetchone() is None:
        return
    for block in blocks(len(texts)):
        for rows in _some(block.start + np.flatnonzero(~known[block])):
            forms = [form.tobytes() for form in texts.forms[rows]]
            found = _anchors_by_form(work, list(set(forms)))
            for row, form in zip(rows.tolist(), forms, strict=True):
                if form in found:
                    anchors[row] = found[form]


def _anchors_by_form(work: sqlite3.Connection, forms: Sequence[bytes]) -> dict[bytes, bytes]:
    marks = _marks(forms)
    question = f"SELECT form, min(anchors) FROM ledger.document WHERE form IN ({marks}) GROUP BY 1"  # noqa: S608
    return dict(work.execute(question, forms))


def remember(
    work: sqlite3.Connection, staging: Staging, anchors: Anchors, known: Mask, ledger: SplitLedger
) -> None:
    """Append the new texts to the ledger, and note all for whom they are split."""
    texts = staging.texts
    for block in blocks(len(texts)):
        rows = texts.in_order[block]
        new = rows[~known[rows]]
        work.executemany(
            "INSERT INTO ledger.document (id, signature, sketch, form, anchors)"
            " VALUES (?, ?, ?, ?, ?)",
            (
                (*compared, anchors[row])
                for row, compared in zip(new.tolist(), _compared(staging, new), strict=True)
            ),
        )
        _note_owner(work, [identity.tobytes() for identity in texts.ids[rows]], ledger)


def _note_owner(work: sqlite3.Connection, ids: Sequence[bytes], ledger: SplitLedger) -> None:
    """Note texts, in ascending order of their ids, for the model that they are split for."""
    owner = (ledger.kind, ledger.model)
    noted = work.execute(
        "SELECT id FROM ledger.owner WHERE kind = ? AND model = ? AND id BETWEEN ? AND ?",
        (*owner, ids[0], ids[-1]),
    )
    lacking = set(ids).difference(identity for (identity,) in noted)
    work.executemany(
        "INSERT INTO ledger.owner VALUES (?, ?, ?)",
        ((*owner, identity) for identity in sorted(lacking)),
    )


def _compared(
    staging: Staging, rows: Rows
) -> Iterator[tuple[bytes, bytes | None, bytes | None, bytes]]:
    """Id, signature, sketch and form of some texts."""
    texts, sketches = staging.texts, staging.texts.sketches.of(rows)
    with staging.signatures_path.open("rb") as signatures:
        for row, sketch in zip(rows.tolist(), sketches, strict=True):
            signatures.seek(row * SIGNATURE_BYTES)
            signature = signatures.read(SIGNATURE_BYTES) or None
            yield texts.ids[row].tobytes(), signature, sketch, texts.forms[row].tobytes()


def _some(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), _TOGETHER):
        yield rows[start : start + _TOGETHER]


def _marks(values: Sequence[bytes]) -> str:
    return ", ".join("?" * len(values))
