"""Is this text, or much of it, that document? Answered from a few hundred bytes a document.

In: texts.  Out: a `Sketch` of each, and a `CopyIndex` that finds which sketched documents a
text is a near-copy of.  It serves the two questions that are asked of documents whose text
is no longer at hand: which versions were trained on it, and was it removed.

A sketch keeps the shingle hashes (`lmcore.data.copies.shingles`) that fall below a
threshold: all of them for up to `KEPT` shingles, else one in 2, 4, ... 16.  The text that is
asked about is whole, so what a sketch shares with it is an unbiased estimate of what the two
texts share, whatever their lengths (Broder's mod-m sampling).  Two texts are near-copies if

* one holds half of the shingles of the other, which has at least `MIN_CONTAINED` of them; or
* their Jaccard similarity reaches 0.7 (short texts).

An edited word breaks five shingles, so a copy is recognised until about one word in eight
was changed.  A sketch costs 4 bytes a hash: at most 256 bytes up to 6 kB of English, then 4 %
of the text.  A passage of fewer than `MIN_HITS` sampled shingles (about 400 bytes) of a document of
more than 6 kB is not found.  Nobody can read a text out of its sketch, but who has a text
can test whether it is the one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmcore.data.copies.shingles import earlier_shingles, shingles
from lmcore.data.text.folding import fold_letters

KEPT = 64
MAX_SHIFT = 4
MIN_HITS = 4
MIN_CONTAINED = 24
CONTAINMENT = 0.5
SIMILARITY = 0.7

Hashes = npt.NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sketch:
    """A sample of a text's shingles.

    Attributes:
        hashes: The distinct shingle hashes below 2^(32 - shift), sorted.
        shift: One shingle in 2^shift is kept.
        total: Distinct shingles of the text.
    """

    hashes: Hashes
    shift: int
    total: int

    def to_bytes(self) -> bytes:
        """The shift, the total and the hashes, little-endian, as one value."""
        return np.concatenate(
            [np.array([self.shift, self.total], dtype="<u4"), self.hashes.astype("<u4")]
        ).tobytes()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Sketch:
        """What `to_bytes` gave.

        Raises:
            ValueError: If it is not that.
        """
        values = np.frombuffer(raw, dtype="<u4")
        if len(values) < 3 or values[0] > 31:
            raise ValueError(f"{len(raw)} bytes are no sketch of a text")
        return cls(hashes=values[2:].astype(np.uint32), shift=int(values[0]), total=int(values[1]))


def distinct_shingles(text: str) -> Hashes:
    """The distinct shingle hashes of a text, sorted; never empty."""
    return np.unique(shingles(text))


def earlier_distinct_shingles(text: str) -> Hashes | None:
    """The same as releases made them that did not fold texts; None where that is no difference."""
    if text.isascii() and fold_letters(text) == text.lower():
        return None
    return np.unique(earlier_shingles(text))


def sketch_text(text: str, *, kept: int = KEPT, max_shift: int = MAX_SHIFT) -> Sketch:
    """Sketch a text.

    Args:
        text: Cleaned text.
        kept: So many hashes are kept where the sampling allows it.
        max_shift: Never fewer than one shingle in 2^max_shift is kept.
    """
    whole = distinct_shingles(text)
    shift = 0
    sample = whole
    while len(sample) > kept and shift < max_shift:
        shift += 1
        sample = whole[: int(np.searchsorted(whole, np.uint32(1 << (32 - shift))))]
    if not len(sample):  # a handful of hashes that all lie high
        shift, sample = 0, whole
    return Sketch(hashes=sample, shift=shift, total=len(whole))


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A sketched document that a text is a near-copy of.

    Attributes:
        index: Its place among the sketches.
        share: Estimated share of the shorter one's shingles that the longer one holds.
    """

    index: int
    share: float


class CopyIndex:
    """Looks a text up among many sketches at once."""

    def __init__(self, sketches: Sequence[Sketch]) -> None:
        self._shifts = np.array([s.shift for s in sketches], dtype=np.int64)
        self._totals = np.array([s.total for s in sketches], dtype=np.int64)
        sizes = [len(s.hashes) for s in sketches]
        hashes = (
            np.concatenate([s.hashes for s in sketches]) if sketches else np.zeros(0, np.uint32)
        )
        owners = np.repeat(np.arange(len(sketches)), sizes)
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._owners = hashes[order], owners[order]

    def __len__(self) -> int:
        return len(self._shifts)

    def find(self, text: str) -> list[Copy]:
        """The near-copies of a text, most alike first, also among sketches of earlier releases."""
        if not len(self):
            return []
        return self.find_shingles(distinct_shingles(text), earlier_distinct_shingles(text))

    def find_shingles(self, whole: Hashes, earlier: Hashes | None = None) -> list[Copy]:
        """The same for a text's distinct shingles, sorted, and those of earlier releases."""
        shares = self._shares(whole)
        for index, share in (self._shares(earlier) if earlier is not None else {}).items():
            shares[index] = max(share, shares.get(index, 0.0))
        copies = [Copy(index=index, share=share) for index, share in shares.items()]
        return sorted(copies, key=lambda copy: (-copy.share, copy.index))

    def _shares(self, whole: Hashes) -> dict[int, float]:
        first = np.searchsorted(self._hashes, whole, side="left")
        last = np.searchsorted(self._hashes, whole, side="right")
        counts = last - first
        hit = counts > 0
        if not hit.any():
            return {}
        starts, counts = first[hit], counts[hit]
        # Places start, start + 1, ..., start + count - 1 of every hit, without a loop.
        ends = np.cumsum(counts)
        places = np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
        owners, hits = np.unique(self._owners[places], return_counts=True)
        shifts, totals = self._shifts[owners], self._totals[owners]
        common = np.minimum(hits << shifts, np.minimum(totals, len(whole)))
        smaller = np.minimum(totals, len(whole))
        share = common / smaller
        similarity = common / (totals + len(whole) - common)
        contained = (share >= CONTAINMENT) & (smaller >= MIN_CONTAINED)
        found = (contained | (similarity >= SIMILARITY)) & ((shifts == 0) | (hits >= MIN_HITS))
        return {
            int(owner): round(float(part), 3)
            for owner, part in zip(owners[found], share[found], strict=True)
        }


def likeness(one: Sketch, other: Sketch) -> float | None:
    """Share of the shorter text that the longer one holds; None where they are no near-copies.

    Both sides are samples here, so the coarser sampling of the two decides.
    """
    shift = max(one.shift, other.shift)
    limit = (1 << (32 - shift)) - 1
    left, right = one.hashes, other.hashes
    hits = len(np.intersect1d(left[left <= limit], right[right <= limit], assume_unique=True))
    if not hits or (shift and hits < MIN_HITS):
        return None
    smaller = min(one.total, other.total)
    common = min(hits << shift, smaller)
    share = common / smaller
    alike = common / (one.total + other.total - common) >= SIMILARITY
    if alike or (share >= CONTAINMENT and smaller >= MIN_CONTAINED):
        return round(share, 3)
    return None
