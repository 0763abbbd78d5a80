r"""Shingles: the short sequences of a text by which copies are told.

In: a text.  Out: a hash of each of its shingles.

A shingle is five consecutive words of the folded text (`lmcore.data.text.folding`, so that
the same text in other characters has the same shingles); where the script does not separate
words, nine characters of them, which say about as much; where there are fewer than five
words, nine consecutive characters of any kind.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lmcore.data.text.folding import fold_letters
from lmcore.data.text.words import mostly_unspaced, words

WORDS_PER_SHINGLE = 5
CHARACTERS_PER_SHINGLE = 9

_EARLIER_WORD = re.compile(r"\w+")
_UNSPACED_WORD_LENGTH = 20
_LONE_WORD_LENGTH = 3
_MAX_CACHED_WORDS = 200_000
_POSITIONS = np.random.default_rng(3).integers(
    0, 2**64, CHARACTERS_PER_SHINGLE, dtype=np.uint64
) | np.uint64(1)
_MIX = np.uint64(0xFF51AFD7ED558CCD)


class _WordHashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        if len(self) >= _MAX_CACHED_WORDS:
            self.clear()
        # crc32 is linear, so related words get related values: multiply to break that up.
        value = zlib.crc32(word.encode()) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        self[word] = value
        return value


_WORDS = _WordHashes()


def shingles(text: str) -> npt.NDArray[np.uint32]:
    """Hashes of the shingles of a text, shape [number of shingles], never empty.

    Args:
        text: Any text that is valid Unicode.
    """
    return folded_shingles(fold_letters(text))


def folded_shingles(folded: str) -> npt.NDArray[np.uint32]:
    """The same of a text that is folded already."""
    found = words(folded)
    characters = sum(map(len, found))
    # Lone characters are short, so most texts need not be looked through for them.
    lone = characters < _LONE_WORD_LENGTH * len(found) and mostly_unspaced(found)
    longest = _UNSPACED_WORD_LENGTH * len(found)
    if len(found) >= WORDS_PER_SHINGLE and characters < longest and not lone:
        return shingles_of_words(found)
    return shingles_of_characters("".join(found) if lone else " ".join(folded.split()))


def earlier_shingles(text: str) -> npt.NDArray[np.uint32]:
    """Shingles as they were made before texts were folded and cut by Unicode.

    Sketches of that time lie in versions and lists of removals.
    """
    lowered = text.casefold()
    found = _EARLIER_WORD.findall(lowered)
    if len(found) >= WORDS_PER_SHINGLE and sum(map(len, found)) < _UNSPACED_WORD_LENGTH * len(
        found
    ):
        return shingles_of_words(found)
    return shingles_of_characters(" ".join(lowered.split()))


def shingles_of_words(found: Sequence[str]) -> npt.NDArray[np.uint32]:
    """Hashes of all runs of five words, of at least so many."""
    hashes = np.fromiter(map(_WORDS.__getitem__, found), dtype=np.uint64, count=len(found))
    return _runs(hashes, WORDS_PER_SHINGLE)


def shingles_of_characters(text: str) -> npt.NDArray[np.uint32]:
    """Hashes of all runs of nine characters, or of the whole text where it is shorter."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    hashes = (codes.astype(np.uint64) + np.uint64(1)) * _MIX
    if not len(hashes):
        hashes = np.zeros(1, dtype=np.uint64)
    return _runs(hashes, min(CHARACTERS_PER_SHINGLE, len(hashes)))


def _runs(hashes: npt.NDArray[np.uint64], size: int) -> npt.NDArray[np.uint32]:
    count = len(hashes) - size + 1
    total = np.zeros(count, dtype=np.uint64)
    hashes = hashes ^ (hashes >> np.uint64(31))
    for i in range(size):
        total += hashes[i : i + count] * _POSITIONS[i]
    total ^= total >> np.uint64(33)
    total *= _MIX
    return (total >> np.uint64(32)).astype(np.uint32)
