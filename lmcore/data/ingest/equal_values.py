"""Which rows of a column have the same value, however many there are.

In: values of some bytes, as hashes are.  Out: for each row the first one with the same value, and
rows in the order of their values.  They are sorted in memory or on disk
(`lmcore.data.copies.external_sort`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lmcore.data.copies.external_sort import SortedRecords, whole_groups
from lmcore.data.copies.forest import Rows
from lmcore.data.copies.scratch import Scratch
from lmcore.data.ingest.mapped_columns import Bytes, Mask, blocks

_WORD = 8


@dataclass(frozen=True, kw_only=True)
class Distinct:
    """The distinct values of a column.

    Attributes:
        first: For each row the first one with the same value, shape [rows].
        number: How many values there are.
    """

    first: Rows
    number: int

    def is_first(self, block: slice) -> Mask:
        """Which of some rows are the first of their value."""
        found = self.first[block]
        mask: Mask = found == np.arange(block.start, block.start + len(found))
        return mask

    def shared(self, scratch: Scratch) -> Mask:
        """For each row whether another one has the same value, shape [rows]."""
        shared: Mask = scratch.array(len(self.first), np.bool_)
        for block in blocks(len(self.first)):
            again = ~self.is_first(block)
            shared[block] |= again
            shared[self.first[block][again]] = True
        return shared


def distinct(values: Bytes, scratch: Scratch, *, in_order: Rows | None = None) -> Distinct:
    """Find the rows of a column that have the same value.

    Args:
        values: Shape [rows, bytes], a multiple of eight bytes; may be a mapped array.
        scratch: How much memory there is, and where the rest goes.
        in_order: Filled with the first rows of all values, in ascending order of these; as long as
            there are rows.

    Raises:
        StorageError: If the disk is full or fails.
    """
    first: Rows = scratch.array(len(values), np.int64)
    for block in blocks(len(values)):
        first[block] = np.arange(block.start, block.stop)
    found = 0
    for rows, begins in _sorted(values, scratch):
        starts = np.flatnonzero(begins)
        if in_order is not None:
            in_order[found : found + len(starts)] = rows[starts]
        found += len(starts)
        if len(starts) < len(rows):
            again = np.flatnonzero(~begins)
            first[rows[again]] = rows[starts[np.searchsorted(starts, again) - 1]]
    return Distinct(first=first, number=found)


def _sorted(values: Bytes, scratch: Scratch) -> Iterator[tuple[Rows, Mask]]:
    """Rows by value, those of one value together and ascending, and where each value begins."""
    words = values.shape[1] // _WORD
    sorting = SortedRecords(scratch, columns=words + 1, share=0.5)
    for block in blocks(len(values)):
        records = np.empty((block.stop - block.start, words + 1), dtype=np.uint64)
        records[:, :words] = np.ascontiguousarray(values[block]).view(">u8")
        records[:, words] = np.arange(block.start, block.stop)
        sorting.add(records)
    for records in whole_groups(sorting.chunks(), scratch, columns=words + 1):
        same = (records[1:, :words] == records[:-1, :words]).all(axis=1)
        yield records[:, words].astype(np.int64), np.r_[True, ~same]
