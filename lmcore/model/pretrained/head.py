"""The likelihood of targets under a head of many tokens: logits are held a few rows at a time.

In: last states, the targets behind them, and the head that scores them.  Out: nats.

Legend: N rows, V tokens, d width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lmcore.model.pretrained.bounds import in_half_precision
from lmcore.model.pretrained.fused import fused_nll, nll, works

# Logits that are held at a time: on a CPU so many keep its cores busy, a GPU wants more.
_LOGITS = {"cpu": 1 << 24, "cuda": 1 << 27}
# With its gradient: in half precision alone, and where float32 copies are made.
_BYTES_OF_A_LOGIT = {True: 4, False: 12}
_MOST_OF_FREE_MEMORY = 0.25


def target_nll(
    scores: Callable[[Tensor], Tensor],
    vectors: Tensor,
    targets: Tensor,
    *,
    vocab_size: int,
    frozen: bool,
) -> Tensor:
    """Negative log-likelihood of targets in nats, [N].

    All logits are held only where they take little of a GPU's memory: what was not held of them is
    computed again for the gradient.

    Args:
        scores: Rows [n, d] to logits [n, V].
        vectors: Last states, [N, d].
        targets: Tokens, [N].
        vocab_size: V.
        frozen: Whether the head does not learn.
    """

    def ask(rows: Tensor, wanted: Tensor) -> Tensor:
        compiled = torch.is_grad_enabled() and rows.device.type == "cuda" and works()
        return (fused_nll() if compiled else nll)(scores(rows), wanted)

    if torch.is_grad_enabled() and _holds(len(vectors) * vocab_size, vectors.device):
        return ask(vectors, targets)
    most = max(1, _LOGITS.get(vectors.device.type, _LOGITS["cpu"]) // vocab_size)
    learns = torch.is_grad_enabled() and vectors.requires_grad
    parts = []
    for some, their in zip(torch.split(vectors, most), torch.split(targets, most), strict=True):
        if not learns:
            parts.append(ask(some, their))
        elif frozen:
            found = _KnownGradient.apply(some, lambda given, t=their: ask(given, t))  # type: ignore[no-untyped-call]
            assert isinstance(found, Tensor)
            parts.append(found)
        else:
            parts.append(checkpoint(ask, some, their, use_reentrant=False))
    return torch.cat(parts)


def _holds(logits: int, device: torch.device) -> bool:
    """Whether so many logits, and their gradient, are little of a GPU's memory."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    own = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    size = _BYTES_OF_A_LOGIT[in_half_precision(device) and works()]
    return logits * size <= _MOST_OF_FREE_MEMORY * (free + own)


class _KnownGradient(torch.autograd.Function):
    """A function of rows whose gradient is found on the way, as logits are not held until then.

    What comes out for a row depends on that row alone, and nothing else learns; so the gradient of
    any loss is that of each row, scaled.  This saves reading the head a second time.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        with torch.enable_grad():
            given = rows.detach().requires_grad_()
            found = function(given)
            (gradient,) = torch.autograd.grad(found.sum(), given)
        ctx.save_for_backward(gradient)
        return found.detach()

    @staticmethod
    def backward(ctx: Any, *wanted: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * wanted[0][:, None]).to(gradient.dtype), None
