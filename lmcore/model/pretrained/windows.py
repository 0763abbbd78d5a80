"""How documents are cut into windows: what is read together, and from which position.

A decoder sees so many tokens at once and no more (`context`, C below).  A longer document is read
in windows that overlap: the first holds its tokens 0 to C - 1; when it is full, the next begins
with the last O = C / 4 tokens, read again from position 0, and goes on behind them.  So whatever is
predicted has at least O tokens before it, a token costs at most a third more, memory is bounded,
and the rule depends on nothing but the place in the document: reading whole, in chunks or token by
token cuts alike, in training, scoring and generation.

Each end token starts a document, and so a window at position 0 that sees nothing before it.

In: the tokens of a chunk, and what each lane holds of its window.  Out: the segments to be read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def overlap_of(context: int) -> int:
    """Tokens that a window repeats of the one before."""
    return context // 4


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A run of tokens of one window.

    Attributes:
        lane: Which lane it belongs to.
        column: Of the chunk, where its first new token stands.
        tokens: What is read: tokens of the window before, where it begins a further window, then
            the new ones.
        repeated: How many of them were read before; their predictions are known already.
        past: Tokens of the same window that an earlier call has read; 0 where it begins one.
    """

    lane: int
    column: int
    tokens: IntArray
    repeated: int
    past: int

    @property
    def num_new(self) -> int:
        """Tokens of the chunk."""
        return len(self.tokens) - self.repeated


def cut(
    row: IntArray, window: IntArray, *, lane: int, end_id: int, context: int
) -> tuple[list[Segment], IntArray]:
    """Cut the tokens of a lane.

    Args:
        row: The chunk of this lane, [T], at least one token.
        window: What the lane has read of its window, [f], f <= `context`.
        lane: Its number.
        end_id: Token that starts a document.
        context: C.

    Returns:
        The segments, and what the lane holds of its window after them.
    """
    segments: list[Segment] = []
    start, past = 0, len(window)
    ends = np.append(np.flatnonzero(row == end_id), len(row))
    place = 0  # of the next end token in `ends`
    while start < len(row):
        repeated = 0
        if row[start] == end_id:
            window, past, place = window[:0], 0, place + 1
        elif len(window) >= context:
            repeated = overlap_of(context)
            window, past = window[len(window) - repeated :], 0
        stop = min(int(ends[place]), start + context - len(window))
        new = row[start:stop]
        before = window[len(window) - repeated :]
        segments.append(
            Segment(
                lane=lane,
                column=start,
                tokens=np.concatenate([before, new]) if repeated else new,
                repeated=repeated,
                past=past,
            )
        )
        window = np.concatenate([window, new])
        start, past = stop, len(window)
    return segments, window
