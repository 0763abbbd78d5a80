"""Records in order, however many there are: runs that fit into memory, merged from disk.

In: blocks of records, which are rows of 64-bit numbers.  Out: all of them in ascending order of
their first number, then the second and so on, in chunks that fit into memory.

While a chunk holds them all, nothing touches the disk.  Otherwise each full buffer is sorted
and written behind the last (a run).  To merge, a window of each run is looked at, all of which fit
into memory together.  The least of their last records tells how far all of them may be taken: a
chunk is that, sorted (Knuth 1998, The Art of Computer Programming, volume 3, section 5.4.6, has
merging by what runs will give next).  Records are compared whole, so a number that very many of
them begin with is cut like any other.  Each record is written once and read once.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from lmcore.data.copies.scratch import Growing, RecordFile, Records, Scratch

# Fewer records in a run are not worth a run.
_LEAST = 16


class SortedRecords:
    """Takes records in any order, gives them back in ascending order.

    Args:
        scratch: Where they are kept, and how much memory there is.
        columns: Numbers of a record.
        share: Part of the memory that this sort may take.
    """

    def __init__(self, scratch: Scratch, *, columns: int, share: float = 1.0) -> None:
        self._scratch, self._columns = scratch, columns
        # A record, its sorted copy, its rank, and as much again for who works on a chunk.
        most = int(share * scratch.memory) // (32 * columns + 16)
        self._most = max(_LEAST, most)
        self._blocks: list[Records] = []
        self._held = 0
        self._file: RecordFile | None = None
        self._lengths: list[int] = []
        self._last: list[int] = []

    def add(self, block: Records) -> None:
        """Take records, shape [records, columns].

        Raises:
            StorageError: If the disk is full or fails.
        """
        while len(block):
            piece = block[: self._most - self._held]
            block = block[len(piece) :]
            self._blocks.append(piece.copy())
            self._held += len(piece)
            if self._held == self._most:
                self._spill()

    def _buffer(self) -> Records:
        records = np.concatenate([np.zeros((0, self._columns), np.uint64), *self._blocks])
        self._blocks, self._held = [], 0
        return in_order(records)

    def _spill(self) -> None:
        records = self._buffer()
        if self._file is None:
            self._file = RecordFile(self._scratch.folder, self._columns)
        self._file.append(records)
        # What came in order is one run, however long: it is taken window by window.
        if self._lengths and self._last <= records[0].tolist():
            self._lengths[-1] += len(records)
        else:
            self._lengths.append(len(records))
        self._last = records[-1].tolist()

    def finish(self) -> None:
        """Free the memory, if anything is on disk; nothing is added after this."""
        if self._file is not None and self._held:
            self._spill()

    def chunks(self) -> Iterator[Records]:
        """The records in ascending order, once.

        Raises:
            StorageError: If the disk is full or fails.
        """
        self.finish()
        if self._file is None:
            if self._held:
                yield self._buffer()
            return
        written = self._file.records()
        self._file = None
        ends = list(itertools.accumulate(self._lengths, initial=0))
        runs = [written[start:end] for start, end in itertools.pairwise(ends)]
        while runs:
            width = max(1, self._most // len(runs))
            # The least of what the windows end with: nothing beyond them comes before it.
            cut = in_order(np.stack([run[:width][-1] for run in runs]))[0]
            counts = [_up_to(run[:width], cut) for run in runs]
            yield in_order(np.concatenate([run[:n] for run, n in zip(runs, counts, strict=True)]))
            runs = [run[n:] for run, n in zip(runs, counts, strict=True) if n < len(run)]


def _up_to(window: Records, cut: Records) -> int:
    """How many sorted records come before a record or are like it."""
    first, key = window[:, 0], cut[0]
    low = bisect.bisect_left(first, key)
    if low == len(window) or first[low] != key:
        return low
    # Very many may begin alike.
    high = bisect.bisect_right(first, key, lo=low)
    return bisect.bisect_right(window, cut.tolist(), lo=low, hi=high, key=_as_list)


def _as_list(record: Records) -> Any:
    return record.tolist()


def in_order(records: Records) -> Records:
    """Records in ascending order; those of one column in place."""
    if records.shape[1] == 1:
        records.reshape(-1).sort()
        return records
    first = np.ascontiguousarray(records[:, 0])
    ranks = np.argsort(first)
    first = first[ranks]
    # Few begin alike, so that the other columns decide about few.
    same = first[1:] == first[:-1]
    tied = np.flatnonzero(np.r_[same, False] | np.r_[False, same])
    if len(tied):
        among = ranks[tied]
        ranks[tied] = among[np.lexsort(records[among].T[::-1])]
    return records[ranks]


def whole_groups(
    chunks: Iterable[Records], scratch: Scratch, *, columns: int, shift: int = 0
) -> Iterator[Records]:
    """Cut sorted records so that none of those that begin alike are parted.

    Args:
        chunks: Of `SortedRecords`.
        scratch: Where a group is put together that lies in several chunks.
        columns: Numbers of a record.
        shift: So many of the lowest bits of the first number do not count.
    """
    held = Growing(scratch, columns)
    begins = np.uint64(0)
    for chunk in chunks:
        if not len(chunk):
            continue
        keys = chunk[:, 0] >> np.uint64(shift)
        start = 0
        if held.length:
            start = int(np.searchsorted(keys, begins, side="right"))
            held.add(chunk[:start])
            if start == len(chunk):
                continue
            yield held.take()
        begins = keys[-1]
        tail = int(np.searchsorted(keys, begins, side="left"))
        if tail > start:
            yield chunk[start:tail]
        held.add(chunk[tail:])
    if held.length:
        yield held.take()
