"""Sides that homes share: what one split, the others keep where it is.

In: the split ledger of a home, and files with the rows that any home ever added.  Out: a ledger
that has all of them, and a file with those that only this home has.

For which models they were split is shared too; those of files that do not say it are everybody's.
A row is never changed.  Where two homes that knew nothing of each other have put the
same document somewhere, the row that was shared first counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lmcore.data.ingest.split import attached_ledger
from lmcore.errors import IntegrityError

_TABLES = """
    CREATE TABLE document (id BLOB PRIMARY KEY, anchors BLOB NOT NULL, signature BLOB, sketch BLOB,
        form BLOB) WITHOUT ROWID;
    CREATE TABLE appointment (anchor BLOB PRIMARY KEY, side TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE owner (kind TEXT, model TEXT, id BLOB, PRIMARY KEY (kind, model, id))
        WITHOUT ROWID;
"""
_OWNERS = "INSERT OR IGNORE INTO owner SELECT kind, model, id FROM other.owner"
_EVERYBODYS = "INSERT OR IGNORE INTO owner SELECT '', '', id FROM other.document"


def learn_sides(ledger: Path, shared: Sequence[Path]) -> None:
    """Add rows of other homes to a ledger.

    Args:
        ledger: It is made where it does not exist.
        shared: Files of `new_sides`, in the order in which they were shared.

    Raises:
        IntegrityError: If one of the files is none.
    """
    if not shared:
        return
    with closing(_union(shared)) as work, attached_ledger(work, ledger):
        work.execute(
            "INSERT INTO ledger.document (id, anchors, signature, sketch, form)"
            " SELECT id, anchors, signature, sketch, form FROM document WHERE true"
            " ON CONFLICT (id) DO UPDATE SET anchors = excluded.anchors"
            " WHERE anchors != excluded.anchors"
        )
        work.execute(
            "INSERT INTO ledger.appointment SELECT anchor, side FROM appointment WHERE true"
            " ON CONFLICT (anchor) DO UPDATE SET side = excluded.side WHERE side != excluded.side"
        )
        work.execute("INSERT OR IGNORE INTO ledger.owner SELECT kind, model, id FROM main.owner")


def new_sides(ledger: Path, shared: Sequence[Path], made: Path) -> int:
    """Write the rows that no file holds yet into one.

    Args:
        ledger: Of this home.
        shared: As of `learn_sides`.
        made: The file to make; there is none where there is nothing new.

    Returns:
        How many documents, clusters and notes of their models are new.
    """
    with closing(_union(shared)) as work, attached_ledger(work, ledger):
        documents = work.execute(
            "SELECT id, anchors, signature, sketch, form FROM ledger.document"
            " WHERE id NOT IN (SELECT id FROM document)"
        ).fetchall()
        appointments = work.execute(
            "SELECT anchor, side FROM ledger.appointment"
            " WHERE anchor NOT IN (SELECT anchor FROM appointment)"
        ).fetchall()
        owners = work.execute(
            "SELECT kind, model, id FROM ledger.owner EXCEPT SELECT kind, model, id FROM main.owner"
        ).fetchall()
    if documents or appointments or owners:
        with closing(sqlite3.connect(made)) as file:
            file.executescript(_TABLES)
            file.executemany("INSERT INTO document VALUES (?, ?, ?, ?, ?)", documents)
            file.executemany("INSERT INTO appointment VALUES (?, ?)", appointments)
            file.executemany("INSERT INTO owner VALUES (?, ?, ?)", owners)
            file.commit()
    return len(documents) + len(appointments) + len(owners)


def _union(shared: Sequence[Path]) -> sqlite3.Connection:
    work = sqlite3.connect("")  # on disk where it is large
    work.executescript(_TABLES)
    for path in shared:
        try:
            work.execute("ATTACH DATABASE ? AS other", (str(path),))
            work.execute("INSERT OR IGNORE INTO document SELECT * FROM other.document")
            work.execute("INSERT OR IGNORE INTO appointment SELECT * FROM other.appointment")
            work.execute(_OWNERS if _knows_owners(work) else _EVERYBODYS)
            work.commit()
            work.execute("DETACH DATABASE other")
        except sqlite3.DatabaseError as error:
            work.close()
            raise IntegrityError(
                f"{path}: no sides that homes share ({error}); delete it, and run again"
            ) from error
    return work


def _knows_owners(work: sqlite3.Connection) -> bool:
    tables = "SELECT 1 FROM other.sqlite_master WHERE name = 'owner'"
    return work.execute(tables).fetchone() is not None
