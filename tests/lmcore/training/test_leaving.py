"""A computation is left before the next layer of a model."""

import pytest
import torch
from torch import nn

from lmcore.training.leaving import LeftError, leaving


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def test_each_layer_asks_first_and_none_does_so_afterwards() -> None:
    model, asked = Stack(), []
    with leaving(model, lambda: bool(asked.append(1))):
        model(torch.zeros(1, 2))
    assert len(asked) == 3
    model(torch.zeros(1, 2))
    assert len(asked) == 3


def test_the_layer_that_is_asked_to_stop_is_not_computed() -> None:
    model, asked = Stack(), []

    def second() -> bool:
        asked.append(1)
        return len(asked) == 2

    done: list[int] = []
    for layer in model.layers:
        layer.register_forward_hook(lambda *_: done.append(1))
    with pytest.raises(LeftError), leaving(model, second):
        model(torch.zeros(1, 2))
    assert len(done) == 1
