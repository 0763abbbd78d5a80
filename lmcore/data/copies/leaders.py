"""Comparing the texts that share a band with the first of them, so that work stays linear.

In: groups of texts and their signatures.  Out: pairs that are alike.  The first text of a group is
its leader and is compared with all others; those that are like it are done, the first of the rest
is the next leader, and so on for `MAX_LEADERS` of them at most.  So a text is compared 64 times
in a band at most, however many share it (a licence at the head of a million files, say).  Texts
of later groups are left to the other bands, which have other leaders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lmcore.data.copies.deduplication import Signatures
from lmcore.data.copies.scratch import Growing, Scratch

# A group of texts that agree in one band is compared with this many of its members at most.
MAX_LEADERS = 64
_PAIR_BATCH = 1 << 13
# Sums the bytes of a word into its highest byte.
_BYTE_SUM = np.uint64(0x0101010101010101)

Integers = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]
Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Members:
    """Texts to be compared, one after the other.

    Attributes:
        rows: Of each, shape [members].
        signatures: Of all rows, shape [rows, NUM_MINIMA].
        own: Signatures are of the members alone, shape [members, NUM_MINIMA].
    """

    rows: Integers
    signatures: Signatures
    own: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def look(self, places: Integers) -> Signatures:
        """Signatures of members, by their places."""
        return self.signatures[places if self.own else self.rows[places].astype(np.int64)]

    def pairs(self, one: Integers, other: Integers) -> Pairs:
        """Rows of members."""
        return self.rows[one].astype(np.int64), self.rows[other].astype(np.int64)


def begins(keys: npt.NDArray[Any]) -> Mask:
    """Whether a key is not that of the one before: where groups begin."""
    first: Mask = np.r_[True, keys[1:] != keys[:-1]][: len(keys)]
    return first


def alone(first: Mask) -> Mask:
    """Which members are the only one of their group."""
    single: Mask = first & np.r_[first[1:], True][: len(first)]
    return single


def alike(members: Members, first: Mask, *, needed: int) -> Iterator[Pairs]:
    """Compare the members of many groups with their leaders.

    Args:
        members: Of one group after the other, in the order of each.
        first: Whether one is the first of its group.
        needed: Minima that have to agree.
    """
    places, group = np.arange(len(members)), np.cumsum(first)
    for _ in range(MAX_LEADERS):
        lonely = alone(begins(group))
        places, group = places[~lonely], group[~lonely]
        if not len(places):
            return
        first = begins(group)
        leaders = places[first][np.cumsum(first) - 1][~first]
        places, group = places[~first], group[~first]
        left = np.zeros(len(places), dtype=bool)
        for i in range(0, len(places), _PAIR_BATCH):
            one, other = leaders[i : i + _PAIR_BATCH], places[i : i + _PAIR_BATCH]
            similar = _agree(members.look(one), members.look(other)) >= needed
            left[i : i + _PAIR_BATCH] = ~similar
            yield members.pairs(one[similar], other[similar])
        places, group = places[left], group[left]


def alike_in_large(members: Members, *, needed: int, scratch: Scratch) -> Iterator[Pairs]:
    """The same for one group that is too large for memory.

    Args:
        members: Of the group, in its order.
        needed: Minima that have to agree.
        scratch: Where it is noted who is left.
    """
    everyone, left = np.arange(0, dtype=np.uint64), len(members)
    for turn in range(MAX_LEADERS):
        if left < 2:
            return
        rest, leader = Growing(scratch, 1), None
        for i in range(0, left, _PAIR_BATCH):
            stop = min(left, i + _PAIR_BATCH)
            places = (everyone[i:stop] if turn else np.arange(i, stop)).astype(np.int64)
            if leader is None:
                leader, places = places[:1], places[1:]
            similar = _agree(members.look(leader), members.look(places)) >= needed
            rest.add(places[~similar].astype(np.uint64).reshape(-1, 1))
            yield members.pairs(np.repeat(leader, similar.sum()), places[similar])
        everyone = rest.take()[:, 0]
        left = len(everyone)


def _agree(one: Signatures, other: Signatures) -> npt.NDArray[np.uint64]:
    """How many minima of signatures agree, shape [rows]."""
    # Sixteen words a row of eight bytes that are 0 or 1 each: no byte of their sum overflows.
    words: npt.NDArray[np.uint64] = (one == other).view(np.uint64).sum(axis=1, dtype=np.uint64)
    return (words * _BYTE_SUM) >> np.uint64(56)
