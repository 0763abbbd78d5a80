"""The distinct texts of a corpus, a row each: what is compared of them, in mapped columns.

In: texts as their parts come, some of them several times.  Out: columns of the first of each, in
reading order, with the side that their sources name.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmcore.data.copies.containment import Hashes
from lmcore.data.copies.forest import Rows
from lmcore.data.copies.scratch import Scratch
from lmcore.data.ingest.equal_values import distinct
from lmcore.data.ingest.mapped_columns import Bytes, Column, Mask, blocks, first_words
from lmcore.data.ingest.split import ID_BYTES
from lmcore.data.text.folding import FORM_BYTES

#: Codes of the sides that a source can name; where several sources do, the greatest counts.
UNNAMED, TRAIN, VALIDATION = range(3)
NAMED = {None: UNNAMED, "train": TRAIN, "validation": VALIDATION}
# Sketches that are looked at together.
_TOGETHER = 1 << 12


class StagedTexts:
    """Texts are added first, all of them; then their copies are dropped, and columns are read.

    Attributes:
        ids: Shape [rows, ID_BYTES].
        forms: The same for all copies that a reader takes for one text, shape [rows, FORM_BYTES].
        sizes: Bytes of each text, shape [rows].
        named: Code of the side that sources name, shape [rows].
        stages: Places among all texts of all parts, ascending, shape [rows].
        in_order: Rows in ascending order of their ids, shape [rows].

    Args:
        folder: Where the files are made.
        scratch: Where what is sorted lies.
    """

    def __init__(self, folder: Path, scratch: Scratch) -> None:
        self._scratch = scratch
        self._columns = {
            "ids": Column(folder / "ids.bin", np.uint8, width=ID_BYTES),
            "forms": Column(folder / "forms.bin", np.uint8, width=FORM_BYTES),
            "sizes": Column(folder / "sizes.bin", np.int64),
            "named": Column(folder / "named.bin", np.uint8),
            "stages": Column(folder / "stages.bin", np.int64),
        }
        self.sketches = Sketches(folder)

    def add(
        self,
        *,
        ids: Bytes,
        forms: Bytes,
        sizes: npt.NDArray[np.int64],
        named: int,
        stages: Rows,
        sketches: tuple[Bytes, npt.NDArray[np.int64]],
    ) -> None:
        """Append texts: columns as the attributes, and sketches as `Sketches.append` takes them.

        Raises:
            StorageError: If the disk is full or fails.
        """
        rows: dict[str, npt.NDArray[Any]] = {
            "ids": ids,
            "forms": forms,
            "sizes": sizes,
            "named": np.full(len(ids), named),
            "stages": stages,
        }
        for name, block in rows.items():
            self._columns[name].append(block)
        self.sketches.append(*sketches)

    def drop_copies(self) -> Rows:
        """Keep the first of each text, on the side that is named for any of them.

        Returns:
            The stages of those that are dropped, ascending.

        Raises:
            StorageError: If the disk is full or fails.
        """
        found = {name: column.array() for name, column in self._columns.items()}
        come = len(found["ids"])
        in_order: Rows = self._scratch.array(come, np.int64)
        texts = distinct(found["ids"], self._scratch, in_order=in_order)
        self.in_order = in_order[: texts.number]
        copies: Rows = self._scratch.array(come - texts.number, np.int64)
        if len(copies):
            stays: Mask = self._scratch.array(come, np.bool_)
            rows = self._scratch.array(come, np.int64)
            kept = dropped = 0
            for block in blocks(come):
                np.maximum.at(found["named"], texts.first[block], found["named"][block])
                stays[block] = texts.is_first(block)
                rows[block] = kept + np.cumsum(stays[block]) - 1
                again = found["stages"][block][~stays[block]]
                copies[dropped : dropped + len(again)] = again
                kept, dropped = int(rows[block.stop - 1]) + 1, dropped + len(again)
            for block in blocks(kept):
                self.in_order[block] = rows[self.in_order[block]]
            for column in self._columns.values():
                column.keep(stays)
            self.sketches.keep(stays)
            found = {name: column.array() for name, column in self._columns.items()}
        self.ids, self.forms, self.stages = found["ids"], found["forms"], found["stages"]
        self.sizes, self.named = found["sizes"], found["named"]
        return copies

    def __len__(self) -> int:
        return len(self.ids)

    def has(self, ids: Bytes) -> Mask:
        """Which of some ids are of texts that are here, shape [ids]."""
        keys, wanted = self._keys, first_words(ids)
        here: Mask = np.zeros(len(ids), dtype=np.bool_)
        places = np.searchsorted(keys, wanted)
        asked = np.arange(len(ids))
        while len(asked):
            asked = asked[places[asked] < len(keys)]
            asked = asked[keys[places[asked]] == wanted[asked]]
            here[asked] = (self.ids[self.in_order[places[asked]]] == ids[asked]).all(axis=1)
            # Two ids that begin with the same eight bytes are not seen by chance.
            asked = asked[~here[asked]]
            places[asked] += 1
        return here

    @cached_property
    def _keys(self) -> npt.NDArray[np.uint64]:
        """The beginnings of all ids, in ascending order."""
        keys: npt.NDArray[np.uint64] = self._scratch.array(len(self), np.uint64)
        for block in blocks(len(self)):
            keys[block] = first_words(self.ids[self.in_order[block]])
        return keys

    def close(self) -> None:
        """Release the files."""
        for column in self._columns.values():
            column.close()
        self.sketches.close()


class Sketches:
    """A sketch of each row (`lmcore.data.copies.deduplication.sketch`), or none.

    Args:
        folder: Where the files are made.
    """

    def __init__(self, folder: Path) -> None:
        self._data = Column(folder / "sketches.bin", np.uint8)
        self._spans = Column(folder / "sketch-spans.bin", np.int64, width=2)
        self._written = 0

    def append(self, data: Bytes, lengths: npt.NDArray[np.int64]) -> None:
        """Append sketches.

        Args:
            data: All of them, one after the other.
            lengths: Bytes of each; 0: none.
        """
        stops = self._written + np.cumsum(lengths)
        self._data.append(data)
        self._spans.append(np.column_stack([stops - lengths, stops]))
        self._written += len(data)

    def keep(self, stays: Mask) -> None:
        """Drop rows; their sketches are left where they are."""
        self._spans.keep(stays)

    def hashes(self, rows: Rows | None = None) -> Iterator[Hashes]:
        """What is in the sketches of some rows, many at a time.

        Args:
            rows: What stands for a row is its place among these; None: all rows.
        """
        spans, data = self._spans.array(), self._data.array().view(np.uint32)
        for start in range(0, len(spans if rows is None else rows), _TOGETHER):
            some = slice(start, start + _TOGETHER)
            starts, stops = spans[some if rows is None else rows[some]].T // data.itemsize
            lengths = stops - starts
            places = np.repeat(np.arange(len(lengths)), lengths)
            before = np.cumsum(lengths) - lengths
            yield start + places, data[(starts - before)[places] + np.arange(len(places))]

    def of(self, rows: Rows) -> Iterator[bytes | None]:
        """The sketches of some rows."""
        spans, data = self._spans.array(), self._data.array()
        for block in blocks(len(rows)):
            for start, stop in spans[rows[block]].tolist():
                yield data[start:stop].tobytes() if stop > start else None

    def close(self) -> None:
        """Release the files."""
        self._data.close()
        self._spans.close()
