"""Which side a document is on, and the append-only ledger that keeps it there.

In: documents' ids and clusters of near-copies.  Out: a side for each document.

A document hangs on one or more *anchors*: ids of the documents that founded its
clusters.  Its side is a pure function of its anchors: a keyed hash of an anchor is
a number in [0, 1), and the fractions of the configuration cut that interval.  A
document whose anchors are on different sides is near-copy to both and is excluded.
The ledger (SQLite) only ever gains rows, so a document that was seen once keeps
its anchors, and so its side, whatever arrives later.  In a fresh ledger the founder of a
cluster is the smallest id in it, so that the result depends on the data alone.

One ledger serves all models of a home: a document that one is judged on must not be trained on by
another that it begins with, today or later.  That is a task that begins with a language model, so
text can leak between these two kinds, and not between two language models, or two tasks.  Each
document is noted for the models that split it, and near-copies are looked for among those of the
model and of all models of the other kind: what else is split in a home costs nothing here.  A text
that is known, in whatever form, has its side everywhere.

A corpus can be so small, or a cluster so large, that hashing leaves a side empty or holds
out too much or too little.  Then clusters that are new are appointed
(`lmcore.data.ingest.held_out`).  An appointment is written to the ledger and lasts.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from lmcore.data.config import DataConfig
from lmcore.data.documents import SPLITS, Split
from lmcore.durable import storing
from lmcore.errors import IntegrityError
from lmcore.kept_database import KeptDatabase, damage

SPLIT_KEY = b"lmcore split v1"
ANCHOR_KEY = b"lmcore anchor v1"
ID_BYTES = 32
MIN_VALIDATION_CLUSTERS = 3
# An anchor on no side, which only ledgers of recorded sides have.
NOWHERE = b"\xff" * ID_BYTES
#: Kinds of models that documents are split for; those of nobody's are everybody's.
LANGUAGE_MODEL, TASK, EVERYBODY = "language model", "task", ""
_SCHEMA_VERSION = 3
_VERSION = f"PRAGMA ledger.user_version = {_SCHEMA_VERSION};"
_FORMS = "CREATE INDEX ledger.document_form ON document (form);"
# What was split before this was noted is everybody's.
_OWNERS = """
    CREATE TABLE ledger.owner (
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        id BLOB NOT NULL,
        PRIMARY KEY (kind, model, id)
    ) WITHOUT ROWID;
    INSERT INTO ledger.owner SELECT '', '', id FROM ledger.document;
"""
# Version 1 did not know the forms of its texts; it learns them as the texts come again.
_UPGRADES = {
    1: "ALTER TABLE ledger.document ADD COLUMN form BLOB;" + _FORMS + _OWNERS + _VERSION,
    2: _OWNERS + _VERSION,
}
_SCHEMA = f"""
    CREATE TABLE ledger.document (
        id BLOB PRIMARY KEY CHECK (length(id) = {ID_BYTES}),
        anchors BLOB NOT NULL CHECK (length(anchors) >= {ID_BYTES}),
        signature BLOB,
        sketch BLOB,
        form BLOB
    ) WITHOUT ROWID;
    CREATE TABLE ledger.appointment (
        anchor BLOB PRIMARY KEY CHECK (length(anchor) = {ID_BYTES}),
        side TEXT NOT NULL
    ) WITHOUT ROWID;
    {_FORMS}
    {_OWNERS}
    {_VERSION}
"""


@dataclass(frozen=True)
class SplitLedger:
    """A ledger, and the model that is split for.

    Attributes:
        path: SQLite file that remembers every document's side.
        kind: `LANGUAGE_MODEL` or `TASK`; `EVERYBODY`: for any.
        model: Its name.
    """

    path: Path
    kind: str = EVERYBODY
    model: str = ""


def keyed_uniform(anchor: bytes, *, key: bytes) -> float:
    """A number in [0, 1) that depends on the key and the anchor's id (32 bytes) alone."""
    return float(keyed_uniforms([anchor], key=key)[0])


def keyed_uniforms(anchors: Sequence[bytes], *, key: bytes) -> npt.NDArray[np.float64]:
    """`keyed_uniform` of several anchors, shape [anchors]."""
    digests = [hashlib.sha256(key + anchor.hex().encode()).digest() for anchor in anchors]
    first = np.frombuffer(b"".join(digests), dtype=">u8")[::4].astype(np.uint64)
    # 53 bits fill a float exactly, so that rounding never reaches 1.
    return (first >> np.uint64(11)).astype(np.float64) / 2**53


def side_of(anchor: bytes, *, data: DataConfig) -> Split:
    """Side of an anchor: validation first, then tune, else train."""
    return SPLITS[int(sides_of([anchor], data=data)[0])]


def sides_of(anchors: Sequence[bytes], *, data: DataConfig) -> npt.NDArray[np.uint8]:
    """`side_of` several anchors, as places in `SPLITS`, shape [anchors]."""
    positions = keyed_uniforms(anchors, key=SPLIT_KEY)
    held, tuned = data.validation_fraction, data.tune_fraction
    return np.select(
        [positions < held, positions < held + tuned],
        [SPLITS.index("validation"), SPLITS.index("tune")],
        SPLITS.index("train"),
    ).astype(np.uint8)


def in_anchor_slice(anchor: bytes) -> bool:
    """Whether a validation cluster belongs to the anchor slice: half of them, by another key."""
    return bool(in_anchor_slices([anchor])[0])


