"""What hangs together, by pairs: union-find on a flat array of four bytes a row.

In: pairs of rows, many at a time.  Out: for each row the smallest one that it hangs together with,
and the groups of two rows or more.

The array is the only thing that grows with the number of rows.  Where it is large it is a mapped
file (`lmcore.data.copies.scratch`), of which memory holds what is looked at.  Pairs are joined
together: the ends of all pairs are looked up at once, each root that is the larger one of a pair
is hung on its smallest partner, and so on with the pairs that are not joined yet.  A root only
ever hangs on a smaller row, so there are no circles, and the order of pairs changes nothing
(Shiloach and Vishkin 1982, hooking and pointer jumping).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lmcore.data.copies.external_sort import SortedRecords, whole_groups
from lmcore.data.copies.scratch import Scratch

_BLOCK = 1 << 16
# A row and its root are one record of 64 bits.
ROW_BITS = 32
_ROW = np.uint64((1 << ROW_BITS) - 1)

Rows = npt.NDArray[np.signedinteger[Any]]


class Forest:
    """Rows that hang together; the smallest row is the root.

    Args:
        size: Rows, fewer than 2^32.
        scratch: Where the array is.
    """

    def __init__(self, size: int, scratch: Scratch) -> None:
        assert size < 1 << ROW_BITS, size
        dtype = np.int32 if size < 1 << 31 else np.int64
        self._parent: Rows = scratch.array(size, dtype)
        for start in range(0, size, _BLOCK):
            block = self._parent[start : start + _BLOCK]
            block[:] = np.arange(start, start + len(block))

    def _find(self, rows: Rows) -> Rows:
        parent = self._parent
        above = parent[rows]
        while True:
            higher = parent[above]
            if np.array_equal(higher, above):
                return higher
            parent[rows] = higher
            above = higher

    def join(self, left: Rows, right: Rows) -> None:
        """Make the rows of each pair, and all that hangs on them, hang together.

        Args:
            left: One row of each pair, shape [pairs].
            right: The other, shape [pairs].
        """
        while len(left):
            left, right = self._find(left), self._find(right)
            apart = left != right
            left, right = left[apart], right[apart]
            low, high = np.minimum(left, right), np.maximum(left, right)
            ranks = np.lexsort((low, high))
            low, high = low[ranks], high[ranks]
            smallest = np.r_[True, high[1:] != high[:-1]][: len(high)]
            self._parent[high[smallest]] = low[smallest]

    def roots(self) -> Rows:
        """For each row the smallest one that it hangs together with; changed by later joins."""
        parent = self._parent
        for start in range(0, len(parent), _BLOCK):
            # What comes before is done, so that a root there is one step away.
            block = parent[start : start + _BLOCK]
            while True:
                above = parent[block]
                if np.array_equal(above, block):
                    break
                block[:] = above
        return parent


def groups(roots: Rows, scratch: Scratch) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of each group of two or more, in ascending order, the group of the smallest row first.

    Args:
        roots: Of `Forest.roots`.
        scratch: Where what is sorted may lie.
    """
    sorting = SortedRecords(scratch, columns=1)
    for start in range(0, len(roots), _BLOCK):
        block = np.asarray(roots[start : start + _BLOCK]).astype(np.int64)
        # Most rows are alone in their group; only the others are sorted.
        children = np.flatnonzero(block != np.arange(start, start + len(block)))
        both = (block[children] << ROW_BITS) | (start + children)
        sorting.add(both.astype(np.uint64).reshape(-1, 1))
    for records in whole_groups(sorting.chunks(), scratch, columns=1, shift=ROW_BITS):
        above = (records[:, 0] >> np.uint64(ROW_BITS)).astype(np.int64)
        rows = (records[:, 0] & _ROW).astype(np.int64)
        edges = np.flatnonzero(np.r_[True, above[1:] != above[:-1], True]).tolist()
        for i, start in enumerate(edges[:-1]):
            yield np.r_[above[start], rows[start : edges[i + 1]]]
