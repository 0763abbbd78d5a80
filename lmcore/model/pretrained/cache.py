"""What a pretrained decoder remembers between calls: its window, and what its layers keep of it.

Keys and values stand right-aligned: the last `len(window)` places of a lane are its own, whatever
stands before them is never looked at.  Recurrent layers (Mamba) keep states of constant size.
In come and out go the cache objects of the `transformers` library.  Where texts go on token by
token, keys and values have room behind them (`lmcore.model.pretrained.room`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lmcore.model.pretrained.room import Room, room_behind
from lmcore.model.state import State

# What a layer of the library's cache may keep, and whether it grows by a place a token.
_PLACES = ("keys", "values")
_CONSTANT = ("conv_states", "recurrent_states")


@functools.cache
def keys_and_values(layers: int) -> tuple[tuple[int, str, int], ...]:
    """What is kept of so many layers of attention and of nothing else; see `CacheState.names`."""
    return tuple((index, name, 0) for index in range(layers) for name in _PLACES)


@dataclass(frozen=True, kw_only=True)
class CacheState(State):
    """State of all lanes.

    Attributes:
        window: Tokens of each lane's window, right-aligned, int64 [B, W] on the CPU.
        filled: How many of them there are, int64 [B] on the CPU.
        names: What `kept` holds: layer, name and index of each tensor.
        kept: Of the layers, lanes first; empty before anything was read, and where something
            learns.
        room: Of which `kept` are the first places; None: of none.
    """

    window: Tensor
    filled: Tensor
    names: tuple[tuple[int, str, int], ...] = ()
    kept: tuple[Tensor, ...] = ()
    room: Room | None = None

    @classmethod
    def fresh(cls, batch_size: int) -> CacheState:
        """Before any text."""
        return cls(
            window=torch.zeros(batch_size, 0, dtype=torch.long),
            filled=torch.zeros(batch_size, dtype=torch.long),
        )

    @property
    def num_places(self) -> int:
        """Places of keys and values, those of no use included."""
        return int(self.window.shape[1])

    @property
    def grows(self) -> bool:
        """Whether a layer keeps something for each token."""
        return any(name in _PLACES for _, name, _ in self.names)

    @property
    def nbytes(self) -> int:
        """See `State`; the room is part of it."""
        if self.room is None:
            return super().nbytes
        return self.filled.nbytes + self.window.nbytes + self.room.nbytes

    def tensors(self) -> list[Tensor]:
        """See `State`."""
        return [self.filled, self.window, *self.kept]

    def replaced(self, tensors: Sequence[Tensor]) -> CacheState:
        """See `State`."""
        filled, window, *kept = tensors
        # They decide what is read, so they stay where that is decided.
        return replace(self, filled=filled.cpu(), window=window.cpu(), kept=tuple(kept), room=None)

    def beside(self, others: Sequence[CacheState]) -> CacheState:
        """See `State`."""
        states = [self, *others]
        if not all(state.kept for state in states):
            assert not any(state.kept for state in states), "some lanes have read and others not"
        most = max(state.num_places for state in states)
        padded = [state.with_places(most) for state in states]
        columns = zip(*(state.tensors() for state in padded), strict=True)
        return self.replaced([torch.cat(column) for column in columns])

    def with_places(self, count: int) -> CacheState:
        """The same with so many places: unused ones are added in front, or taken off."""
        missing = count - self.num_places
        if not missing:
            return self
        kept = tuple(
            functional.pad(tensor, (0, 0, missing, 0)) if name in _PLACES else tensor
            for (_, name, _), tensor in zip(self.names, self.kept, strict=True)
        )
        window = functional.pad(self.window, (missing, 0))
        return replace(self, window=window, kept=kept, room=None)

    def ahead(self) -> Room | None:
        """Room in which the place behind the last is the caller's alone, of each tensor in turn.

        None where there are not keys and values of each layer, and nothing else.
        """
        if not self.num_places or self.names != keys_and_values(len(self.names) // 2):
            return None
        return room_behind(self.kept, self.room) if self.kept else None

    def into(self, cache: Any) -> Any:
        """Fill a fresh cache of the library; returns it."""
        for (index, name, part), tensor in zip(self.names, self.kept, strict=True):
            layer = cache.layers[index]
            if name in _PLACES:
                setattr(layer, name, tensor)
                layer.is_initialized = True
                layer.dtype, layer.device = tensor.dtype, tensor.device
                continue
            # The library writes into these.
            getattr(layer, name)[part] = tensor.clone()
            getattr(layer, f"is_{name}_initialized")[part] = True
            layer.has_previous_state[part] = True
            layer.dtype, layer.device = tensor.dtype, tensor.device
            if name == "conv_states":
                layer.conv_kernel_size[part] = tensor.shape[-1]
        return cache

    @classmethod
    def out_of(cls, cache: Any, *, window: Tensor, filled: Tensor) -> CacheState:
        """What the library's cache holds after reading; as many places as the fullest lane needs.

        Args:
            cache: Of the library; None: nothing was kept.
            window: See the class.
            filled: See the class.
        """
        names: list[tuple[int, str, int]] = []
        kept: list[Tensor] = []
        if cache is None:
            return cls(window=window, filled=filled)
        most = int(window.shape[1])
        for index, layer in enumerate(cache.layers):
            for name in _PLACES:
                tensor = getattr(layer, name, None)
                if isinstance(tensor, Tensor) and tensor.dim() == 4:
                    names.append((index, name, 0))
                    kept.append(tensor[:, :, tensor.shape[2] - most :])
            for name in _CONSTANT:
                for part, tensor in (getattr(layer, name, None) or {}).items():
                    if isinstance(tensor, Tensor):
                        names.append((index, name, part))
                        kept.append(tensor)
        return cls(window=window, filled=filled, names=tuple(names), kept=tuple(kept))
