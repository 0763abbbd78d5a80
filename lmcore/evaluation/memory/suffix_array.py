"""Where a sequence of tokens stands verbatim in the training text: a suffix array.

In come the token shards of a split; out comes, for every position of any query, the longest match
in the whole of that text and a place where it stands.

The array is made by prefix doubling (Manber and Myers 1993) on packed keys: as many tokens as
64 bits hold are one number, so the first sort orders by five tokens of a vocabulary of 1,024 at
once; each further round sorts only suffixes that still share their rank with another one, by the
ranks of what follows (Larsson and Sadakane 2007).  numpy's own sort is all it needs.

Memory is about 70 bytes a token while it is made and 4 on disk.  A stream beyond
`MAX_PART_TOKENS` is cut at ends of documents into parts with an array each, so memory stays
bounded and time linear.  The folder holds positions and no text; it lies in the content store
under the key of its shards, so it is made once for a data set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.content_store import ContentStore, Handle
from lmcore.data.tokens.shards import ShardSet
from lmcore.data.tokens.token_stream import TokenStream
from lmcore.digests import code_digest
from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError

MAX_PART_TOKENS = 1 << 24
SEPARATOR = -1
PARTS_FILE = "parts.json"

IntArray = NDArray[np.int64]
U64 = NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Longest matches of a query of Q tokens.

    Attributes:
        length: Tokens from each position on that stand together in the text, shape [Q].
        place: A position of the text where they do, -1 where nothing matches, shape [Q].
    """

    length: IntArray
    place: IntArray


