"""The work folder between the two passes of ingest: an index of the texts of all parts.

In: parts' folders, in reading order.  Out: columns with, for each distinct text, its id, form,
signature and sketch, and the texts themselves, which can be streamed again.  Everything that grows
with the corpus is in files, not in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lmcore.data.copies.deduplication import SIGNATURE_BYTES
from lmcore.data.copies.forest import Rows
from lmcore.data.copies.scratch import Scratch
from lmcore.data.ingest.mapped_columns import Mask, fixed_bytes, joined_bytes
from lmcore.data.ingest.part_task import SIGNATURES_FILE, STEM, PartFolder
from lmcore.data.ingest.split import ID_BYTES
from lmcore.data.ingest.staged_texts import NAMED, StagedTexts
from lmcore.data.text.folding import FORM_BYTES
from lmcore.durable import storing

_TEXT = ("file", "position", "text", "num_bytes", "date", "target")
_PLACE = ("file", "position", "num_bytes")
_COMPARED = ("id", "form", "sketch", "num_bytes")
# Signatures that are in memory while they are copied.
_SIGNATURES_TOGETHER = 1 << 14


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part whose texts are staged.

    Attributes:
        path: Its folder.
        first: Stage of its first text.
        stop: Stage behind its last one.
        source: Number of its source.
        shift: Lines of the same file that came before.
    """

    path: Path
    first: int
    stop: int
    source: int
    shift: int

    def names(self, texts: pa.Table) -> pa.ChunkedArray:
        """What texts are called in their source, as `reading_counts.name_of` a text."""
        positions = texts["position"]
        shifted = pc.cast(pc.add(positions, self.shift), pa.string())
        numbered = pc.binary_join_element_wise(texts["file"], shifted, ":")
        return pc.if_else(pc.equal(positions, 0), texts["file"], numbered)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Texts of a part that all stay and lie together.

    Attributes:
        part: Their part.
        texts: The columns that were asked for; N rows.
        rows: Their rows among all texts, N.
    """

    part: Part
    texts: pa.Table
    rows: slice


class Staging:
    """Pass one writes here, pass two reads here.

    Attributes:
        folder: Of its files.
        texts: Columns of the distinct texts, once all are added.
        scratch: Where what is computed of them may lie.
        signatures_path: Signature of each of them, one after the other.

    Args:
        folder: Of the files; it must be there.
        near_duplicates: Whether parts have signatures.
    """

    def __init__(self, folder: Path, *, near_duplicates: bool) -> None:
        self.folder, self.scratch = folder, Scratch(folder)
        self.texts = StagedTexts(folder, self.scratch)
        self.signatures_path = folder / "signatures.bin"
        self._near_duplicates = near_duplicates
        self._parts: list[Part] = []

    @property
    def num_rows(self) -> int:
        """How many texts there are, once all are added."""
        return len(self.texts)

    def add_part(
        self,
        part: PartFolder,
        *,
        source: int,
        shift: int,
        forced: str | None,
        condemned: Sequence[Sequence[int]],
    ) -> None:
        """Stage the texts of a part.

        Args:
            part: Its folder, which must stay until all is written.
            source: Number of its source.
            shift: Lines of the same file that came before.
            forced: The side that its source names.
            condemned: Rows [start, stop) of the part that are not to be used.

        Raises:
            StorageError: If the disk is full or fails.
        """
        first = stop = self._parts[-1].stop if self._parts else 0
        for table in _tables(part.path, _COMPARED):
            stages = np.arange(stop, stop + len(table))
            stop += len(table)
            stays: Mask = np.ones(len(table), dtype=np.bool_)
            for begin, end in condemned:
                stays &= (stages < first + begin) | (stages >= first + end)
            if not stays.all():
                table, stages = table.filter(pa.array(stays)), stages[stays]
            self.texts.add(
                ids=fixed_bytes(table["id"], ID_BYTES),
                forms=fixed_bytes(table["form"], FORM_BYTES),
                sizes=table["num_bytes"].to_numpy(),
                named=NAMED[forced],
                stages=stages,
                sketches=joined_bytes(table["sketch"]),
            )
        self._parts.append(Part(path=part.path, first=first, stop=stop, source=source, shift=shift))

    def finish(self, *, on_duplicate: Callable[[str, int], None]) -> None:
        """Keep each text once; nothing is added after this.

        Args:
            on_duplicate: Told name and bytes of each text that was there already.

        Raises:
            StorageError: If the disk is full or fails.
        """
        copies = self.texts.drop_copies()
        for part, places in self._rows_by_part(copies):
            for some in _stretches(part, places, copies, _PLACE):
                names = part.names(some.texts).to_pylist()
                for name, size in zip(names, some.texts["num_bytes"].to_pylist(), strict=True):
                    on_duplicate(name, size)
        with storing(self.signatures_path), self.signatures_path.open("wb") as signatures:
            if not self._near_duplicates:
                return
            for part, rows in self._rows_by_part(self.texts.stages):
                here = self.texts.stages[rows] - part.first
                shape = (part.stop - part.first, SIGNATURE_BYTES)
                found = np.memmap(part.path / SIGNATURES_FILE, np.uint8, mode="r", shape=shape)
                for start in range(0, len(here), _SIGNATURES_TOGETHER):
                    some_rows = here[start : start + _SIGNATURES_TOGETHER]
                    signatures.write(found[some_rows].data)

    def close(self) -> None:
        """Release the files."""
        self.texts.close()

    def parts(self) -> Iterator[tuple[Part, slice]]:
        """The parts of which texts stay, and the rows of these."""
        return self._rows_by_part(self.texts.stages)

    def stretches_of(self, part: Part, rows: slice, columns: Sequence[str]) -> Iterator[Stretch]:
        """Stream the texts of a part again, as many as lie together.

        Args:
            part: One of `parts`.
            rows: Its rows.
            columns: Of its file.
        """
        return _stretches(part, rows, self.texts.stages, columns)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Stream the texts again, one by one, each with its name."""
        for part, rows in self.parts():
            for some in self.stretches_of(part, rows, _TEXT):
                names = some.part.names(some.texts).to_pylist()
                for name, row in zip(names, some.texts.to_pylist(), strict=True):
                    yield {**row, "name": name}

    def name_of(self, row: int) -> str:
        """What a text is called in its source."""
        for part, rows in self.parts():
            if rows.start <= row < rows.stop:
                own = slice(row, row + 1)
                (some,) = self.stretches_of(part, own, ("file", "position"))
                name: str = part.names(some.texts)[0].as_py()
                return name
        raise IndexError(row)

    def _rows_by_part(self, stages: Rows) -> Iterator[tuple[Part, slice]]:
        """Places of some stages, which ascend, by part; parts without any are left out."""
        for part in self._parts:
            start, stop = np.searchsorted(stages, (part.first, part.stop)).tolist()
            if stop > start:
                yield part, slice(start, stop)


def _stretches(
    part: Part, places: slice, stages: Rows, columns: Sequence[str]
) -> Iterator[Stretch]:
    """Texts of a part by their stages, of which those in some places are wanted."""
    start, first = places.start, part.first
    for file, group, rows in _row_groups(part.path):
        after = first + rows
        stop = start + int(np.searchsorted(stages[start : min(start + rows, places.stop)], after))
        if stop > start:
            table = file.read_row_group(group, columns=list(columns), use_threads=False)
            own = stages[start:stop] - first
            if stop - start == own[-1] + 1 - own[0]:  # they lie together
                table = table.slice(own[0], stop - start)
            else:
                table = table.take(pa.array(own))
            yield Stretch(part=part, texts=table, rows=slice(start, stop))
        first, start = after, stop
        if start == places.stop:
            return


def _tables(part: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Columns of all texts of a part, a row group at a time."""
    for file, group, _ in _row_groups(part):
        yield file.read_row_group(group, columns=list(columns), use_threads=False)


def _row_groups(part: Path) -> Iterator[tuple[pq.ParquetFile, int, int]]:
    """File, number and length of the row groups of a part."""
    for path in sorted(part.glob(f"{STEM}-*.parquet")):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file, group, file.metadata.row_group(group).num_rows
