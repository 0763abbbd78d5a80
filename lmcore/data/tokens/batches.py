"""The order of training: which tokens each step reads, as a pure function.

In: the token stream of a split, a batch shape and a seed. Out: for any step, the
tokens [B, T] that go in and those that must be predicted. Nothing is remembered,
so a resumed run, a replay and any number of workers read the same.

The stream is a ring (the token before the first is the end token of the last
document, which is just what a document starts from). Each epoch cuts the ring, from an
offset of its own, into blocks of equal length, permutes them by a keyed
permutation and deals them to B lanes. Inside a block consecutive steps read
consecutive text, so that the model's state is carried; a block starts from the
fresh state. Shuffling blocks breaks the order of the corpus (which may be sorted
by date or author) and costs one cold start in up to 4,096 tokens.

A model without a state has no use for text that stands together, and what it costs is that a step
learns nearly what the one before it has learnt (docs/experiments.md).  So several rounds of blocks
are read together, a row of each in turn, and each row from nothing.  A block is read whole all the
same: a short training meets the parts of a few documents instead of a few words of all, and what
it has learnt can be scored by reading those.

The permutation is a Feistel network with cycle walking (Black and Rogaway 2002):
it needs no memory, whatever the number of blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lmcore.data.tokens.layout import Layout, plan_layout
from lmcore.data.tokens.token_stream import Tokens, TokenStream

#: Blocks that are read side by side without a state, about.
BLOCKS = 64
_FEISTEL_ROUNDS = 4


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tokens of one step; legend: B lanes, T tokens.

    Attributes:
        inputs: int64 [B, T].
        targets: int64 [B, T], the token after each input; [B] for one answer a lane.
        fresh: Whether the state must be a fresh one, as where every lane starts a block.
        weights: Of the targets, float32 [B, T], 0 for padding; None is 1 each.
        lanes_at_once: Lanes whose gradient is found at once, so that memory is bounded; 0: all.
    """

    inputs: Tokens
    targets: Tokens
    fresh: bool
    weights: npt.NDArray[np.float32] | None = None
    lanes_at_once: int = 0

    def parts(self) -> list[Batch]:
        """The lanes that go through the model together, one batch each."""
        size, lanes = self.lanes_at_once, len(self.inputs)
        if not 0 < size < lanes:
            return [self]
        return [
            replace(
                self,
                inputs=self.inputs[start : start + size],
                targets=self.targets[start : start + size],
                weights=None if self.weights is None else self.weights[start : start + size],
                lanes_at_once=0,
            )
            for start in range(0, lanes, size)
        ]


