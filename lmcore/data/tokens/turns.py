"""The order of training of a model without a state: rows of many blocks, taken in turn.

In: what `lmcore.data.tokens.batches` cuts a stream into.  Out: the same blocks, read side by side.

Steps that follow one another read text that stands together where a state is carried along it.
Without a state that has no use, and what it costs is that a step learns nearly what the one before
it has learnt (docs/experiments.md).  So several rounds of blocks are read together, a row of
each in turn.  A block is read whole all the same: a short training meets the parts of a few
documents instead of a few words of all, and what it has learnt can be scored by reading those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lmcore.data.tokens.batches import Batch, BatchOrder, merge

#: Blocks that are read side by side, about.
BLOCKS = 64


@dataclass(frozen=True, kw_only=True)
class InTurns(BatchOrder):
    """Maps a step to its batch; each reads a place of its own from nothing."""

    @property
    def _together(self) -> int:
        """Rounds that are read side by side."""
        return max(1, BLOCKS // self.layout.batch_size)

    def batch(self, step: int) -> Batch:
        """See `BatchOrder`."""
        epoch, inside = divmod(step, self.layout.steps_per_epoch)
        first, size, rows = self._group(inside)
        column, turn = divmod(rows, size)
        place = (epoch * self.layout.rounds + first + turn) * self.layout.steps_per_block + column
        return replace(super().batch(place), fresh=True)

    def consumed(self, steps: int) -> list[tuple[int, int]]:
        """See `BatchOrder`."""
        epochs, inside = divmod(steps, self.layout.steps_per_epoch)
        first, size, rows = self._group(inside)
        before = (epochs * self.layout.rounds + first) * self.layout.steps_per_block
        ranges = super().consumed(before)
        columns, turns = divmod(rows, size)
        for turn in range(size):
            length = (columns + (turn < turns)) * self.layout.sequence_length
            starts = self.block_starts(epochs, first + turn) if length else []
            ranges.extend((start, start + length) for start in starts)
        return merge(ranges, size=len(self.stream))

    def _group(self, inside: int) -> tuple[int, int, int]:
        """The group of rounds that a step of an epoch lies in.

        Returns:
            Its first round, how many it has, and the steps of it that were done before.
        """
        layout, together = self.layout, self._together
        number, rows = divmod(inside, together * layout.steps_per_block)
        first = number * together
        return first, min(together, layout.rounds - first), rows