class SuffixArray:
    """The sorted suffixes of one text.

    Args:
        tokens: Ids below `num_symbols`, shape [N].
        num_symbols: Size of the vocabulary.
        suffixes: A finished array; None: it is made.
    """

    def __init__(
        self,
        tokens: NDArray[Any],
        *,
        num_symbols: int,
        suffixes: NDArray[np.int32] | None = None,
    ) -> None:
        self._tokens = tokens
        # 0 is behind the end of the text, the last code stands for what can match nothing.
        self._foreign = num_symbols + 1
        self._bits = self._foreign.bit_length()
        self._width = 64 // self._bits
        self.suffixes = self._sorted() if suffixes is None else suffixes

    def longest(self, query: NDArray[Any]) -> Matches:
        """The longest match from each position of a query; `SEPARATOR` in it matches nothing.

        Positions are searched together: a round fixes as many tokens as a key holds.
        """
        codes = np.append(query.astype(np.int64) + 1, np.full(self._width, self._foreign))
        codes[(codes < 1) | (codes > self._foreign)] = self._foreign
        keys = _packed(codes.astype(np.uint64), bits=self._bits, width=self._width)
        length = np.zeros(len(query), dtype=np.int64)
        place = np.full(len(query), -1, dtype=np.int64)
        alive = np.arange(len(query))
        low = np.zeros(len(query), dtype=np.int64)
        high = np.full(len(query), len(self.suffixes), dtype=np.int64)
        depth = 0
        while len(alive):
            want = keys[np.minimum(alive + depth, len(query))]
            left = self._bound(low, high, want, depth=depth, after=False)
            right = self._bound(left, high, want, depth=depth, after=True)
            found = left < right
            for neighbour in (left - 1, left):
                # Where the key as a whole is not there, its neighbours share the most of it.
                there = ~found & (neighbour >= low) & (neighbour < high)
                rows = alive[there]
                at = self.suffixes[neighbour[there]].astype(np.int64)
                common = depth + self._common(self._keys(at + depth), want[there])
                better = common > length[rows]
                length[rows[better]], place[rows[better]] = common[better], at[better]
            alive, low, high = alive[found], left[found], right[found]
            depth += self._width
            length[alive] = depth
            place[alive] = self.suffixes[low]
        return Matches(length=length, place=place)

    def find(self, pattern: NDArray[Any]) -> NDArray[np.int32]:
        """Every place where the pattern stands, in no order."""
        codes = pattern.astype(np.int64) + 1
        if not len(codes):
            return self.suffixes[:0]
        low, high = np.array([0]), np.array([len(self.suffixes)])
        for depth in range(0, len(codes), self._width):
            part = codes[depth : depth + self._width]
            missing = self._bits * (self._width - len(part))
            first = 0
            for code in part.tolist():
                first = first << self._bits | code
            first <<= missing
            last = first | ((1 << missing) - 1)
            bounds = np.array([[first], [last]], dtype=np.uint64)
            left = self._bound(low, high, bounds[0], depth=depth, after=False)
            high = self._bound(left, high, bounds[1], depth=depth, after=True)
            low = left
        return self.suffixes[int(low[0]) : int(high[0])]

    def _sorted(self) -> NDArray[np.int32]:
        size = len(self._tokens)
        assert size < 1 << 31, size
        keys = _packed(self._tokens.astype(np.uint64) + 1, bits=self._bits, width=self._width)
        order = np.argsort(keys)
        keys = keys[order]
        suffixes = order.astype(np.int32)
        del order
        first = _starts(keys)
        del keys
        rank = np.empty(size, dtype=np.int32)
        sizes = np.diff(first, append=size)
        rank[suffixes] = np.repeat(first, sizes)
        rows = np.flatnonzero(np.repeat(sizes > 1, sizes))
        positions, depth = suffixes[rows], self._width
        while len(rows):
            behind = positions.astype(np.int64) + depth
            inside = behind < size
            key = rank[positions].astype(np.uint64) << np.uint64(32)
            key[inside] |= (rank[behind[inside]] + 1).astype(np.uint64)
            del behind, inside
            order = np.argsort(key)
            key, positions = key[order], positions[order]
            del order
            suffixes[rows] = positions
            first = _starts(key)
            sizes = np.diff(first, append=len(rows))
            rank[positions] = np.repeat(rows[first], sizes)
            tied = np.repeat(sizes > 1, sizes)
            rows, positions = rows[tied], positions[tied]
            depth *= 2
        return suffixes

    def _keys(self, positions: IntArray) -> U64:
        """The tokens from each position on as one number."""
        keys = np.zeros(len(positions), dtype=np.uint64)
        size = len(self._tokens)
        for offset in range(self._width):
            at = positions + offset
            codes = np.where(at < size, self._tokens[np.minimum(at, size - 1)].astype(np.int64), -1)
            keys = keys << np.uint64(self._bits) | (codes + 1).astype(np.uint64)
        return keys

    def _common(self, first: U64, second: U64) -> IntArray:
        """How many tokens two keys have in common from the left."""
        differ = first ^ second
        return sum(
            (
                (differ >> np.uint64(self._bits * offset) == 0).astype(np.int64)
                for offset in range(self._width)
            ),
            np.zeros(len(first), dtype=np.int64),
        )

    def _bound(
        self, low: IntArray, high: IntArray, want: U64, *, depth: int, after: bool
    ) -> IntArray:
        """Binary search of many keys at once, each between its own bounds."""
        low, high = low.copy(), high.copy()
        rows = np.flatnonzero(low < high)
        while len(rows):
            middle = (low[rows] + high[rows]) >> 1
            keys = self._keys(self.suffixes[middle].astype(np.int64) + depth)
            below = keys <= want[rows] if after else keys < want[rows]
            low[rows] = np.where(below, middle + 1, low[rows])
            high[rows] = np.where(below, high[rows], middle)
            rows = rows[low[rows] < high[rows]]
        return low


class ExactIndex(Handle):
    """Suffix arrays of a train stream. Summary: tokens, parts."""

    kind = "exact-match-index"