def in_anchor_slices(anchors: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """`in_anchor_slice` of several validation clusters, shape [anchors]."""
    return keyed_uniforms(anchors, key=ANCHOR_KEY) < 0.5


def split_anchors(anchors: bytes) -> list[bytes]:
    """The ids in a ledger's `anchors` value, smallest first."""
    return [anchors[i : i + ID_BYTES] for i in range(0, len(anchors), ID_BYTES)]


@contextmanager
def attached_ledger(
    work: sqlite3.Connection, path: Path, *, expected: bool = False
) -> Iterator[None]:
    """Attach the split ledger as schema `ledger`, alone and in one durable transaction.

    Args:
        work: Where it is attached.
        path: The ledger; a damaged or lost one is put back as it was last written.
        expected: Whether it must be there: documents were split before.

    Raises:
        IntegrityError: If the file is no split ledger, or one of another version, or it is lost.
        StorageError: If its disk is full or fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = KeptDatabase(
        path,
        root=path.parent,
        holds="the side of every document that was ever split",
        remedy="restore it from a backup, or set LMCORE_HOME to another folder: with a split that"
        " is made anew, models would be judged on text that others were trained on",
        # Whoever looks at it holds the lock beside it.
        in_pieces=True,
    )
    with storing(path), FileLock(path.with_name(path.name + ".lock")):
        kept.ready(used=expected)
        try:
            work.execute("ATTACH DATABASE ? AS ledger", (str(path),))
            _prepare(work, path)
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"{path}: not a readable split ledger ({damage(error, path)}); restore it from a"
                " backup, or set LMCORE_HOME to another folder"
            ) from error
        try:
            yield
            work.commit()
        except BaseException:
            work.rollback()
            raise
        finally:
            # A statement that an error left open keeps the schema; closing `work` releases it.
            with suppress(sqlite3.OperationalError):
                work.execute("DETACH DATABASE ledger")
        kept.keep()


def _prepare(work: sqlite3.Connection, path: Path) -> None:
    work.execute("PRAGMA ledger.synchronous = FULL")
    (version,) = work.execute("PRAGMA ledger.user_version").fetchone()
    (tables,) = work.execute("SELECT count(*) FROM ledger.sqlite_master").fetchone()
    if version == 0 and tables == 0:
        work.executescript("BEGIN;" + _SCHEMA + "COMMIT;")
        version = _SCHEMA_VERSION
    if version in _UPGRADES:
        work.executescript("BEGIN;" + _UPGRADES[version] + "COMMIT;")
        version = _SCHEMA_VERSION
    if version != _SCHEMA_VERSION:
        raise IntegrityError(
            f"{path}: split ledger of version {version}, expected {_SCHEMA_VERSION}; use the"
            " program that wrote it, or set LMCORE_HOME to another folder"
        )


def write_recorded_sides(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a new ledger in which documents are where a version had them.

    A document set that holds the same documents is then split in the same way, whatever else
    the ledger of that time knew.

    Args:
        path: The file to make.
        rows: `id`, `cluster` and `split` of every document.
    """
    # Who is near-copy to two sides hangs on its own anchor and on one that is on no side.
    sides = {NOWHERE: "excluded"}
    anchors: list[tuple[bytes, bytes]] = []
    for row in rows:
        cluster = bytes.fromhex(row["cluster"])
        if row["split"] == "excluded":
            anchors.append((bytes.fromhex(row["id"]), cluster + NOWHERE))
            continue
        anchors.append((bytes.fromhex(row["id"]), cluster))
        # Where sources name sides, a cluster can lie on two; validation is named, not hashed.
        if row["split"] != "validation" or cluster not in sides:
            sides[cluster] = row["split"]
    with closing(sqlite3.connect(":memory:")) as work, attached_ledger(work, path):
        work.executemany("INSERT INTO ledger.document (id, anchors) VALUES (?, ?)", anchors)
        work.execute("INSERT INTO ledger.owner SELECT '', '', id FROM ledger.document")
        work.executemany("INSERT INTO ledger.appointment VALUES (?, ?)", list(sides.items()))


class Sides:
    """Sides of anchors, with what was appointed in the ledger."""

    def __init__(self, work: sqlite3.Connection, *, data: DataConfig) -> None:
        self._data = data
        # Appointments are few: they only happen while a corpus is tiny.
        rows = work.execute("SELECT anchor, side FROM ledger.appointment")
        self._appointed: dict[bytes, Split] = dict(rows)

    def of(self, anchor: bytes) -> Split:
        """The side of one anchor."""
        return self._appointed.get(anchor) or side_of(anchor, data=self._data)

    def of_all(self, anchors: Sequence[bytes]) -> npt.NDArray[np.uint8]:
        """The sides of several anchors, as their places in `SPLITS`, shape [anchors]."""
        codes = sides_of(anchors, data=self._data)
        if self._appointed:
            for place, anchor in enumerate(anchors):
                if (side := self._appointed.get(anchor)) is not None:
                    codes[place] = SPLITS.index(side)
        return codes

    def is_appointed(self, anchor: bytes) -> bool:
        """Whether an anchor has a side that was not hashed."""
        return anchor in self._appointed

    def appoint(self, work: sqlite3.Connection, anchor: bytes, side: Split) -> None:
        """Put a new cluster on a side, for good."""
        work.execute("INSERT INTO ledger.appointment VALUES (?, ?)", (anchor, side))
        self._appointed[anchor] = side
