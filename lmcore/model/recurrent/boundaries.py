"""Where documents start inside a chunk: the reset rule, computed once for all layers.

Every input token equal to the end token starts a document: whatever came before
it must not reach what comes after, in training, scoring and generation alike.

A fused LSTM cannot reset inside a chunk, so `Splice` lengthens it instead. Before
each such token it inserts a step whose gates are forced shut (input, forget and
output gate at exactly 0: the state after it is exactly zero), and it pads lanes
with fewer documents by steps that hold the cell (forget gate exactly 1, input
gate exactly 0). One fused call then serves all lanes, the cell at the end is exact, and
the cost is one extra step a document instead of one padded row.

Legend: B lanes, T tokens, S steps after splicing (T plus the most resets of a lane).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# Pre-activation that shuts a gate: the logistic function underflows to exactly 0 in
# float32 and bfloat16 from about 104 on, whatever finite sum is added to this.
_SHUT = 1.0e4


@dataclass(frozen=True, kw_only=True)
class Splice:
    """How to insert reset steps into a chunk and take them out again.

    Attributes:
        source: Row of the flattened chunk for each step, [B, S]; B*T is the reset step and
            B*T + 1 the holding step.
        target: Row of the flattened, spliced output for each token, [B, T].
    """

    source: Tensor
    target: Tensor

    def insert(self, x: Tensor) -> Tensor:
        """[B, T, e] -> [B, S, e + 2]: two extra features flag reset and holding steps."""
        width = x.shape[-1]
        rows = functional.pad(x.reshape(-1, width), (0, 2, 0, 2))
        flags = torch.zeros(2, width + 2, dtype=x.dtype, device=x.device)
        flags[0, width] = flags[1, width + 1] = 1.0
        rows = torch.cat([rows[:-2], flags])
        return functional.embedding(self.source, rows)

    def remove(self, y: Tensor) -> Tensor:
        """[B, S, d] -> [B, T, d]: outputs of the real tokens."""
        return functional.embedding(self.target, y.reshape(-1, y.shape[-1]))


@dataclass(frozen=True, kw_only=True)
class Boundaries:
    """Document starts of one chunk.

    Attributes:
        carried: 0.0 for lanes whose first token starts a document, else 1.0, [B, 1].
        documents: Number of starts up to and including each token, int64 [B, T].
        splice: None if no document starts after the first token.
    """

    carried: Tensor
    documents: Tensor
    splice: Splice | None


def find_boundaries(tokens: Tensor, *, end_id: int) -> Boundaries:
    """Locate document starts in input tokens [B, T]."""
    starts = tokens == end_id
    return Boundaries(
        carried=(~starts[:, :1]).to(torch.float32),
        documents=starts.long().cumsum(1),
        splice=_plan_splice(starts),
    )


def gate_columns(hidden_size: int, *, like: Tensor) -> Tensor:
    """Input weights of the two flags, [4 * hidden, 2], in torch's gate order i, f, g, o."""
    columns = like.new_zeros(4, hidden_size, 2)
    columns[[0, 1, 3], :, 0] = -_SHUT  # reset: cell = 0 * cell + 0 * g, hidden = 0 * tanh(cell)
    columns[0, :, 1] = -_SHUT  # hold: cell = 1 * cell + 0 * g
    columns[1, :, 1] = _SHUT
    return columns.reshape(4 * hidden_size, 2)


def _plan_splice(starts: Tensor) -> Splice | None:
    num_lanes, length = starts.shape
    if length == 1:
        return None  # a step of generation: nothing to wait for the device for
    inner = starts.clone()
    inner[:, 0] = False  # the carried state is zeroed instead
    shift = inner.long().cumsum(1)
    extra = int(shift[:, -1].max())
    if not extra:
        return None
    steps = length + extra
    lanes = torch.arange(num_lanes, device=starts.device)[:, None]
    columns = torch.arange(length, device=starts.device)
    place = columns + shift
    reset, hold = num_lanes * length, num_lanes * length + 1
    source = torch.full((num_lanes, steps), hold, device=starts.device)
    source.scatter_(1, place, lanes * length + columns)
    lane_of_reset, column_of_reset = inner.nonzero(as_tuple=True)
    source[lane_of_reset, place[lane_of_reset, column_of_reset] - 1] = reset
    return Splice(source=source, target=lanes * steps + place)
