"""What the recurrent + attention model remembers between calls: of constant size.

A state is a tuple with one entry a layer, and each entry a named tuple of tensors
whose first axis is the lane (batch) axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from lmcore.model.state import State


class LstmState(NamedTuple):
    """State of an LSTM; all zeros is the fresh one.

    Attributes:
        hidden: [B, d].
        cell: [B, d].
    """

    hidden: Tensor
    cell: Tensor


class AttentionState(NamedTuple):
    """The last `window` keys and values of a lane, oldest first.

    Attributes:
        keys: Normalised, not yet rotated, [B, H, window, head_dim].
        values: [B, H, window, head_dim].
        valid: Whether the slot holds a token of the document in progress, bool [B, window].
    """

    keys: Tensor
    values: Tensor
    valid: Tensor

    def without_places(self) -> AttentionState:
        """A ring of length zero, for what starts from nothing: empty slots cost as full ones do."""
        return AttentionState(self.keys[:, :, :0], self.values[:, :, :0], self.valid[:, :0])

    def with_places(self, window: int) -> AttentionState:
        """A ring of full length, empty slots in front."""
        missing = window - self.valid.shape[1]
        if _known(missing) and not missing:
            return self
        front = (0, 0, missing, 0)
        return AttentionState(
            functional.pad(self.keys, front),
            functional.pad(self.values, front),
            functional.pad(self.valid, (missing, 0)),
        )


class RecurrenceState(NamedTuple):
    """State of a gated linear recurrence; all zeros is the fresh one.

    Attributes:
        hidden: [B, d].
        recent: Inputs of the short convolution before the next token, oldest first, [B, K - 1, d];
            zeros where they belong to an earlier document.
    """

    hidden: Tensor
    recent: Tensor


class PointerState(NamedTuple):
    """The last `window` places of a lane that can be copied from, oldest first.

    Attributes:
        keys: Normalised, [B, window, D].
        tokens: What stands there, int64 [B, window].
        before: What the last token adds to the key of the next one, [B, D].
        valid: Whether the slot holds a token of the document in progress, bool [B, window].
    """

    keys: Tensor
    tokens: Tensor
    before: Tensor
    valid: Tensor

    def without_places(self) -> PointerState:
        """A ring of length zero; see `AttentionState`."""
        return PointerState(self.keys[:, :0], self.tokens[:, :0], self.before, self.valid[:, :0])

    def with_places(self, window: int) -> PointerState:
        """A ring of full length, empty slots in front."""
        missing = window - self.valid.shape[1]
        if _known(missing) and not missing:
            return self
        return PointerState(
            functional.pad(self.keys, (0, 0, missing, 0)),
            functional.pad(self.tokens, (missing, 0)),
            self.before,
            functional.pad(self.valid, (missing, 0)),
        )


class Move(NamedTuple):
    """Lanes that stand elsewhere afterwards.

    Attributes:
        old: The first of them before.
        new: The same afterwards, not behind `old`.
        lanes: How many.
    """

    old: int
    new: int
    lanes: int


class AttentionRing(NamedTuple):
    """`AttentionState` for reading one token at a time: that token is written into it.

    Attributes:
        keys: Normalised, and rotated by their number, [B, H, window + 1, head_dim].
        values: [B, H, window + 1, head_dim].
        valid: Whether the slot holds a token of the document in progress, bool [B, window + 1].
        read: Number of the next token, whose slot is the remainder by the number of slots, int64
            [B].
    """

    keys: Tensor
    values: Tensor
    valid: Tensor
    read: Tensor

    def regroup(self, lanes: Tensor, moves: Sequence[Move]) -> AttentionRing:
        """See `State.regroup`: the rings stay, the rest is picked by `lanes`."""
        count, slots = len(lanes), _written(self.read, self.valid.shape[1])
        return AttentionRing(
            keys=_followed(self.keys, lanes, moves, slots, axis=2)[:count],
            values=_followed(self.values, lanes, moves, slots, axis=2)[:count],
            valid=self.valid.index_select(0, lanes),
            read=self.read.index_select(0, lanes),
        )


class PointerRing(NamedTuple):
    """`PointerState` for reading one token at a time; see `AttentionRing`.

    Attributes:
        keys: Normalised, [B, window + 1, D].
        tokens: What stands there, int64 [B, window + 1].
        before: What the last token adds to the key of the next one, [B, D].
        valid: Whether the slot holds a token of the document in progress, bool [B, window + 1].
        read: Number of the next token, int64 [B].
    """

    keys: Tensor
    tokens: Tensor
    before: Tensor
    valid: Tensor
    read: Tensor

    def regroup(self, lanes: Tensor, moves: Sequence[Move]) -> PointerRing:
        """See `AttentionRing`."""
        count, slots = len(lanes), _written(self.read, self.valid.shape[1])
        return PointerRing(
            keys=_followed(self.keys, lanes, moves, slots, axis=1)[:count],
            tokens=_followed(self.tokens, lanes, moves, slots, axis=1)[:count],
            before=self.before.index_select(0, lanes),
            valid=self.valid.index_select(0, lanes),
            read=self.read.index_select(0, lanes),
        )


LayerState: TypeAlias = (
    LstmState | AttentionState | AttentionRing | RecurrenceState | PointerState | PointerRing
)


@dataclass(frozen=True, kw_only=True)
class LayerStates(State):
    """State of a whole model.

    Attributes:
        layers: One entry a layer, from the bottom up; that of a pointer is the last.
    """

    layers: tuple[LayerState, ...]

    def without_places(self) -> LayerStates:
        """The same with rings of length zero: what is read next sees nothing before it."""
        return LayerStates(
            layers=tuple(
                layer.without_places()
                if isinstance(layer, AttentionState | PointerState)
                else layer
                for layer in self.layers
            )
        )

    def regroup(self, groups: Sequence[int], parents: Tensor) -> LayerStates:
        """See `State`: rings are written over, and but for what was read since only where moved."""
        size = parents.shape[1]
        starts = size * torch.tensor(list(groups), device=parents.device)
        lanes = (parents + starts[:, None]).flatten()
        moves = [Move(old * size, new * size, size) for new, old in enumerate(groups) if new != old]
        return LayerStates(
            layers=tuple(
                layer.regroup(lanes, moves)
                if isinstance(layer, AttentionRing | PointerRing)
                else _rebuild(layer, (tensor.index_select(0, lanes) for tensor in layer))
                for layer in self.layers
            )
        )

    def tensors(self) -> list[Tensor]:
        """See `State`."""
        return [tensor for layer in self.layers for tensor in layer]

    def replaced(self, tensors: Sequence[Tensor]) -> LayerStates:
        """See `State`."""
        remaining = iter(tensors)
        return LayerStates(
            layers=tuple(_rebuild(layer, (next(remaining) for _ in layer)) for layer in self.layers)
        )

    def beside(self, others: Sequence[LayerStates]) -> LayerStates:
        """See `State`."""
        columns = zip(*(state.tensors() for state in (self, *others)), strict=True)
        return self.replaced([torch.cat(column) for column in columns])


def _known(number: int) -> bool:
    """Whether it is a number already: in a trace what follows from a shape is one in each call."""
    return isinstance(number, int)


def _written(read: Tensor, num_slots: int) -> list[slice]:
    """Slots of rings into which something was read since `LanguageModel.stepping`."""
    # Numbers begin with the window, which is the last slot; then it goes round.
    most = int(read.max()) - (num_slots - 1)
    if most >= num_slots:
        return [slice(0, num_slots)]
    return [slice(num_slots - 1, num_slots), slice(0, most - 1)] if most > 0 else []


def _followed(
    ring: Tensor, lanes: Tensor, moves: Sequence[Move], slots: Sequence[slice], *, axis: int
) -> Tensor:
    """Let each lane hold what the one that it follows has read; in place, and not much is moved.

    Args:
        ring: First axis the lane; lanes of a group differ in the written slots alone.
        lanes: The lane that each of the first places follows.
        moves: Whole groups that stand elsewhere afterwards, ascending.
        slots: Those that were written.
        axis: Of the slots.
    """
    followed = [ring[(slice(None),) * axis + (part,)].index_select(0, lanes) for part in slots]
    for old, new, size in moves:
        # Forwards, so nothing is written over that is still to be moved.
        for lane in range(size):
            ring[new + lane] = ring[old + lane]
    for part, found in zip(slots, followed, strict=True):
        ring[(slice(0, len(lanes)),) + (slice(None),) * (axis - 1) + (part,)] = found
    return ring


def _rebuild(layer: LayerState, tensors: Iterable[Tensor]) -> LayerState:
    return type(layer)(*tensors)
