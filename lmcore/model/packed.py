"""Products of matrices with few rows, as fast as their weights can be read.

In: a module whose weights learn no more.  Out: the same, its matrices laid out once for oneDNN's
kernels.  A step that writes has a row for each text and no more; there the general product of a CPU
takes two to three times as long: it is laid out for many rows, or lays its weights out anew each
time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

# Rows that the layout is chosen for; others are read in the same layout.
_ROWS = 16
# Numbers of the smallest matrix for which a call of oneDNN costs less than it saves.
_LEAST = 1 << 14
# A row that alone is summed in another order is computed among others; so few cost as much as one.
_FEW = 4
# Of a text that the layout of a recurrent layer is chosen for.
_TOKENS = 128
# The number of this kind of recurrent layer among torch's.
_LSTM = 2
# What may change in what comes out, beside its largest number: rounding.
_TOLERANCE = 1e-3


class PackedLinear(nn.Module):
    """x W^T + b with W laid out for few rows of x, on a CPU in float32.

    A row alone is, to the last bit, what it is among a few.

    Args:
        weight: W, [out, in].
        bias: b, [out]; None: zeros.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), _ROWS)
        self.packed = nn.Parameter(packed, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        few = torch.randn(_FEW, weight.shape[1], generator=torch.Generator().manual_seed(0))
        self._least = 1
        alike = torch.equal(self(few[:1]), self(few)[:1])
        self._least = 1 if alike else _FEW

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        y: Tensor = _product(x, self.packed, self.bias, self._least)
        return y


def _padded_product(x: Tensor, packed: Tensor, bias: Tensor | None, least: int) -> Tensor:
    """What `PackedLinear` says, computed with at least so many rows."""
    rows = x.numel() // x.shape[-1]
    computed = max(least, padded(rows))
    if computed == rows:
        alone: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
        return alone
    more = functional.pad(x.reshape(rows, -1), [0, 0, 0, computed - rows])
    y: Tensor = torch.ops.mkldnn._linear_pointwise(more, packed, bias, "none", [], "")
    return y[:rows].view(list(x.shape[:-1]) + [-1])  # noqa: RUF005 - torch's compiler knows no *


# A trace decides how many rows are computed anew in each call.
_product = torch.jit.script_if_tracing(_padded_product)  # type: ignore[no-untyped-call]


class PackedLstm(nn.Module):
    """An LSTM of one layer, its weights laid out once, on a CPU in float32.

    The library lays them out anew in each call, which is a quarter of reading a short text alone.
    Many lanes are left to it.

    Args:
        lstm: The layer, batch first.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm
        weights = [weight.detach() for weight in lstm.parameters()]
        packed = torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight(
            *weights[:2], lstm.hidden_size, False, True, False, [_TOKENS, 1, lstm.input_size]
        )
        self.input_weight, self.hidden_weight = (
            nn.Parameter(weight, requires_grad=False) for weight in packed
        )
        self.input_bias, self.hidden_bias = (
            nn.Parameter(bias, requires_grad=False) for bias in weights[2:]
        )

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As `nn.LSTM`, to the last bit."""
        hidden, cell = state
        if x.shape[0] > 1:
            y, (hidden, cell) = self.lstm(x, (hidden, cell))
            return y, (hidden, cell)
        y, hidden, cell, _ = torch.ops.aten.mkldnn_rnn_layer(
            x.transpose(0, 1),
            self.input_weight,
            self.hidden_weight,
            self.input_bias,
            self.hidden_bias,
            hidden,
            cell,
            False,  # not backwards
            [],  # lengths, where they differ
            _LSTM,
            self.lstm.hidden_size,
            1,  # layer
            True,  # biases
            False,  # one direction
            False,  # time first
            False,  # nothing learns
        )
        return y.transpose(0, 1), (hidden, cell)


def padded(rows: int) -> int:
    """Rows that a product is computed with.

    oneDNN writes a kernel for each number of rows and keeps a thousand of them: prompts of all
    lengths would cost 150 MB.  A power of two for few; for many an eighth of one more.
    """
    largest = 1
    while largest < rows:
        largest *= 2
    if rows <= 8:
        return largest
    step = max(8, largest // 16)
    return -(-rows // step) * step


def can_pack(weight: Tensor) -> bool:
    """Whether a matrix can be packed here, and is large enough for it to pay."""
    return (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and weight.numel() >= _LEAST
    )


def pack(
    inner: nn.Module,
    matrices: Mapping[str, tuple[Tensor, Tensor | None]],
    *,
    answer: Callable[[], Tensor],
) -> bool:
    """Replace the matrices of a module by packed ones, where it then says what it said before.

    Some modules read a matrix without calling it, which only using them tells: then all stay.

    Args:
        inner: The module.
        matrices: Weights [out, in] and biases by the names of its parts that multiply by them.
        answer: Uses the module; asked before and after.

    Returns:
        Whether they were replaced.
    """
    chosen = {name: parts for name, parts in matrices.items() if can_pack(parts[0])}
    kept = {name: inner.get_submodule(name) for name in chosen}
    with torch.inference_mode():
        before = answer()
        for name, (weight, bias) in chosen.items():
            _put(inner, name, PackedLinear(weight, bias))
        try:
            after = answer()
            if (after - before).abs().max() <= _TOLERANCE * before.abs().max():
                return True
        except (AttributeError, RuntimeError):
            pass  # it has no weight of that form
    for name, module in kept.items():
        _put(inner, name, module)
    return False


def _put(inner: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(inner.get_submodule(parent), leaf, module)
