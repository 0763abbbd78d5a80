"""Texts of which one holds much of the other, found by their sketches in bounded memory.

In: the sketch of each text.  Out: pairs of rows.  Each hash of a sketch becomes one number of 64
bits with the row it is of; sorted, the rows that share a hash stand together.  Each pair of them
becomes a number again, and sorted, the pairs that share many hashes stand together
(`lmcore.data.copies.external_sort`).  Four bytes a text are kept, the size of its sketch, in a
mapped file.

A hash that more texts share than `most` says nothing about copying and gives no pairs, so a hash
of a text gives (most - 1) / 2 pairs at most, 25 by default, however many texts share a passage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from lmcore.data.copies.external_sort import SortedRecords, whole_groups
from lmcore.data.copies.forest import ROW_BITS
from lmcore.data.copies.scratch import Records, Scratch
from lmcore.data.copies.templates import MAX_SHARING

# Fewer common hashes than this may be chance.
_MIN_SHARED = 4
_SHIFT = np.uint64(ROW_BITS)
_ROW = np.uint64((1 << ROW_BITS) - 1)

Rows = npt.NDArray[np.int64]
#: Rows and hashes of some sketches: a row as often as it has hashes, in ascending order.
Hashes = tuple[Rows, npt.NDArray[np.uint32]]


def contained(
    sketches: Iterable[Hashes],
    num_rows: int,
    *,
    share: float,
    scratch: Scratch,
    most: int = MAX_SHARING,
) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of rows of which one holds at least `share` of the other's sampled shingles.

    Args:
        sketches: The sketch (`lmcore.data.copies.deduplication.sketch`) of each text that has one,
            of some texts at once; no text twice.
        num_rows: Rows are below it.
        share: Of the smaller sketch.
        scratch: How much memory there is, and where the rest goes.
        most: A shingle that more rows have says nothing.

    Raises:
        StorageError: If the disk of the scratch is full or fails.
    """
    sizes = scratch.array(num_rows, np.uint32)
    hashes = SortedRecords(scratch, columns=1, share=0.5)
    for rows, values in sketches:
        records = (values.astype(np.uint64) << _SHIFT) | rows.astype(np.uint64)
        hashes.add(records.reshape(-1, 1))
        own, counts = np.unique(rows, return_counts=True)
        sizes[own] = counts
    sharing = SortedRecords(scratch, columns=1, share=0.5)
    for records in whole_groups(hashes.chunks(), scratch, columns=1, shift=ROW_BITS):
        for found in _pairs_of(records, most):
            sharing.add(found.reshape(-1, 1))
    for records in whole_groups(sharing.chunks(), scratch, columns=1):
        yield from _confirmed(records[:, 0], sizes, share)


def _pairs_of(records: Records, most: int) -> Iterator[npt.NDArray[np.uint64]]:
    """Pairs of rows that share a hash, the smaller row in the upper half of each number."""
    if len(records) > most and records[0, 0] >> _SHIFT == records[-1, 0] >> _SHIFT:
        return  # one hash, of any number of rows
    values = records[:, 0] >> _SHIFT
    edges = np.flatnonzero(np.r_[True, values[1:] != values[:-1], True])
    counts = np.diff(edges)
    kept = np.repeat((counts > 1) & (counts <= most), counts)
    values, rows = values[kept], records[kept, 0] & _ROW
    for distance in range(1, most):
        same = values[distance:] == values[:-distance]
        if not same.any():
            return
        yield (rows[:-distance][same] << _SHIFT) | rows[distance:][same]


def _confirmed(
    pairs: npt.NDArray[np.uint64], sizes: npt.NDArray[np.uint32], share: float
) -> Iterator[tuple[Rows, Rows]]:
    edges = np.flatnonzero(np.r_[True, pairs[1:] != pairs[:-1], True])
    common = np.diff(edges)
    often = common >= _MIN_SHARED
    common, found = common[often], pairs[edges[:-1][often]]
    left, right = (found >> _SHIFT).astype(np.int64), (found & _ROW).astype(np.int64)
    near = common >= share * np.minimum(sizes[left], sizes[right])
    if near.any():
        yield left[near], right[near]
