"""Matrices laid out for few rows: the same products, whatever multiplies by them."""

import pytest
import torch
from torch import Tensor, nn

from lmcore.model.packed import PackedLinear, PackedLstm, can_pack, pack, padded

LARGE = (256, 128)


@pytest.mark.parametrize("rows", [(1,), (4,), (33,), (2, 5), (1, 3, 7)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_packed_product_is_the_plain_one(rows: tuple[int, ...], with_bias: bool) -> None:
    rng = torch.Generator().manual_seed(1)
    weight = torch.randn(LARGE, generator=rng)
    bias = torch.randn(LARGE[0], generator=rng) if with_bias else None
    x = torch.randn(*rows, LARGE[1], generator=rng)
    with torch.inference_mode():
        found = PackedLinear(weight, bias)(x)
    torch.testing.assert_close(found, nn.functional.linear(x, weight, bias), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("width", [64, 576, 1536, 4096])
def test_a_row_alone_is_what_it_is_among_others(width: int) -> None:
    rng = torch.Generator().manual_seed(1)
    packed = PackedLinear(torch.randn(192, width, generator=rng), None)
    x = torch.randn(32, width, generator=rng)
    with torch.inference_mode():
        together = packed(x)
        for rows in (1, 4, 8, 16):
            assert torch.equal(packed(x[:rows]), together[:rows])


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("length", [2, 61, 128, 200])
def test_a_packed_layer_says_what_the_library_says(lanes: int, length: int) -> None:
    torch.manual_seed(1)
    lstm = nn.LSTM(64, 128, batch_first=True)
    x = torch.randn(lanes, length, 64)
    state = torch.randn(1, lanes, 128), torch.randn(1, lanes, 128)
    with torch.inference_mode():
        y, (hidden, cell) = PackedLstm(lstm)(x, state)
        expected, (last, kept) = lstm(x, state)
    assert torch.equal(y, expected)
    assert torch.equal(hidden, last)
    assert torch.equal(cell, kept)


def test_few_numbers_of_rows_are_computed_with() -> None:
    assert [padded(n) for n in (1, 2, 3, 4, 5, 8, 9, 16, 17, 33)] == [
        1,
        2,
        4,
        4,
        8,
        8,
        16,
        16,
        24,
        40,
    ]
    # What a batch may have stays as it is: free rows would only cost.
    assert all(padded(n) == n for n in (1, 2, 4, 8, 16, 32, 64, 512, 4096))
    assert all(n <= padded(n) <= max(8, n * 9 / 8 + 7) for n in range(1, 3000))
    assert len({padded(n) for n in range(1, 2049)}) < 60


def test_small_matrices_and_other_types_stay() -> None:
    assert can_pack(torch.zeros(LARGE))
    assert not can_pack(torch.zeros(8, 8))
    assert not can_pack(torch.zeros(LARGE, dtype=torch.bfloat16))
    assert not can_pack(torch.zeros(LARGE, device="meta"))


class Reads(nn.Module):
    """Two matrices, of which the second is read without being called where `peeks`."""

    def __init__(self, *, peeks: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(128, 256), nn.Linear(256, 128)
        self.peeks = peeks

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        if self.peeks:
            return nn.functional.linear(hidden, self.second.weight, self.second.bias)
        found: Tensor = self.second(hidden)
        return found

    def matrices(self) -> dict[str, tuple[Tensor, Tensor | None]]:
        return {n: (p.weight, p.bias) for n, p in (("first", self.first), ("second", self.second))}


def test_all_matrices_of_a_module_are_packed_and_it_says_the_same() -> None:
    module, x = Reads(peeks=False), torch.randn(3, 128)
    before = module(x)
    numbers = sum(p.numel() for p in module.parameters())
    assert pack(module, module.matrices(), answer=lambda: module(x))
    torch.testing.assert_close(module(x), before, atol=1e-4, rtol=1e-4)
    assert isinstance(module.second, PackedLinear)
    # What counts them decides how many cores read them.
    assert sum(p.numel() for p in module.parameters()) == numbers


def test_where_a_matrix_is_read_otherwise_all_stay_as_they_are() -> None:
    module, x = Reads(peeks=True), torch.randn(3, 128)
    before = module(x)
    assert not pack(module, module.matrices(), answer=lambda: module(x))
    assert type(module.first) is nn.Linear
    assert torch.equal(module(x), before)


def test_where_it_would_say_something_else_all_stay_as_they_are() -> None:
    module, x = Reads(peeks=False), torch.randn(3, 128)
    wrong = {**module.matrices(), "second": (torch.zeros(128, 256), None)}
    before = module(x)
    assert not pack(module, wrong, answer=lambda: module(x))
    assert torch.equal(module(x), before)
