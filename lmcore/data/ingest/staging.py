"""The work folder between the two passes of ingest: an index of the texts of all parts.

In: parts' folders, in reading order.  Out: their texts, which can be streamed again,
and an SQLite index with, for each distinct text, its id, signature and sketch.
Everything that grows with the corpus is in files, not in memory.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmcore.data.copies.deduplication import SIGNATURE_BYTES
from lmcore.data.documents import read_rows
from lmcore.data.ingest.part_task import SIGNATURES_FILE, STEM, PartFolder
from lmcore.data.ingest.reading_counts import name_of
from lmcore.data.ingest.split import ID_BYTES

# Signatures that are in memory while they are copied.
_SIGNATURES_TOGETHER = 1 << 14
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


@dataclass(frozen=True, kw_only=True)
class _Joined:
    """A part whose texts are staged: the first has the number `first`."""

    path: Path
    first: int
    source: int
    shift: int


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
        self._near_duplicates = near_duplicates
        self._parts: list[_Joined] = []
        self._num_staged = 0
        self.num_rows = 0

    def add_part(
        self,
        part: PartFolder,
        *,
        source: int,
        shift: int,
        forced: str | None,
        condemned: Sequence[Sequence[int]],
        on_duplicate: Callable[[str, int], None],
    ) -> None:
        """Stage the texts of a part that are not there already.

        Args:
            part: Its folder, which must stay until all is written.
            source: Number of its source.
            shift: Lines of the same file that came before.
            forced: The side that its source names.
            condemned: Rows [start, stop) of the part that are not to be used.
            on_duplicate: Told name and bytes of each text that was there.
        """
        first, new = self._num_staged, []
        columns = ("id", "form", "sketch", "num_bytes", "file", "position")
        row = -1
        for group in read_rows(part.path, columns=columns, stem=STEM):
            for id_, form, sketch, size, file, position in zip(
                *(group[name] for name in columns), strict=True
            ):
                row += 1
                if any(start <= row < stop for start, stop in condemned):
                    continue
                if self._add(first + row, id_, form, sketch, size, forced):
                    new.append(row)
                else:
                    on_duplicate(name_of(file, position and position + shift), size)
        if self._near_duplicates:
            self._copy_signatures(part.path / SIGNATURES_FILE, new, row + 1)
        self._parts.append(_Joined(path=part.path, first=first, source=source, shift=shift))
        self._num_staged += row + 1

    def _add(
        self,
        stage: int,
        id_: bytes,
        form: bytes,
        sketch: bytes | None,
        num_bytes: int,
        forced: str | None,
    ) -> bool:
        """Whether a text is new; if not, only the named side is noted."""
        cursor = self.work.execute(
            "INSERT OR IGNORE INTO current (row, stage, id, forced, form, num_bytes, sketch)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.num_rows, stage, id_, forced, form, num_bytes, sketch),
        )
        if cursor.rowcount:
            self.num_rows += 1
            return True
        # Whatever the order of sources: validation beats train, and a name beats a hash.
        if forced is not None:
            self.work.execute(
                "UPDATE current SET forced = ? WHERE id = ?"
                " AND (forced IS NULL OR ? = 'validation')",
                (forced, id_, forced),
            )
        return False

    def _copy_signatures(self, path: Path, rows: Sequence[int], of: int) -> None:
        if not rows:
            return
        found = np.memmap(path, dtype=np.uint8, mode="r", shape=(of, SIGNATURE_BYTES))
        for start in range(0, len(rows), _SIGNATURES_TOGETHER):
            self._signatures.write(found[rows[start : start + _SIGNATURES_TOGETHER]].tobytes())

    def finish(self) -> None:
        """Flush everything; nothing is added after this."""
        self._signatures.close()
        self.work.commit()

    def close(self) -> None:
        """Release the files."""
        self._signatures.close()
        self.work.close()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Stream the staged texts again."""
        columns = ("file", "position", "text", "num_bytes", "date", "target")
        staged = (stage for (stage,) in self.work.execute("SELECT stage FROM current ORDER BY row"))
        following = next(staged, None)
        for part in self._parts:
            stages = itertools.count(part.first)
            for group in read_rows(part.path, columns=columns, stem=STEM):
                for file, position, text, num_bytes, date, target in zip(
                    *(group[name] for name in columns), strict=True
                ):
                    if (stage := next(stages)) != following:
                        continue  # it was there already, or its file is condemned
                    following = next(staged, None)
                    yield {
                        "stage": stage,
                        "text": text,
                        "name": name_of(file, position and position + part.shift),
                        "source": part.source,
                        "num_bytes": num_bytes,
                        "date": date,
                        "target": target,
                    }

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