@dataclass(frozen=True, kw_only=True)
class BatchOrder:
    """Maps a step to its batch.

    Attributes:
        stream: Tokens to read.
        layout: How they are cut.
        seed: Seed of the run; with the stream's fingerprint it keys the order.
        carries_state: Whether steps that follow one another read on; otherwise each reads a place
            of its own from nothing.
    """

    stream: TokenStream
    layout: Layout
    seed: int
    carries_state: bool = True

    def offset(self, epoch: int) -> int:
        """Where in the ring this epoch's first block starts."""
        return int.from_bytes(self._key("offset", epoch)) % len(self.stream)

    def block_starts(self, epoch: int, round_: int) -> list[int]:
        """Ring positions of the blocks that the lanes read in one round of an epoch."""
        layout = self.layout
        key = self._key("order", epoch)
        offset = self.offset(epoch)
        places = range(round_ * layout.batch_size, (round_ + 1) * layout.batch_size)
        return [
            (offset + permute(place, size=layout.num_blocks, key=key) * layout.block_tokens)
            % len(self.stream)
            for place in places
        ]

    def batch(self, step: int) -> Batch:
        """Tokens of a step, counted from 0 over all epochs."""
        layout = self.layout
        epoch, inside = divmod(step, layout.steps_per_epoch)
        first, size, done = self._group(inside)
        column, turn = divmod(done, size)
        shift = column * layout.sequence_length
        rows = np.stack(
            [
                self._ring(start + shift - 1, layout.sequence_length + 1)
                for start in self.block_starts(epoch, first + turn)
            ]
        )
        fresh = column == 0 or not self.carries_state
        return Batch(inputs=rows[:, :-1], targets=rows[:, 1:], fresh=fresh)

    def consumed(self, steps: int) -> list[tuple[int, int]]:
        """Ranges of the stream that the first `steps` steps predicted, merged and sorted."""
        layout = self.layout
        size = len(self.stream)
        ranges: list[tuple[int, int]] = []
        whole_epochs, inside = divmod(steps, layout.steps_per_epoch)
        for epoch in range(whole_epochs):
            start = self.offset(epoch)
            ranges.append((start, start + layout.num_blocks * layout.block_tokens))
            if epoch and sum(stop - start for start, stop in merge(ranges, size=size)) == size:
                break  # all of it was read; more epochs add nothing
        first, together, done = self._group(inside)
        columns, turns = divmod(done, together)
        for round_ in range(first + min(done, together)):
            length = layout.block_tokens
            if round_ >= first:
                length = (columns + (round_ - first < turns)) * layout.sequence_length
            starts = self.block_starts(whole_epochs, round_)
            ranges.extend((start, start + length) for start in starts)
        return merge(ranges, size=size)

    def _group(self, inside: int) -> tuple[int, int, int]:
        """The rounds that are read together when a step of an epoch comes.

        Returns:
            The first of them, how many they are, and the steps of them that were done before.
        """
        layout = self.layout
        together = 1 if self.carries_state else max(1, BLOCKS // layout.batch_size)
        number, done = divmod(inside, together * layout.steps_per_block)
        first = number * together
        return first, min(together, layout.rounds - first), done

    def _key(self, purpose: str, epoch: int) -> bytes:
        text = f"{purpose}/{self.seed}/{epoch}/{self.stream.fingerprint}"
        return hashlib.blake2b(text.encode(), digest_size=32).digest()

    def _ring(self, start: int, length: int) -> Tokens:
        size = len(self.stream)
        parts = []
        while length:
            start %= size
            stop = min(size, start + length)
            parts.append(self.stream.read(start, stop))
            length -= stop - start
            start = stop
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def merge(ranges: list[tuple[int, int]], *, size: int) -> list[tuple[int, int]]:
    """Union of ranges on a ring of `size`, as sorted disjoint ranges of the line."""
    line: list[tuple[int, int]] = []
    for start, stop in ranges:
        line.append((start, min(stop, size)))
        if stop > size:
            line.append((0, min(stop - size, size)))
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(line):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        elif start < stop:
            merged.append((start, stop))
    return merged


def consumed_documents(stream: TokenStream, ranges: list[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Which documents have a token in the ranges, bool [documents]."""
    seen = np.zeros(len(stream.doc_ends), dtype=bool)
    for start, stop in ranges:
        documents = stream.documents(start, stop)
        seen[documents.start : documents.stop] = True
    return seen


def evaluation_batches(
    stream: TokenStream, *, max_tokens: int, batch_size: int, sequence_length: int
) -> Iterator[Batch]:
    """Fixed look at a split: evenly spaced lanes of contiguous text, state carried along each.

    Reads at most about `max_tokens` tokens in whole steps, and at least one step.
    """
    layout = plan_layout(len(stream), batch_size=batch_size, sequence_length=sequence_length)
    order = BatchOrder(stream=stream, layout=layout, seed=0)
    length = layout.sequence_length
    spacing = len(stream) // layout.batch_size
    steps = max(1, min(spacing, max_tokens // layout.batch_size) // length)
    for step in range(steps):
        rows = np.stack(
            [
                order._ring(lane * spacing + step * length - 1, length + 1)
                for lane in range(layout.batch_size)
            ]
        )
        yield Batch(inputs=rows[:, :-1], targets=rows[:, 1:], fresh=step == 0)


def permute(place: int, *, size: int, key: bytes) -> int:
    """Image of `place` under a permutation of range(size) chosen by `key`."""
    bits = max(1, (size - 1).bit_length())
    half = (bits + 1) // 2
    mask = (1 << half) - 1
    value = place
    while True:
        left, right = value >> half, value & mask
        for number in range(_FEISTEL_ROUNDS):
            message = f"{number}/{right}".encode()
            digest = hashlib.blake2b(message, key=key, digest_size=8).digest()
            left, right = right, left ^ (int.from_bytes(digest) & mask)
        value = left << half | right
        if value < size:
            return value
