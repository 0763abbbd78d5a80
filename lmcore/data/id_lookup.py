"""Where documents stand, found by their ids without keeping those in memory.

In: ids as they are stored.  Out: the few places that may be of an id.  An id is the hash of a text,
so its first digits, which fit into 64 bits, nearly always tell it from all others; whoever asks
compares the whole id at its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

# Of an id, in hexadecimal digits: as many as fit into 64 bits.
_DIGITS = 16
_AT_ONCE = 1 << 16


class IdLookup:
    """Places by id, at 8 bytes an id and what a place takes.

    Args:
        numbers: Of the ids (`numbers_of`), shape [N].
        places: What is found for each, shape [N]; None: where it stands in `numbers`.
    """

    def __init__(
        self, numbers: npt.NDArray[np.uint64], places: npt.NDArray[np.integer[Any]] | None = None
    ) -> None:
        order = np.argsort(numbers, kind="stable")
        self._numbers = numbers[order]
        self._places = order if places is None else places[order]

    def find(self, identity: str) -> Iterator[int]:
        """Places of the ids that begin like this one, in the order in which they were given."""
        wanted = np.uint64(int(identity[:_DIGITS], 16))
        at = int(np.searchsorted(self._numbers, wanted))
        while at < len(self._numbers) and self._numbers[at] == wanted:
            yield int(self._places[at])
            at += 1

    def first(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """The first place of each number (`numbers_of`), or -1, shape as given."""
        if not len(self._numbers):
            return np.full(len(numbers), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._numbers, numbers), len(self._numbers) - 1)
        return np.where(self._numbers[at] == numbers, self._places[at], -1).astype(np.int64)


def numbers_of(ids: npt.NDArray[np.bytes_]) -> npt.NDArray[np.uint64]:
    """The first digits of ids (lower-case hexadecimal) as numbers, shape [N]."""
    numbers = np.empty(len(ids), dtype=np.uint64)
    for start in range(0, len(ids), _AT_ONCE):
        some = np.asarray(ids[start : start + _AT_ONCE])
        digits = some.view(np.uint8).reshape(len(some), -1)[:, :_DIGITS].astype(np.int64)
        values = np.where(digits >= ord("a"), digits - ord("a") + 10, digits - ord("0"))
        total = np.zeros(len(some), dtype=np.uint64)
        for column in range(_DIGITS):
            total = (total << np.uint64(4)) | values[:, column].astype(np.uint64)
        numbers[start : start + len(some)] = total
    return numbers
