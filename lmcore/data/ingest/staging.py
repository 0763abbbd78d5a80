"""The work folder between the two passes of ingest: texts on disk, an index beside them.

In: cleaned records, in reading order.  Out: staged rows that can be streamed again,
and an SQLite index with, for each distinct text, its id, signature and sketch.
Everything that grows with the corpus is in files, not in memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lmcore.data.copies.deduplication import SIGNATURE_BYTES, SignatureBatch, sketch
from lmcore.data.copies.shingles import folded_shingles
from lmcore.data.documents import RowWriter, read_rows
from lmcore.data.ingest.split import ID_BYTES
from lmcore.data.text.folding import fold, folded_form

_STEM = "staged"
_SCHEMA = pa.schema(
    [
        ("stage", pa.int64()),
        ("text", pa.large_string()),
        ("name", pa.string()),
        ("source", pa.int32()),
        ("num_bytes", pa.int64()),
        ("date", pa.string()),
        ("target", pa.large_string()),
    ]
)
# The rollback journal is a file: in memory it would hold every page that the split updates, and
# with them the sketches, which grow with the text. As this database never syncs, SQLite makes no
# common journal for it and the split ledger, so the ledger needs no file of the work folder to
# recover after a crash.
_INDEX = """
    PRAGMA journal_mode = TRUNCATE;
    PRAGMA synchronous = OFF;
    PRAGMA temp_store = FILE;
    PRAGMA cache_size = -16384;
    CREATE TABLE current (
        row INTEGER PRIMARY KEY,  -- place of the signature, without gaps
        stage INTEGER NOT NULL,   -- place of the text
        id BLOB NOT NULL UNIQUE,
        forced TEXT,              -- the side that its source names
        form BLOB NOT NULL,       -- the same for all copies that a reader takes for one text
        num_bytes INTEGER NOT NULL,
        sketch BLOB,
        known INTEGER NOT NULL DEFAULT 0,
        anchors BLOB
    );
"""


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A cleaned record on its way to becoming a document."""

    id: bytes
    text: str
    name: str
    source: int
    num_bytes: int
    date: str | None
    target: str | None


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where a staged text ended up.

    Attributes:
        stage: Place of the staged text.
        id: Its id.
        cluster: Id of its (smallest) anchor.
        side: Its side.
        shared: Whether other texts of this corpus are in the same cluster.
    """

    stage: int
    id: bytes
    cluster: bytes
    side: str
    shared: bool


@dataclass(frozen=True, kw_only=True)
class ClusterCounts:
    """Clusters in this corpus.

    Attributes:
        num_shared: Clusters of two documents or more.
        documents_in_shared: Documents in them.
        by_side: Clusters on each side.
    """

    num_shared: int
    documents_in_shared: int
    by_side: dict[str, int]


class Staging:
    """Pass one writes here, pass two reads here.

    Attributes:
        work: Index of the distinct texts: table `current`.
        signatures_path: Signature of each row of `current`, one after the other.
    """

    def __init__(self, folder: Path, *, near_duplicates: bool) -> None:
        self.folder = folder
        self.work = sqlite3.connect(folder / "index.sqlite")
        self.work.executescript(_INDEX)
        self.signatures_path = folder / "signatures.bin"
        self._signatures = self.signatures_path.open("wb")
        self._batch = SignatureBatch() if near_duplicates else None
        self._writer = RowWriter(folder, schema=_SCHEMA, stem=_STEM)
        self._num_staged = 0
        self.num_rows = 0

    def add(self, item: Staged, *, forced: str | None) -> bool:
        """Stage a text unless it is there already.

        Args:
            item: The record.
            forced: The side that its source names.

        Returns:
            Whether it is new; if not, only the named side is noted.
        """
        folded = fold(item.text)
        cursor = self.work.execute(
            "INSERT OR IGNORE INTO current (row, stage, id, forced, form, num_bytes)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(self.num_rows, self._num_staged, item.id, forced),
                *(folded_form(folded), item.num_bytes),
            ),
        )
        if cursor.rowcount == 0:
            # Whatever the order of sources: validation beats train, and a name beats a hash.
            if forced is not None:
                self.work.execute(
                    "UPDATE current SET forced = ? WHERE id = ?"
                    " AND (forced IS NULL OR ? = 'validation')",
                    (forced, item.id, forced),
                )
            return False
        if self._batch is not None:
            hashes = folded_shingles(folded)
            if len(sample := sketch(hashes)):
                self.work.execute(
                    "UPDATE current SET sketch = ? WHERE row = ?",
                    (sample.tobytes(), self.num_rows),
                )
            self._signatures.write(self._batch.add(hashes))
        self._writer.add(
            self._num_staged,
            item.text,
            item.name,
            item.source,
            item.num_bytes,
            item.date,
            item.target,
            num_bytes=item.num_bytes,
        )
        self._num_staged += 1
        self.num_rows += 1
        return True

    def forget_from(self, row: int) -> int:
        """Drop every text from this row on (of a file that turned out to be a bomb).

        Returns:
            How many were dropped.
        """
        if self._batch is not None:
            self._signatures.write(self._batch.flush())
            self._signatures.flush()
            self._signatures.truncate(row * SIGNATURE_BYTES)
            self._signatures.seek(row * SIGNATURE_BYTES)
        self.work.execute("DELETE FROM current WHERE row >= ?", (row,))
        dropped = self.num_rows - row
        self.num_rows = row
        return dropped

    def finish(self) -> None:
        """Flush everything; nothing is added after this."""
        if self._batch is not None:
            self._signatures.write(self._batch.flush())
        self._signatures.close()
        self._writer.close()
        self.work.commit()

    def close(self) -> None:
        """Release the files."""
        self._signatures.close()
        self.work.close()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Stream the staged rows again, those that were dropped included."""
        columns = tuple(_SCHEMA.names)
        for group in read_rows(self.folder, columns=columns, stem=_STEM):
            for values in zip(*(group[name] for name in columns), strict=True):
                yield dict(zip(columns, values, strict=True))

    def decided(self) -> Iterator[Placed]:
        """Stream where each text ended up, in the order of the staged texts."""
        self.work.execute(
            "CREATE TEMP TABLE shared_cluster AS"
            " SELECT substr(anchors, 1, ?) AS cluster, count(*) AS size"
            " FROM current GROUP BY 1 HAVING count(*) > 1",
            (ID_BYTES,),
        )
        self.work.execute("CREATE UNIQUE INDEX temp.shared_cluster_id ON shared_cluster (cluster)")
        rows = self.work.execute(
            "SELECT c.stage, c.id, substr(c.anchors, 1, ?1), s.side, t.size IS NOT NULL"
            " FROM current c JOIN side s USING (row) LEFT JOIN shared_cluster t"
            " ON t.cluster = substr(c.anchors, 1, ?1) ORDER BY c.row",
            (ID_BYTES,),
        )
        for stage, id_, cluster, side, shared in rows:
            yield Placed(stage=stage, id=id_, cluster=cluster, side=side, shared=bool(shared))

    def clusters(self) -> ClusterCounts:
        """Count clusters, after `decided`."""
        shared = self.work.execute("SELECT count(*), total(size) FROM shared_cluster").fetchone()
        by_side = self.work.execute(
            "SELECT side, count(DISTINCT substr(anchors, 1, ?))"
            " FROM current JOIN side USING (row) GROUP BY side",
            (ID_BYTES,),
        )
        return ClusterCounts(
            num_shared=shared[0], documents_in_shared=int(shared[1]), by_side=dict(by_side)
        )
