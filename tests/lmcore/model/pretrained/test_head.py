"""Logits a few rows at a time give the nats and the gradients of all at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from lmcore.model.pretrained import head


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_a_few_rows_at_a_time_are_all_at_once(
    frozen: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(head._LOGITS, "cpu", rows * 11)
    torch.manual_seed(0)
    scores = nn.Linear(4, 11).double().requires_grad_(not frozen)
    vectors = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(11, (7,))
    held = []

    def ask(some: torch.Tensor) -> torch.Tensor:
        held.append(len(some))
        logits: torch.Tensor = scores(some)
        return logits

    found = head.target_nll(ask, vectors, targets, vocab_size=11, frozen=frozen)
    assert max(held) <= rows
    expected = functional.cross_entropy(scores(vectors).float(), targets, reduction="none")
    torch.testing.assert_close(found, expected)
    learning = [vectors] if frozen else [vectors, scores.weight, scores.bias]
    weights = torch.linspace(-1, 2, 7)
    own, through = (torch.autograd.grad((x * weights).sum(), learning) for x in (found, expected))
    for one, other in zip(own, through, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        again = head.target_nll(ask, vectors, targets, vocab_size=11, frozen=frozen)
    torch.testing.assert_close(again, expected)
