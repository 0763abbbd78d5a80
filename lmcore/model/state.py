"""What the model remembers between calls: explicit, of constant size, never on modules.

A state is a tuple with one entry a layer, and each entry a named tuple of tensors
whose first axis is the lane (batch) axis. So carrying it over steps, cutting the
gradient, picking beams, batching prompts and saving are one short function each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional


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


LayerState: TypeAlias = LstmState | AttentionState | RecurrenceState | PointerState


@dataclass(frozen=True, kw_only=True)
class State:
    """State of the whole model: one entry for each layer, and the pointer's behind them."""

    layers: tuple[LayerState, ...]

    def map(self, function: Callable[[Tensor], Tensor]) -> State:
        """Apply a function to each tensor."""
        return State(layers=tuple(_rebuild(layer, map(function, layer)) for layer in self.layers))

    def without_places(self) -> State:
        """The same with rings of length zero: what is read next sees nothing before it."""
        return State(
            layers=tuple(
                layer.without_places()
                if isinstance(layer, AttentionState | PointerState)
                else layer
                for layer in self.layers
            )
        )

    def tensors(self) -> list[Tensor]:
        """All tensors in a fixed order."""
        return [tensor for layer in self.layers for tensor in layer]

    def replaced(self, tensors: Sequence[Tensor]) -> State:
        """The same structure with other tensors, in the order of `tensors()`."""
        remaining = iter(tensors)
        return self.map(lambda _: next(remaining))

    def detach(self) -> State:
        """Cut the gradient: the end of a truncated step."""
        return self.map(Tensor.detach)

    def select(self, index: Tensor | Sequence[int]) -> State:
        """Lanes by index, repeats allowed: beams, finished prompts."""
        lanes = torch.as_tensor(index, dtype=torch.long)
        return self.map(lambda tensor: tensor.index_select(0, lanes.to(tensor.device)))

    def to(self, device: torch.device | str) -> State:
        """Move to a device."""
        return self.map(lambda tensor: tensor.to(device))

    @property
    def nbytes(self) -> int:
        """Memory of all tensors in bytes; it depends on the number of lanes only."""
        return sum(tensor.nbytes for tensor in self.tensors())

    @staticmethod
    def concatenate(states: Sequence[State]) -> State:
        """Put the lanes of several states side by side."""
        columns = zip(*(state.tensors() for state in states), strict=True)
        return states[0].replaced([torch.cat(column) for column in columns])


def _rebuild(layer: LayerState, tensors: map[Tensor]) -> LayerState:
    return type(layer)(*tensors)
