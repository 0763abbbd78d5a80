"""The scan and its hand-written backward; what the whole mixer keeps is in test_language_model."""

import pytest
import torch
from torch import Tensor

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent import recurrence
from lmcore.model.recurrent.recurrence import LinearScan, RecurrenceMixer


def naive(a: Tensor, b: Tensor, before: Tensor) -> Tensor:
    rows = []
    for decay, new in zip(a, b, strict=True):
        before = decay * before + new
        rows.append(before)
    return torch.stack(rows)


def inputs(length: int, *, zeros: bool = False) -> list[Tensor]:
    rng = torch.Generator().manual_seed(length)
    a = torch.rand(length, 2, 3, generator=rng, dtype=torch.float64)
    if zeros:
        a[length // 2] = 0.0  # a document starts here
    b = torch.randn(length, 2, 3, generator=rng, dtype=torch.float64)
    before = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    return [tensor.requires_grad_() for tensor in (a, b, before)]


def test_scan_by_hand() -> None:
    a = torch.tensor([0.5, 2.0, 0.0])[:, None, None]
    b = torch.tensor([1.0, -1.0, 3.0])[:, None, None]
    h = LinearScan.apply(a, b, torch.tensor([[4.0]]))
    assert h.flatten().tolist() == [3.0, 5.0, 3.0]


@pytest.mark.parametrize("scan", [recurrence.scan, recurrence._doubling])
@pytest.mark.parametrize("length", [1, 2, 5, 8, 33])
def test_both_ways_of_scanning_equal_the_loop(scan, length: int) -> None:
    a, b, before = (tensor.detach() for tensor in inputs(length, zeros=True))
    torch.testing.assert_close(scan(a, b, before), naive(a, b, before))


@pytest.mark.parametrize("doubling", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_gradient_is_right(
    length: int, doubling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if doubling:
        monkeypatch.setattr(recurrence, "scan", recurrence._doubling)
    leaves = inputs(length, zeros=True)
    assert torch.autograd.gradcheck(LinearScan.apply, leaves)
    weight = torch.arange(length * 6, dtype=torch.float64).view(length, 2, 3).sin()
    own = torch.autograd.grad((LinearScan.apply(*leaves) * weight).sum(), leaves)
    loop = torch.autograd.grad((naive(*leaves) * weight).sum(), leaves)
    for one, other in zip(own, loop, strict=True):
        torch.testing.assert_close(one, other)


def test_decays_begin_between_nine_tenths_and_one() -> None:
    mixer = RecurrenceMixer(64, ModelConfig(d_model=64))
    decay = torch.exp(-8.0 * torch.nn.functional.softplus(mixer.decay))
    assert 0.9 <= decay.min() < 0.92
    assert 0.98 < decay.max() <= 0.999
