r"""Near-copies: MinHash signatures and sketches, candidate pairs, clusters by union-find.

In: shingles of texts, then signatures.  Out: a signature and a sketch per text, and clusters
of rows that are near-copies.  Two texts are near-copies if they are alike (the
estimated Jaccard similarity of their shingles reaches a threshold) or if one
holds much of the other (containment): the address that was read out and the long
message that it was taken from are hardly alike, yet one gives away the other.

Likeness: 128 minima of 16 bits estimate it with a standard error of at most 0.045,
and 32 bands of four minima find a pair of similarity 0.7 with probability 0.9998
(Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3).
A band of four 16-bit minima is exactly one 64-bit word of the signature, so no
index beside the signatures is kept.

Containment: one shingle in sixteen, chosen by its hash alone, forms a sketch; the
share of the smaller sketch that is in the larger one is an unbiased estimate
whatever the two lengths are (Broder's mod-m sampling).

numpy does all 12 MB of the default corpus in about a second, most of it folding and cutting
words, which a MinHash library would not spare.  Signatures and sketches lie on
disk; about 40 bytes per text are in memory while clusters are formed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NUM_MINIMA = 128
NUM_BANDS = 32
SIGNATURE_BYTES = NUM_MINIMA * 2
# A group of texts that agree in one band is compared with this many of its members at most.
MAX_LEADERS = 64
SKETCH_RATE = 16
# A smaller sketch says too little: eight sampled shingles stand for about 750 bytes of English.
MIN_SKETCH = 8

_BATCH_SHINGLES = 1 << 14
_PAIR_BATCH = 1 << 13
_ROW_BLOCK = 1 << 16

Signatures = npt.NDArray[np.uint16]
Rows = npt.NDArray[np.int64]


def _constants(seed: int, count: int) -> npt.NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


# Odd multipliers are bijections modulo 2^32, so each minimum is that of a permutation.
_MULTIPLIERS = (_constants(1, NUM_MINIMA) >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
_OFFSETS = (_constants(2, NUM_MINIMA) >> np.uint64(32)).astype(np.uint32)


def minhash(batch: list[npt.NDArray[np.uint32]]) -> Signatures:
    """Signatures of several texts at once.

    Args:
        batch: Shingle hashes of each text, none empty.

    Returns:
        Minima, shape [texts, NUM_MINIMA], the upper 16 of their 32 bits.
    """
    starts = np.cumsum([0, *(len(hashes) for hashes in batch[:-1])])
    joined = np.concatenate(batch)
    minima = np.empty((len(batch), NUM_MINIMA), dtype=np.uint32)
    buffer = np.empty_like(joined)
    for i in range(NUM_MINIMA):
        np.multiply(joined, _MULTIPLIERS[i], out=buffer)
        np.add(buffer, _OFFSETS[i], out=buffer)
        np.minimum.reduceat(buffer, starts, out=minima[:, i])
    # The minima of long texts are small numbers, so the bits that tell them apart are mixed up.
    minima ^= minima >> np.uint32(16)
    minima *= np.uint32(0x85EBCA6B)
    return (minima >> np.uint32(16)).astype(np.uint16)


def sketch(hashes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The distinct shingle hashes that fall into the sample; empty if too few do."""
    sampled = np.unique(hashes[hashes < np.uint32(2**32 // SKETCH_RATE)])
    return sampled if len(sampled) >= MIN_SKETCH else sampled[:0]


class SignatureBatch:
    """Collects texts until computing their signatures together pays."""

    def __init__(self) -> None:
        self._batch: list[npt.NDArray[np.uint32]] = []
        self._num_shingles = 0

    def add(self, hashes: npt.NDArray[np.uint32]) -> bytes:
        """Take a text's shingles; returns the signatures of a full batch in order, or nothing."""
        self._batch.append(hashes)
        self._num_shingles += len(hashes)
        return self.flush() if self._num_shingles >= _BATCH_SHINGLES else b""

    def flush(self) -> bytes:
        """Signatures of what is waiting."""
        if not self._batch:
            return b""
        signatures = minhash(self._batch).tobytes()
        self._batch, self._num_shingles = [], 0
        return signatures


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
    contained: Iterable[tuple[int, int]] = (),
) -> Clusters:
    """Join rows whose estimated similarity reaches the threshold, transitively.

    The result depends on the set of rows, not on the order they come in.

    Args:
        signatures: Shape [rows, NUM_MINIMA]; may be a memory map.
        order: A key per row that does not depend on its place, shape [rows].
        similarity: Estimated Jaccard similarity from which two rows are near-copies.
        contained: Further pairs of near-copies, found by their sketches.
    """
    forest = Forest(len(signatures))
    needed = int(np.ceil(similarity * NUM_MINIMA))
    pairs = 0
    for a, b in contained:
        pairs += 1
        forest.join(a, b)
    for band in range(NUM_BANDS if len(signatures) > 1 else 0):
        width = NUM_MINIMA // NUM_BANDS
        minima = np.ascontiguousarray(signatures[:, band * width : (band + 1) * width])
        keys = minima.view(np.uint64).ravel()
        rows = _sharing(keys)
        ranks = rows[np.lexsort((order[rows], keys[rows]))]
        for left, right in _candidates(ranks, keys, signatures, needed):
            pairs += len(left)
            for a, b in zip(left.tolist(), right.tolist(), strict=True):
                forest.join(a, b)
    return Clusters(roots=forest.roots(), pairs=pairs)


def _sharing(keys: npt.NDArray[np.uint64]) -> Rows:
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


def _candidates(
    ranks: Rows, keys: npt.NDArray[np.uint64], signatures: Signatures, needed: int
) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of rows that share a band and are similar enough, in batches."""
    sorted_keys = keys[ranks]
    edges = np.flatnonzero(np.r_[True, sorted_keys[1:] != sorted_keys[:-1], True])
    sizes = np.diff(edges)
    twos = edges[:-1][sizes == 2]
    for i in range(0, len(twos), _PAIR_BATCH):
        left, right = ranks[twos[i : i + _PAIR_BATCH]], ranks[twos[i : i + _PAIR_BATCH] + 1]
        similar = (signatures[left] == signatures[right]).sum(axis=1) >= needed
        yield left[similar], right[similar]
    for start, size in zip(edges[:-1][sizes > 2], sizes[sizes > 2], strict=True):
        yield from _group(ranks[start : start + size], signatures, needed)


def _group(members: Rows, signatures: Signatures, needed: int) -> Iterator[tuple[Rows, Rows]]:
    """Compare a group with its leaders: a member that is like no earlier leader becomes one."""
    for _ in range(MAX_LEADERS):
        if len(members) < 2:
            return
        leader, members = members[0], members[1:]
        similar = np.zeros(len(members), dtype=bool)
        for i in range(0, len(members), _PAIR_BATCH):
            block = signatures[members[i : i + _PAIR_BATCH]]
            similar[i : i + _PAIR_BATCH] = (block == signatures[leader]).sum(axis=1) >= needed
        found = members[similar]
        yield np.full(len(found), leader), found
        members = members[~similar]


class Forest:
    """Union-find with path halving; the smaller row is the root."""

    def __init__(self, size: int) -> None:
        self._parent = np.arange(size)

    def _find(self, row: int) -> int:
        parent = self._parent
        while (above := int(parent[row])) != row:
            parent[row] = parent[above]
            row = above
        return row

    def join(self, a: int, b: int) -> None:
        """Make two rows, and all that hangs on them, hang together."""
        a, b = self._find(a), self._find(b)
        self._parent[max(a, b)] = min(a, b)

    def roots(self) -> Rows:
        """For each row the smallest one that it hangs together with; changed by later joins."""
        parent = self._parent
        while True:
            above = parent[parent]
            if np.array_equal(above, parent):
                return parent
            parent = above
