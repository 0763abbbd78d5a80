"""States of any kind: tensors by lane that are cut, picked and joined as one value."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmcore.model.state import State


@dataclass(frozen=True)
class Pair(State):
    one: Tensor
    two: Tensor

    def tensors(self) -> list[Tensor]:
        return [self.one, self.two]

    def replaced(self, tensors: Sequence[Tensor]) -> "Pair":
        return Pair(*tensors)

    def beside(self, others: Sequence["Pair"]) -> "Pair":
        columns = zip(*(state.tensors() for state in (self, *others)), strict=True)
        return Pair(*(torch.cat(column) for column in columns))


def pair(lanes: int) -> Pair:
    return Pair(torch.arange(lanes * 2.0).view(lanes, 2), torch.arange(lanes))


def test_lanes_are_counted_picked_and_joined() -> None:
    state = pair(3)
    assert (state.num_lanes, state.nbytes) == (3, 3 * 2 * 4 + 3 * 8)
    assert state.select([2, 0]).two.tolist() == [2, 0]
    joined = State.concatenate([state.select([0]), state.select([1, 2])])
    for ours, theirs in zip(joined.tensors(), state.tensors(), strict=True):
        assert torch.equal(ours, theirs)
    assert state.map(torch.zeros_like).two.tolist() == [0, 0, 0]
    assert state.to("cpu").num_lanes == 3


def test_a_cut_state_has_no_gradient() -> None:
    state = Pair(torch.ones(1, 2, requires_grad=True) * 2, torch.ones(1))
    assert state.tensors()[0].requires_grad
    assert not state.detach().tensors()[0].requires_grad
