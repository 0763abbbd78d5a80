import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lmcore.training.optimizer import (
    learning_rate,
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
    set_learning_rate,
)


def test_schedule_by_hand() -> None:
    rates = [learning_rate(s, steps=6, warmup_steps=2, peak=1.0) for s in range(6)]
    assert rates == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]


@given(steps=st.integers(1, 500), warmup=st.integers(0, 50))
@settings(deadline=None, max_examples=50)
def test_schedule_rises_then_falls_and_stays_positive(steps: int, warmup: int) -> None:
    warmup = min(warmup, steps // 10)
    rates = [learning_rate(s, steps=steps, warmup_steps=warmup, peak=2.0) for s in range(steps)]
    assert all(0 < rate <= 2.0 for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert max(rates) == pytest.approx(2.0)


def make_pair() -> tuple[nn.Module, torch.optim.AdamW]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2, bias=False))
    return model, make_optimizer(model, weight_decay=0.1)


def take_step(model: nn.Module, optimizer: torch.optim.AdamW, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    optimizer.zero_grad()
    model(torch.randn(4, 3, generator=rng)).square().sum().backward()
    set_learning_rate(optimizer, 0.01)
    optimizer.step()


def test_decay_touches_matrices_only() -> None:
    model, optimizer = make_pair()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    set_learning_rate(optimizer, 0.5)
    optimizer.step()
    for name, parameter in model.named_parameters():
        factor = 1 - 0.5 * 0.1 if parameter.ndim >= 2 else 1.0
        assert torch.allclose(parameter, before[name] * factor)


def test_state_survives_as_tensors() -> None:
    model, optimizer = make_pair()
    take_step(model, optimizer, 0)
    other, other_optimizer = make_pair()
    other.load_state_dict(model.state_dict())
    load_optimizer_tensors(
        other_optimizer, {name: t.clone() for name, t in optimizer_tensors(optimizer).items()}
    )
    for seed in (1, 2):
        take_step(model, optimizer, seed)
        take_step(other, other_optimizer, seed)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True)
    )
    assert set(optimizer_tensors(optimizer)) == set(optimizer_tensors(other_optimizer))


def test_a_trapezoid_by_hand() -> None:
    rates = [learning_rate(s, steps=8, warmup_steps=2, peak=1.0, decay_steps=4) for s in range(8)]
    assert rates == [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    # A way to zero that is longer than what the warm-up leaves begins at its end.
    whole = [learning_rate(s, steps=6, warmup_steps=2, peak=1.0, decay_steps=9) for s in range(6)]
    assert whole == [learning_rate(s, steps=6, warmup_steps=2, peak=1.0) for s in range(6)]
