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
        if not missing:
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
        if not missing:
            return self
        return PointerState(
            functional.pad(self.keys, (0, 0, missing, 0)),
            functional.pad(self.tokens, (missing, 0)),
            self.before,
            functional.pad(self.valid, (missing, 0)),
        )


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


def _rebuild(layer: LayerState, tensors: Iterable[Tensor]) -> LayerState:
    return type(layer)(*tensors)
