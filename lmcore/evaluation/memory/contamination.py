"""How much of validation stands in the training text: copies that no split by document can see.

In come the documents; out comes, for each validation passage of about 1,000 bytes, how much of it
the train split holds.  The passages (few, bounded) are turned into tables of word n-grams and the
train split is streamed past them once, so memory does not depend on it and time is linear.

Text is normalised first: folded (`lmcore.data.text.folding`) and cut into words, so other
capitals, spaces, punctuation, invisible characters, ligatures and words broken at line ends hide
nothing.  (Where a script does not separate words, its characters are the words.)  Two statistics:

* *longest*: words of the longest run of 13-word sequences that stand in train.  Those that stand in
  many train documents are exempt: a licence header or "fellow citizens of the Senate and of the
  House of Representatives" gives nothing away.  A run may hop from one place to another, which
  errs on the safe side;
* *covered*: the largest share of the passage's words that lie in five-word sequences of one and the
  same train document, exempting likewise.  It finds edited copies, which break long runs.

Source: 13-grams as in Brown et al., arXiv:2005.14165, appendix C; the longest match rather than
their union, Singh et al., arXiv:2411.03923.
Deviation: *covered* takes the place of a MinHash similarity of 0.8 between passages, which an edit
of 20 % of the words brings down to 0.2 (five-word shingles survive with probability 0.8^5).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmcore.data.documents import Document, DocumentSet
from lmcore.data.text import words as unicode_words
from lmcore.data.text.folding import fold_letters
from lmcore.evaluation.memory.membership import PASSAGE_BYTES

LONG_WORDS = 13
SHORT_WORDS = 5
# As for near-copies: beyond so many characters a "word" is a line without spaces.
_UNSPACED_WORD_LENGTH = 20
_MAX_CACHED_WORDS = 200_000
_MIX = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
U64 = NDArray[np.uint64]

_POWERS = np.random.default_rng(13).integers(0, 2**64, LONG_WORDS, dtype=np.uint64) | np.uint64(1)


@dataclass(frozen=True, kw_only=True)
class Contamination:
    """What was found, passage by passage; every column has shape [N].

    Attributes:
        cluster: Of near-copies, by document.
        document: Id of its document.
        words: Of the passage.
        longest: Words of the longest run that stands in train, 0 without one.
        covered: Largest share of its words that one train document holds in short sequences.
        too_short: Passages with fewer than 13 words, which are left out.
        train_documents: How many were streamed past, near-copies counted once.
        common_documents: In how many of them a sequence stands at most that is not exempt.
    """

    cluster: NDArray[np.object_]
    document: NDArray[np.object_]
    words: IntArray
    longest: IntArray
    covered: FloatArray
    too_short: int
    train_documents: int
    common_documents: int

    def __len__(self) -> int:
        return len(self.words)


class _WordHashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        if len(self) >= _MAX_CACHED_WORDS:
            self.clear()
        raw = word.encode("utf-8", "surrogatepass")
        # Two checks of 32 bits; a product mixes what is linear in them.
        value = (zlib.crc32(raw) << 32 | zlib.adler32(raw) ^ zlib.crc32(raw[::-1])) * _MIX & _MASK
        value ^= value >> 29
        self[word] = value
        return value


_HASHES = _WordHashes()


def words(text: str) -> list[str]:
    """The normalised words of a text; the characters of a script that does not separate words."""
    found = unicode_words.words(fold_letters(text))
    if sum(map(len, found)) >= _UNSPACED_WORD_LENGTH * max(1, len(found)):
        return list("".join(found))
    return found


def passages_of(text: str, *, num_bytes: int = PASSAGE_BYTES) -> Iterator[str]:
    """Cut a text at white space into passages of about so many bytes; a short rest joins the last.

    Texts without white space are cut anywhere.
    """
    size = len(text.encode())
    count = max(1, int(size / num_bytes + 0.5))
    start = 0
    for number in range(1, count + 1):
        stop = len(text) * number // count
        if number < count:
            space = text.rfind(" ", start + 1, stop)
            # The last space may be far away where there are few.
            stop = space if space > start + (stop - start) // 2 else stop
        if stop > start:
            yield text[start:stop]
        start = stop


def measure_contamination(
    documents: DocumentSet,
    *,
    validation: Iterable[Document],
    common_documents: int,
    num_bytes: int = PASSAGE_BYTES,
) -> Contamination:
    """Hold validation passages against the train split.

    Args:
        documents: Their train split is streamed.
        validation: Whose passages are judged.
        common_documents: A sequence that stands in more train documents (near-copies counted
            once) than this is exempt.
        num_bytes: Of a passage.
    """
    hashed, clusters, ids, too_short = [], [], [], 0
    for document in validation:
        for passage in passages_of(document.text, num_bytes=num_bytes):
            own = _hashes(words(passage))
            if len(own) < LONG_WORDS:
                too_short += 1
                continue
            hashed.append(own)
            clusters.append(document.cluster)
            ids.append(document.id)
    long = _Table(hashed, LONG_WORDS, most=common_documents, remember=False)
    short = _Table(hashed, SHORT_WORDS, most=common_documents, remember=True)
    seen: dict[str, int] = {}
    for document in documents.iter_documents("train"):
        own = _hashes(words(document.text))
        number = seen.setdefault(document.cluster, len(seen))
        long.meet(own, number)
        short.meet(own, number)
    return Contamination(
        cluster=np.array(clusters, dtype=object),
        document=np.array(ids, dtype=object),
        words=np.array([len(own) for own in hashed], dtype=np.int64),
        longest=long.longest_runs(),
        covered=short.covered_shares(),
        too_short=too_short,
        train_documents=len(seen),
        common_documents=common_documents,
    )


class _Table:
    """The n-grams of all passages, and the train documents that hold each of the rare ones.

    Args:
        passages: Hashes of the words of each passage.
        size: Words n of an n-gram.
        most: Documents of a rare n-gram.
        remember: Whether to note which documents these are.
    """

    def __init__(self, passages: list[U64], size: int, *, most: int, remember: bool) -> None:
        self._size, self._most, self._remember = size, most, remember
        self._lengths = np.array([len(own) - size + 1 for own in passages], dtype=np.int64)
        grams = np.concatenate([*(_grams(own, size) for own in passages), np.zeros(0, np.uint64)])
        self._grams, place = np.unique(grams, return_inverse=True)
        self._place = place.reshape(-1).astype(np.int64)
        self._count = np.zeros(len(self._grams), dtype=np.int64)
        self._last = np.full(len(self._grams), -1, dtype=np.int64)
        self._hits: list[tuple[IntArray, int]] = []

    def meet(self, hashes: U64, cluster: int) -> None:
        """Note which n-grams stand in a train document of this cluster."""
        if len(hashes) < self._size or not len(self._grams):
            return
        grams = _grams(hashes, self._size)
        at = np.minimum(np.searchsorted(self._grams, grams), len(self._grams) - 1)
        found = np.unique(at[self._grams[at] == grams])
        # A near-copy is no further document (but for one behind which another one came).
        found = found[self._last[found] != cluster]
        self._last[found] = cluster
        self._count[found] += 1
        rare = found[self._count[found] <= self._most]
        if self._remember and len(rare):
            self._hits.append((rare, cluster))

    def longest_runs(self) -> IntArray:
        """Words of the longest run of n-grams that stand in few documents, by passage."""
        there = (self._count > 0) & (self._count <= self._most)
        inside = there[self._place]
        owner = np.repeat(np.arange(len(self._lengths)), self._lengths)
        # Length of the run that ends at each place: the distance to the last place outside.
        index = np.arange(len(inside))
        first = np.concatenate([[0], np.cumsum(self._lengths)[:-1]]).astype(np.int64)
        outside = np.maximum.accumulate(np.where(inside, first[owner] - 1, index))
        runs = np.where(inside, index - np.maximum(outside, first[owner] - 1), 0)
        longest = np.zeros(len(self._lengths), dtype=np.int64)
        np.maximum.at(longest, owner, runs)
        return np.where(longest > 0, longest + self._size - 1, 0)

    def covered_shares(self) -> FloatArray:
        """Largest share of a passage's words that rare n-grams of one document cover."""
        shares = np.zeros(len(self._lengths))
        if not self._hits:
            return shares
        gram = np.concatenate([rare for rare, _ in self._hits])
        cluster = np.repeat(
            np.array([number for _, number in self._hits], dtype=np.int64),
            [len(rare) for rare, _ in self._hits],
        )
        rare = self._count[gram] <= self._most
        gram, cluster = gram[rare], cluster[rare]
        if not len(gram):
            return shares
        # Every occurrence of the n-grams in passages: first by n-gram, then looked up.
        order = np.argsort(self._place, kind="stable")
        starts = np.searchsorted(self._place[order], np.arange(len(self._grams) + 1))
        repeats = starts[gram + 1] - starts[gram]
        within = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        position = order[np.repeat(starts[gram], repeats) + within]
        cluster = np.repeat(cluster, repeats)
        owner = np.repeat(np.arange(len(self._lengths)), self._lengths)[position]
        by = np.lexsort((position, cluster, owner))
        owner, cluster, position = owner[by], cluster[by], position[by]
        new = np.concatenate([[True], (owner[1:] != owner[:-1]) | (cluster[1:] != cluster[:-1])])
        step = np.diff(position, prepend=0)
        gain = np.where(new, self._size, np.minimum(step, self._size))
        totals = np.add.reduceat(gain, np.flatnonzero(new))
        np.maximum.at(shares, owner[new], totals / (self._lengths[owner[new]] + self._size - 1))
        return shares


def _hashes(found: list[str]) -> U64:
    return np.fromiter(map(_HASHES.__getitem__, found), dtype=np.uint64, count=len(found))


def _grams(hashes: U64, size: int) -> U64:
    """Hashes of every `size` words in a row."""
    count = max(0, len(hashes) - size + 1)
    total = np.zeros(count, dtype=np.uint64)
    for offset in range(size):
        part = hashes[offset : offset + count]
        total += (part ^ (part >> np.uint64(31))) * _POWERS[offset]
    return total ^ (total >> np.uint64(33))
