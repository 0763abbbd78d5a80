"""Form letters: near-copies by what texts of one template have of their own.

In: the signatures of a cluster of very many near-copies.  Out: what the template is, and the pairs
that are near-copies apart from it.

Six hundred letters of one template are alike, but they are not copies of one another: what they
share is the template, and each has names, dates and amounts of its own.  Each of the minima of a
signature is that of one shingle, drawn by chance from all shingles of the text.  So a value that
more members than `MAX_SHARING`, or a quarter of them, have in one place of their signatures is that
of a shingle of the template, and the others stand for what a text has of its own.  Two texts are
near-copies if most of the own minima of the one that has fewer agree; a text without any, whose
own part is too small to be seen, is a near-copy of those whose whole signature is the same.

Nothing but signatures is needed, so that letters which are gone, and of which only the split
ledger knows, take part.  The table of common values takes 8 MB while a cluster is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lmcore.data.copies.deduplication import NUM_MINIMA, Rows, Signatures

# What more texts than this share is boilerplate, and says nothing about copying.
MAX_SHARING = 50
# Fewer own minima than this say too little about the share that agrees: all of both count then.
MIN_OWN = 4
_PAIR_BATCH = 1 << 13
_PLACES = np.arange(NUM_MINIMA)
# Make one number of a signature, taken as words of 64 bits.
_MULTIPLIERS = np.random.default_rng(4).integers(
    0, 2**64, NUM_MINIMA // 4, dtype=np.uint64
) | np.uint64(1)


class Template:
    """What the members of a cluster share, and what each has of its own.

    Attributes:
        members: Rows of the cluster, in ascending order, shape [members].
        most: What more members share than this is the template's.

    Args:
        signatures: Of all rows, shape [rows, NUM_MINIMA]; may be a memory map.
        members: Rows of the cluster.
    """

    def __init__(self, signatures: Signatures, members: Rows) -> None:
        self._signatures, self.members = signatures, members
        # A quarter of a small cluster is enough; in very many texts a value is met by chance in
        # more than a few, once in 2^16.
        self.most = max(min(MAX_SHARING, len(members) // 4), len(members) // 1000)
        self._common = np.zeros((NUM_MINIMA, 1 << 16), dtype=bool)
        self._own = np.zeros(len(members), dtype=np.int16)
        for place in range(NUM_MINIMA):
            values = self._values(place)
            self._common[place] = np.bincount(values, minlength=1 << 16) > self.most
            self._own += ~self._common[place][values]

    @property
    def shared(self) -> float:
        """Share of the members' text that is the template, in [0, 1]."""
        return 1.0 - float(self._own.mean()) / NUM_MINIMA

    def copies(self, *, similarity: float) -> Iterator[tuple[Rows, Rows]]:
        """Pairs of rows that are near-copies apart from the template, in batches.

        Args:
            similarity: Share of the own minima that has to agree.
        """
        for left, right in self._candidates():
            for start in range(0, len(left), _PAIR_BATCH):
                one, other = left[start : start + _PAIR_BATCH], right[start : start + _PAIR_BATCH]
                near = self._alike(one, other, similarity)
                yield self.members[one[near]], self.members[other[near]]
        yield from self._without_own_part()

    def _values(self, place: int) -> npt.NDArray[np.uint16]:
        return np.asarray(self._signatures[self.members, place])

    def _candidates(self) -> Iterator[tuple[Rows, Rows]]:
        """Places of members that agree in an own minimum; at most `_most` agree in each."""
        for place in range(NUM_MINIMA):
            values = self._values(place)
            owners = np.flatnonzero(~self._common[place][values])
            ranks = owners[np.argsort(values[owners], kind="stable")]
            values = values[ranks]
            for distance in range(1, len(ranks)):
                same = values[distance:] == values[:-distance]
                if not same.any():
                    break
                yield ranks[:-distance][same], ranks[distance:][same]

    def _alike(self, one: Rows, other: Rows, similarity: float) -> npt.NDArray[np.bool_]:
        left, right = self._signatures[self.members[one]], self._signatures[self.members[other]]
        agree = ((left == right) & ~self._common[_PLACES, left]).sum(axis=1)
        fewer = np.minimum(self._own[one], self._own[other])
        more = np.maximum(self._own[one], self._own[other])
        alike: npt.NDArray[np.bool_] = agree >= similarity * np.where(fewer < MIN_OWN, more, fewer)
        return alike

    def _without_own_part(self) -> Iterator[tuple[Rows, Rows]]:
        rows = self.members[self._own == 0]
        if len(rows) < 2:
            return
        keys = np.zeros(len(rows), dtype=np.uint64)
        for start in range(0, len(rows), _PAIR_BATCH):
            block = self._signatures[rows[start : start + _PAIR_BATCH]].view(np.uint64)
            keys[start : start + len(block)] = (block * _MULTIPLIERS).sum(axis=1, dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        rows, keys = rows[order], keys[order]
        left = np.flatnonzero(keys[1:] == keys[:-1])
        for start in range(0, len(left), _PAIR_BATCH):
            one, other = (
                rows[left[start : start + _PAIR_BATCH]],
                rows[left + 1][start : start + _PAIR_BATCH],
            )
            same = (self._signatures[one] == self._signatures[other]).all(axis=1)
            yield one[same], other[same]
