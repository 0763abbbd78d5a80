r"""MinHash signatures and sketches: what a text is compared by.

In: shingles of texts.  Out: a signature and a sketch of each.  Two texts are near-copies if they
are alike (the estimated Jaccard similarity of their shingles reaches a threshold, see `clustering`)
or if one holds much of the other (`containment`): the address that was read out and the long
message that it was taken from are hardly alike, yet one gives away the other.

Likeness: 128 minima of 16 bits estimate it with a standard error of at most 0.045,
and 32 bands of four minima find a pair of similarity 0.7 with probability 0.9998
(Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3).
A band of four 16-bit minima is exactly one 64-bit word of the signature.

Containment: one shingle in sixteen, chosen by its hash alone, forms a sketch; the
share of the smaller sketch that is in the larger one is an unbiased estimate
whatever the two lengths are (Broder's mod-m sampling).

numpy does all 12 MB of the default corpus in about a second, most of it folding and cutting
words, which a MinHash library would not spare.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NUM_MINIMA = 128
NUM_BANDS = 32
SIGNATURE_BYTES = NUM_MINIMA * 2
SKETCH_RATE = 16
# A smaller sketch says too little: eight sampled shingles stand for about 750 bytes of English.
MIN_SKETCH = 8

_BATCH_SHINGLES = 1 << 14

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
