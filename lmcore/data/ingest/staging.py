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
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lmcore.data.copies.deduplication import SIGNATURE_BYTES
from lmcore.data.documents import read_rows
from lmcore.data.ingest.part_task import SIGNATURES_FILE, STEM, PartFolder
from lmcore.data.ingest.places import Placed, decided
from lmcore.data.ingest.reading_counts import name_of
from lmcore.data.ingest.split import in_anchor_slice

_TEXT = ("file", "position", "text", "num_bytes", "date", "target")
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
class PlacedTexts:
    """Some texts of a part, which all stay, and where each ended up.

    Attributes:
        texts: Columns file, position, text, num_bytes, date, target; N rows.
        placed: N places.
        names: N names.
        source: Number of their source.
    """

    texts: pa.Table
    placed: list[Placed]
    names: list[str]
    source: int

    @cached_property
    def in_anchor(self) -> list[bool]:
        """Which are of the anchor slice of validation."""
        return [p.side == "validation" and in_anchor_slice(p.cluster) for p in self.placed]


@dataclass(frozen=True, kw_only=True)
class _Joined:
    """A part whose texts are staged: the first has the number `first`."""

    path: Path
    first: int
    source: int
    shift: int

    def name(self, file: str, position: int) -> str:
        """What a text of the part is called in its source."""
        return name_of(file, position and position + self.shift)


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
        first, before = self._num_staged, self.num_rows
        joined = _Joined(path=part.path, first=first, source=source, shift=shift)
        columns = ("id", "form", "sketch", "num_bytes", "file", "position")
        row = 0
        for group in read_rows(part.path, columns=columns, stem=STEM):
            rows = list(zip(*(group[name] for name in columns), strict=True))
            stays = [
                place
                for place in range(row, row + len(rows))
                if not any(start <= place < stop for start, stop in condemned)
            ]
            new = self._add([(first + place, forced, *rows[place - row][:4]) for place in stays])
            for place in stays:
                if first + place not in new:
                    id_, _, _, size, file, position = rows[place - row]
                    self._name_side(id_, forced)
                    on_duplicate(joined.name(file, position), size)
            row += len(rows)
        if self._near_duplicates:
            staged = self.work.execute(
                "SELECT stage FROM current WHERE row >= ? ORDER BY row", (before,)
            )
            here = [stage - first for (stage,) in staged]
            self._copy_signatures(part.path / SIGNATURES_FILE, here, row)
        self._parts.append(joined)
        self._num_staged += row

    def _add(self, texts: Sequence[tuple[Any, ...]]) -> set[int]:
        """Stage texts (stage, forced, id, form, sketch, num_bytes); gives those that are new."""
        before = self.num_rows
        # What SQLite numbers by itself begins with 1.
        rows = [0 if before == place == 0 else None for place in range(len(texts))]
        self.work.executemany(
            "INSERT OR IGNORE INTO current (row, stage, forced, id, form, sketch, num_bytes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((row, *text) for row, text in zip(rows, texts, strict=True)),
        )
        staged = self.work.execute(
            "SELECT stage FROM current WHERE row >= ? ORDER BY row", (before,)
        )
        new = {stage for (stage,) in staged}
        self.num_rows += len(new)
        return new

    def _name_side(self, id_: bytes, forced: str | None) -> None:
        """Note the side that is named for a text that was there already."""
        # Whatever the order of sources: validation beats train, and a name beats a hash.
        if forced is not None:
            self.work.execute(
                "UPDATE current SET forced = ? WHERE id = ?"
                " AND (forced IS NULL OR ? = 'validation')",
                (forced, id_, forced),
            )

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
        columns = _TEXT
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
                        "name": part.name(file, position),
                        "source": part.source,
                        "num_bytes": num_bytes,
                        "date": date,
                        "target": target,
                    }

    def placed_texts(self) -> Iterator[PlacedTexts]:
        """Stream the staged texts again, each with where it ended up, as many as lie together."""
        placed = decided(self.work)
        following = next(placed, None)
        for part in self._parts:
            first = part.first
            for texts in _tables(part.path):
                stop, here = first + len(texts), list[Placed]()
                while following is not None and following.stage < stop:
                    here.append(following)
                    following = next(placed, None)
                if len(here) < len(texts):
                    # The others were there already, or their file is condemned.
                    texts = texts.take(
                        pa.array([place.stage - first for place in here], pa.int64())
                    )
                first = stop
                files, positions = (texts[name].to_pylist() for name in ("file", "position"))
                names = list(map(part.name, files, positions))
                if here:
                    yield PlacedTexts(texts=texts, placed=here, names=names, source=part.source)


def _tables(part: Path) -> Iterator[pa.Table]:
    """The texts of a part, a row group at a time."""
    for path in sorted(part.glob(f"{STEM}-*.parquet")):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=list(_TEXT), use_threads=False)
