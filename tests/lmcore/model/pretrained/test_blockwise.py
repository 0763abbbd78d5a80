from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lmcore.model.pretrained import blockwise

LENGTH = 2 * blockwise.BLOCK + 7


def packed(*sizes: int) -> Tensor:
    owners = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return (owners[:, None] == owners[None, :]).tril()[None, None]


def given(*, heads: int = 6, groups: int = 2, rows: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    sizes = (heads, groups, groups)
    query, key, value = (
        torch.randn(rows, n, LENGTH, 8, dtype=torch.float64, requires_grad=True) for n in sizes
    )
    return query, key, value


def fused(query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None) -> Tensor:
    repeats = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(repeats, dim=1) for x in (key, value))
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=seen, is_causal=seen is None, scale=0.3
    ).transpose(1, 2)


@pytest.mark.parametrize("heads", [2, 6])
@pytest.mark.parametrize(
    "seen", [None, packed(LENGTH), packed(5, blockwise.BLOCK + 9, LENGTH - blockwise.BLOCK - 14)]
)
def test_it_is_attention_with_its_gradient(heads: int, seen: Tensor | None) -> None:
    answers = []
    for attend in (fused, lambda *x: blockwise.attend(*x, scale=0.3)):
        inputs = given(heads=heads)
        found = attend(*inputs, seen)
        found.square().sum().backward()
        answers.append([found, *(x.grad for x in inputs)])
    for one, other in zip(*answers, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_without_a_scale_it_is_one_by_the_root_of_the_width() -> None:
    inputs = given()
    found = blockwise.attend(*inputs, None, scale=None)
    assert torch.allclose(found, blockwise.attend(*inputs, None, scale=8**-0.5))


def test_it_is_used_where_something_learns_in_half_precision_from_long_rows() -> None:
    query, key, _ = given()
    assert not blockwise.fits(query, key)
    with torch.autocast("cpu", torch.bfloat16):
        assert blockwise.fits(query, key)
        assert not blockwise.fits(query.detach(), key)
        assert not blockwise.fits(query[:, :, : blockwise.BLOCK], key[:, :, : blockwise.BLOCK])
        assert not blockwise.fits(query[:, :, -blockwise.BLOCK - 1 :], key)  # some were read before
        found = blockwise.attend(*given(), None, scale=None)
    assert found.dtype == torch.bfloat16
