"""Texts that share a band, where there are too many for memory: buckets on disk, band by band.

In: signatures and the order of the texts.  Out: for each band the texts whose word in it another
text has, together and in order.  A band of four minima is one word of the signature.  The word goes
to disk with the order of its text and its row (24 bytes), for `BANDS_TOGETHER` bands at a time, and
comes back sorted (`lmcore.data.copies.external_sort`).

To compare them their signatures are needed, in an order that has nothing to do with where they
lie.  While the system can keep all signatures in memory, they are looked up.  Beyond that each
would be a read of the disk of its own, so they are sorted there: by row, to read signatures from
front to back, and with them back into their places (272 bytes a text that shares the band).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from lmcore.data.copies.deduplication import NUM_BANDS, NUM_MINIMA, Signatures
from lmcore.data.copies.external_sort import SortedRecords, whole_groups
from lmcore.data.copies.leaders import Mask, Members, alone, begins
from lmcore.data.copies.scratch import Records, Scratch

# Bands whose words are on disk at the same time: 192 bytes a text, and four passes over signatures.
BANDS_TOGETHER = 8
_ROW_BLOCK = 1 << 16
# Signatures that are read together: two megabytes.
_SIGNATURES = 1 << 13
# Place, row and the words of the signature; and the minima before those of the signature.
_COLUMNS = 2 + NUM_BANDS
_SKIPPED = 2 * NUM_MINIMA // NUM_BANDS
_PLACE = np.uint64(32)


def bands_on_disk(
    signatures: Signatures, order: npt.NDArray[np.uint64], scratch: Scratch
) -> Iterator[Iterator[tuple[Members, Mask | None]]]:
    """For each band its groups: many together with where each begins, or a large one alone.

    Args:
        signatures: Shape [rows, NUM_MINIMA].
        order: A key for each row, shape [rows]; groups are in its order.
        scratch: How much memory there is, and where the rest goes.
    """
    keeps = scratch.keeps(signatures.nbytes)
    for start in range(0, NUM_BANDS, BANDS_TOGETHER):
        bands = range(start, min(start + BANDS_TOGETHER, NUM_BANDS))
        for words in _words(signatures, order, bands, scratch):
            groups = whole_groups(words, scratch, columns=3)
            yield (
                _looked_up(groups, signatures, scratch)
                if keeps
                else _brought_along(groups, signatures, scratch)
            )


def _words(
    signatures: Signatures, order: npt.NDArray[np.uint64], bands: range, scratch: Scratch
) -> Iterator[Iterator[Records]]:
    """Word, order and row of all rows, sorted, for each of some bands."""
    sorting = [SortedRecords(scratch, columns=3, share=1 / len(bands)) for _ in bands]
    for row in range(0, len(signatures), _ROW_BLOCK):
        words = np.ascontiguousarray(signatures[row : row + _ROW_BLOCK]).view(np.uint64)
        records = np.empty((len(words), 3), dtype=np.uint64)
        records[:, 1] = order[row : row + len(words)]
        records[:, 2] = np.arange(row, row + len(words))
        for band, of_band in zip(bands, sorting, strict=True):
            records[:, 0] = words[:, band]
            of_band.add(records)
    for of_band in sorting:
        of_band.finish()
    while sorting:
        # Its file goes with it.
        yield sorting.pop(0).chunks()


def _is_large(records: Records, scratch: Scratch) -> bool:
    """Whether these are one group, too large for memory (other records fit into it)."""
    return not scratch.fits(records.nbytes) and _is_one(records)


def _is_one(records: Records, *, shift: int = 0) -> bool:
    return bool(records[0, 0] >> np.uint64(shift) == records[-1, 0] >> np.uint64(shift))


def _shared(records: Records) -> tuple[npt.NDArray[np.int64], Mask]:
    """Rows that share their word, and where each group begins."""
    first = begins(records[:, 0])
    shared = ~alone(first)
    return records[shared, 2].astype(np.int64), first[shared]


def _looked_up(
    groups: Iterable[Records], signatures: Signatures, scratch: Scratch
) -> Iterator[tuple[Members, Mask | None]]:
    for records in groups:
        if _is_large(records, scratch):
            yield Members(rows=records[:, 2], signatures=signatures), None
        else:
            rows, first = _shared(records)
            yield Members(rows=rows, signatures=signatures), first


def _brought_along(
    groups: Iterable[Records], signatures: Signatures, scratch: Scratch
) -> Iterator[tuple[Members, Mask | None]]:
    by_row = SortedRecords(scratch, columns=2, share=0.5)
    for records in _places(groups):
        by_row.add(records)
    by_place = SortedRecords(scratch, columns=_COLUMNS, share=0.5)
    for records in by_row.chunks():
        for start in range(0, len(records), _SIGNATURES):
            rows, places = records[start : start + _SIGNATURES].T
            block = np.empty((len(rows), _COLUMNS), dtype=np.uint64)
            block[:, 0], block[:, 1] = places, rows
            block.view(np.uint16)[:, _SKIPPED:] = signatures[rows.astype(np.int64)]
            by_place.add(block)
    for records in whole_groups(by_place.chunks(), scratch, columns=_COLUMNS, shift=int(_PLACE)):
        minima = records.view(np.uint16)[:, _SKIPPED:]
        members = Members(rows=records[:, 1], signatures=minima, own=True)
        if not scratch.fits(records.nbytes) and _is_one(records, shift=int(_PLACE)):
            yield members, None
        else:
            yield members, begins(records[:, 0] >> _PLACE)


def _places(groups: Iterable[Records]) -> Iterator[Records]:
    """Row and place of each text that shares its word: where its group begins, and which it is."""
    placed = 0
    for records in groups:
        if len(records) > _ROW_BLOCK and _is_one(records):
            for start in range(0, len(records), _ROW_BLOCK):
                rows = records[start : start + _ROW_BLOCK, 2]
                yield _placed(rows, placed, start + np.arange(len(rows)))
            placed += len(records)
            continue
        found, first = _shared(records)
        place = np.arange(len(found))
        begin = np.maximum.accumulate(np.where(first, place, 0))
        yield _placed(found, placed + begin, place - begin)
        placed += len(found)


def _placed(
    rows: npt.NDArray[np.integer], begin: npt.NDArray[np.int64] | int, number: npt.NDArray[np.int64]
) -> Records:
    records = np.empty((len(rows), 2), dtype=np.uint64)
    records[:, 0] = rows
    records[:, 1] = np.asarray(begin).astype(np.uint64) << _PLACE | number.astype(np.uint64)
    return records
