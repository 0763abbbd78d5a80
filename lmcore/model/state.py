"""What a model remembers between calls: explicit, bounded, never on modules.

A state is a list of tensors whose first axis is the lane (batch) axis; which tensors these are
belongs to the kind of model.  So carrying it over steps, cutting the gradient, picking beams,
batching prompts and saving are the same few functions for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor


class State(ABC):
    """What was read of the document in progress, lane by lane."""

    @abstractmethod
    def tensors(self) -> list[Tensor]:
        """All tensors in a fixed order."""

    @abstractmethod
    def replaced(self, tensors: Sequence[Tensor]) -> Self:
        """The same structure with other tensors, in the order of `tensors()`."""

    @abstractmethod
    def beside(self, others: Sequence[Self]) -> Self:
        """The own lanes, and behind them those of other states."""

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Apply a function to each tensor."""
        return self.replaced([function(tensor) for tensor in self.tensors()])

    def detach(self) -> Self:
        """Cut the gradient: the end of a truncated step."""
        return self.map(Tensor.detach)

    def select(self, index: Tensor | Sequence[int]) -> Self:
        """Lanes by index, repeats allowed: beams, finished prompts."""
        lanes = torch.as_tensor(index, dtype=torch.long)
        return self.map(lambda tensor: tensor.index_select(0, lanes.to(tensor.device)))

    def regroup(self, groups: Sequence[int], parents: Tensor) -> Self:
        """As `select`, of groups of lanes that have read the same until `LanguageModel.stepping`.

        The state is used up, so its memory may be written over, and what a group shares stays where
        it is.

        Args:
            groups: Which groups go on, ascending.
            parents: Of each of their lanes the one that it follows, counted in its group, int64
                [G, K]; K is the size of a group before and after.
        """
        size = parents.shape[1]
        lanes = parents.cpu() + size * torch.tensor(list(groups), dtype=torch.long)[:, None]
        return self.select(lanes.flatten())

    def to(self, device: torch.device | str) -> Self:
        """Move to a device."""
        return self.map(lambda tensor: tensor.to(device))

    @property
    def num_lanes(self) -> int:
        """Documents in progress side by side."""
        return len(self.tensors()[0])

    @property
    def nbytes(self) -> int:
        """Memory of all tensors in bytes; bounded, whatever was read."""
        return sum(tensor.nbytes for tensor in self.tensors())

    @staticmethod
    def concatenate(states: Sequence[State]) -> State:
        """Put the lanes of several states of one model side by side."""
        return states[0].beside(states[1:])
