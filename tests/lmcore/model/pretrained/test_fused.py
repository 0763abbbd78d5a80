"""Kernels that are written for a model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pretrained_models import make_base
from torch import nn

from lmcore.model.pretrained import fused as module
from lmcore.model.pretrained.fused import fused, nll, works
from lmcore.model.pretrained.library import load_inner


def test_the_loss_of_each_target_in_float32() -> None:
    logits = torch.tensor([[0.0, 0.0], [1.0, 3.0]], dtype=torch.bfloat16)
    found = nll(logits, torch.tensor([1, 0]))
    assert found.dtype == torch.float32
    assert found.tolist() == pytest.approx([0.693147, 2.126928], abs=1e-6)


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> Any:
        raise RuntimeError("no C compiler")

    monkeypatch.setattr(torch, "compile", fails)
    works.cache_clear()
    try:
        assert not works("cpu")
    finally:
        works.cache_clear()


def test_blocks_are_compiled_inside_alone_and_their_hooks_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = load_inner(make_base(tmp_path).path)
    layers = next(m for m in inner.modules() if isinstance(m, nn.ModuleList))
    seen: list[str] = []

    def compiled(block: nn.Module, *args: Any, **options: Any) -> Any:
        seen.append("compiled")
        return module._forward(block, *args, **options)

    monkeypatch.setattr(module, "_compiled_forward", lambda: compiled)
    layers[0].register_forward_pre_hook(lambda *_: seen.append("hook"))
    ids = torch.tensor([[1, 2, 3]])
    expected = inner(ids).logits
    assert seen == ["hook"]
    with fused(inner):
        found = inner(ids).logits
    assert seen == ["hook", "hook", "compiled", "compiled"]
    assert torch.equal(found, expected)
    assert "forward" not in layers[0].__dict__


class _Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.SiLU()) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")
def test_kernels_compute_what_the_blocks_do() -> None:
    assert works()
    model = _Blocks().to("cuda")
    x = torch.randn(64, 16, device="cuda")
    model(x).square().mean().backward()
    expected = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    with fused(model):
        found = model(x)
    found.square().mean().backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-5)