class TrainIndex:
    """Search in the train text of a shard set."""

    def __init__(self, stream: TokenStream, parts: Sequence[tuple[int, SuffixArray]]) -> None:
        self.stream = stream
        self._parts = parts

    def longest(self, query: NDArray[Any]) -> Matches:
        """The longest match from each position of a query, over all parts.

        Give `SEPARATOR` between pieces of text that do not belong together. The end of a document
        matches nothing either.
        """
        query = np.where(query == self.stream.end_id, SEPARATOR, query)
        length = np.zeros(len(query), dtype=np.int64)
        place = np.full(len(query), -1, dtype=np.int64)
        for start, array in self._parts:
            found = array.longest(query)
            better = found.length > length
            length = np.where(better, found.length, length)
            place = np.where(better, found.place + start, place)
        return Matches(length=length, place=place)

    def find(self, pattern: NDArray[Any]) -> IntArray:
        """Every place in the stream where the tokens stand, sorted."""
        found = [array.find(pattern).astype(np.int64) + start for start, array in self._parts]
        return np.sort(np.concatenate([*found, np.zeros(0, np.int64)]))

    def documents_at(self, places: NDArray[Any]) -> IntArray:
        """Index in the stream of the document that holds each place."""
        return np.searchsorted(self.stream.doc_ends, places, side="right").astype(np.int64)

    def document_id(self, document: int) -> str:
        """Id of a document by its index."""
        return bytes(self.stream.doc_ids[document]).decode()

    @cached_property
    def _starts(self) -> IntArray:
        return np.concatenate([[0], np.asarray(self.stream.doc_ends[:-1])])

    def offset(self, place: int) -> int:
        """Tokens of the place's document that stand before it."""
        return place - int(self._starts[int(self.documents_at(np.array([place]))[0])])


def train_index(store: ContentStore, shards: ShardSet, *, split: str = "train") -> TrainIndex:
    """Open the index of a shard set, making it first where there is none.

    Raises:
        IntegrityError: If a folder is damaged.
    """
    stream = shards.stream(split)
    inputs = {"shards": shards.key, "split": split, "code": code_digest(__name__)}

    def make(folder: Any) -> Mapping[str, Any]:
        bounds = _part_bounds(np.asarray(stream.doc_ends), MAX_PART_TOKENS)
        for number, (start, stop) in enumerate(bounds):
            array = SuffixArray(_tokens(stream, start, stop), num_symbols=stream.vocab_size)
            np.save(folder / f"suffixes-{number:05d}.npy", array.suffixes, allow_pickle=False)
        atomic_write(folder / PARTS_FILE, json.dumps(bounds))
        return {"tokens": len(stream), "parts": len(bounds)}

    handle = store.build(ExactIndex, inputs, make)
    try:
        bounds = json.loads((handle.path / PARTS_FILE).read_text(encoding="utf-8"))
        arrays = [
            np.load(handle.path / f"suffixes-{number:05d}.npy", mmap_mode="r", allow_pickle=False)
            for number in range(len(bounds))
        ]
    except (OSError, ValueError) as error:
        raise IntegrityError(
            f"{handle.path}: not an index ({error}); delete the folder to have it rebuilt"
        ) from error
    return TrainIndex(
        stream,
        [
            (
                start,
                SuffixArray(
                    _tokens(stream, start, stop), num_symbols=stream.vocab_size, suffixes=array
                ),
            )
            for (start, stop), array in zip(bounds, arrays, strict=True)
        ],
    )


def _tokens(stream: TokenStream, start: int, stop: int) -> NDArray[np.int32]:
    return stream.read(start, stop).astype(np.int32)


def _part_bounds(doc_ends: IntArray, most: int) -> list[tuple[int, int]]:
    """Cut a stream at ends of documents into parts of at most so many tokens.

    A document that is longer than a part is cut too; a match across that cut is found in two.
    """
    size = int(doc_ends[-1]) if len(doc_ends) else 0
    bounds, start = [], 0
    while start < size:
        stop = min(size, start + most)
        last = int(np.searchsorted(doc_ends, stop, side="right"))
        if last and int(doc_ends[last - 1]) > start:
            stop = int(doc_ends[last - 1])
        bounds.append((start, stop))
        start = stop
    return bounds


def _packed(codes: U64, *, bits: int, width: int) -> U64:
    """As many codes as 64 bits hold from each place on as one number; behind the end stands 0."""
    keys = np.zeros(len(codes), dtype=np.uint64)
    for offset in range(min(width, len(codes))):
        keys[: len(codes) - offset] |= codes[offset:] << np.uint64(bits * (width - 1 - offset))
    return keys


def _starts(values: U64) -> IntArray:
    """Where runs of equal values start."""
    return (
        np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
        if len(values)
        else np.zeros(0, dtype=np.int64)
    )
