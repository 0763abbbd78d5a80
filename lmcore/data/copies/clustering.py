"""Clusters of near-copies among any number of texts, in bounded memory.

In: a signature of each text.  Out: for each text the smallest row that it hangs together with.
Texts whose signatures agree in a band are compared (`lmcore.data.copies.leaders`), and joined where
they are alike.

Up to some six million texts the words of a band are sorted in memory: 30 bytes a text.  Beyond
that they are sorted on disk (`lmcore.data.copies.bands`): memory holds chunks of fixed size,
whatever the number of texts, and what is kept of each text is four bytes of the forest and its
order, in mapped files.  Both ways find the same pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmcore.data.copies.bands import bands_on_disk
from lmcore.data.copies.deduplication import NUM_BANDS, NUM_MINIMA, Signatures
from lmcore.data.copies.forest import Forest, Rows
from lmcore.data.copies.leaders import Members, Pairs, alike, alike_in_large, begins
from lmcore.data.copies.scratch import Scratch

# More where many texts share a band.
_BYTES_IN_MEMORY = 40
_ROW_BLOCK = 1 << 16
_WIDTH = NUM_MINIMA // NUM_BANDS


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Which rows are near-copies of one another.

    Attributes:
        roots: For each row the row that stands for its cluster, shape [rows].
        pairs: Pairs of rows that were compared and found similar.
    """

    roots: Rows
    pairs: int


def cluster(
    signatures: Signatures,
    order: npt.NDArray[np.uint64],
    *,
    similarity: float,
    scratch: Scratch,
    contained: Iterable[Pairs] = (),
) -> Clusters:
    """Join rows whose estimated similarity reaches the threshold, transitively.

    The result depends on the set of rows, not on the order they come in, nor on the memory.

    Args:
        signatures: Shape [rows, NUM_MINIMA]; may be a memory map.
        order: A key per row that does not depend on its place, shape [rows]; may be one, too.
        similarity: Estimated Jaccard similarity from which two rows are near-copies.
        scratch: How much memory there is, and where the rest goes.
        contained: Further pairs of near-copies, found by their sketches.

    Raises:
        StorageError: If the disk of the scratch is full or fails.
    """
    signatures = np.asarray(signatures)
    needed = int(np.ceil(similarity * NUM_MINIMA))
    forest = Forest(len(signatures), scratch)
    pairs = 0
    for left, right in itertools.chain(contained, _alike(signatures, order, needed, scratch)):
        pairs += len(left)
        forest.join(left, right)
    return Clusters(roots=forest.roots(), pairs=pairs)


def _alike(
    signatures: Signatures, order: npt.NDArray[np.uint64], needed: int, scratch: Scratch
) -> Iterator[Pairs]:
    """Pairs of rows that share a band and are similar enough, in batches."""
    if len(signatures) < 2:
        return
    if len(signatures) * _BYTES_IN_MEMORY <= scratch.memory:
        for band in range(NUM_BANDS):
            minima = signatures[:, band * _WIDTH : (band + 1) * _WIDTH]
            keys = np.ascontiguousarray(minima).view(np.uint64).ravel()
            rows = _sharing(keys)
            if not len(rows):
                continue
            rows = rows[np.lexsort((order[rows], keys[rows]))]
            members = Members(rows=rows, signatures=signatures)
            yield from alike(members, begins(keys[rows]), needed=needed)
        return
    for groups in bands_on_disk(signatures, order, scratch):
        for members, first in groups:
            if first is None:
                yield from alike_in_large(members, needed=needed, scratch=scratch)
            else:
                yield from alike(members, first, needed=needed)


def _sharing(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Rows whose key another row has too: few, so that what follows costs no memory a row."""
    ranked = np.sort(keys)
    repeated = np.unique(ranked[1:][ranked[1:] == ranked[:-1]])
    del ranked
    if not len(repeated):
        return np.zeros(0, dtype=np.int64)
    found = []
    for start in range(0, len(keys), _ROW_BLOCK):
        block = keys[start : start + _ROW_BLOCK]
        places = np.minimum(np.searchsorted(repeated, block), len(repeated) - 1)
        found.append(start + np.flatnonzero(repeated[places] == block))
    return np.concatenate(found)
