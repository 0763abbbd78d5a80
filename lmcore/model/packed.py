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
        alike = torch.equal(self._product(few[:1]), self._product(few)[:1])
        self._least = 1 if alike else _FEW

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        rows = x.numel() // x.shape[-1]
        computed = max(self._least, padded(rows))
        if computed == rows:
            return self._product(x)
        more = functional.pad(x.reshape(rows, -1), (0, 0, 0, computed - rows))
        return self._product(more)[:rows].view(*x.shape[:-1], -1)

    def _product(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise.default(
            x, self.packed, self.bias, "none", [], ""
        )
        return y


def padded(rows: int) -> int:
    """Rows that a product is computed with.

    oneDNN writes a kernel for each number of rows and keeps a thousand of them: prompts of all
    lengths would cost 150 MB.  A power of two for few; for many an eighth of one more.
    """
    largest = 1 << max(0, rows - 1).bit_length()
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
