"""What is learnt is stored and put back; what is lent stays where it is."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from lmcore.model.config import ModelConfig
from lmcore.model.language_model import Features, Reading, learnt, restore
from lmcore.model.recurrent.model import RecurrentAttentionLM

SHAPE = ModelConfig(pattern="LA", d_model=16, num_heads=2, head_dim=4, window=8)


class Borrowing(RecurrentAttentionLM):
    """Its embedding belongs to another model."""

    @property
    def lent(self) -> frozenset[str]:
        return frozenset({"embedding.weight"})


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.head = inner, nn.Linear(2, 2)


def weights(module: nn.Module) -> Mapping[str, Any]:
    return {name: tensor.clone() for name, tensor in learnt(module).items()}


def test_what_is_lent_is_neither_stored_nor_asked_for() -> None:
    one, other = (Wrapped(Borrowing(SHAPE, 11, 10)) for _ in range(2))
    stored = weights(one)
    assert set(one.state_dict()) - set(stored) == {"inner.embedding.weight"}
    before = other.inner.embedding.weight.clone()
    restore(other, stored)
    assert all(torch.equal(stored[name], tensor) for name, tensor in learnt(other).items())
    assert torch.equal(other.inner.embedding.weight, before)


def test_a_model_of_its_own_is_stored_whole() -> None:
    model = RecurrentAttentionLM(SHAPE, 11, 10)
    assert set(learnt(model)) == set(model.state_dict())


def test_a_missing_or_an_unknown_weight_is_named() -> None:
    model = RecurrentAttentionLM(SHAPE, 11, 10)
    stored = weights(model)
    with pytest.raises(RuntimeError, match="has no head_bias"):
        restore(model, {name: stored[name] for name in stored if name != "head_bias"})
    with pytest.raises(RuntimeError, match="holds the unknown more"):
        restore(model, {**stored, "more": torch.zeros(1)})


def test_features_of_the_last_position() -> None:
    vectors = torch.arange(12.0).view(2, 3, 2)
    assert torch.equal(Features(vectors).last().vectors, vectors[:, 2])


def test_short_and_written_texts_stand_side_by_side_as_others_do() -> None:
    assert (Reading(lanes=3).short, Reading(lanes=3).written) == (3, 3)
    own = Reading(lanes=3, short_lanes=5, written_lanes=7)
    assert (own.short, own.written) == (5, 7)
