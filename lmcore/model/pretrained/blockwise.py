"""Attention while something learns on a CPU: queries in blocks, each with the keys before its end.

torch's fused kernel for CPUs is made for reading; its gradient takes three times as long as its
answer, and a mask makes both slower.  Plain products in blocks leave out most of what causality
hides, and take two thirds of its time (`docs/experiments.md`).  In half precision alone: in float32
there is nothing to gain.

Legend: G rows, T tokens of a row, H heads, K heads of keys and values, D their width, B tokens of a
block, P those up to its end.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Tokens of a block: of 64, 128 and 256 the quickest for rows of 512.
BLOCK = 128


def fits(query: Tensor, key: Tensor) -> bool:
    """Whether rows [G, H, T, D] that see keys [G, K, T, D] are quicker read so."""
    return (
        query.device.type == "cpu"
        and _dtype(query) == torch.bfloat16
        and query.requires_grad
        and BLOCK < query.shape[2] == key.shape[2]
    )


def attend(
    query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, *, scale: float | None
) -> Tensor:
    """What each token reads of those up to itself.

    Args:
        query: [G, H, T, D].
        key: [G, K, T, D].
        value: [G, K, T, D].
        seen: What each token may see, bool [G or 1, 1, T, T], at least itself and nothing later;
            None: all up to itself.
        scale: Of scores; None: 1 / sqrt(D).

    Returns:
        [G, T, H, D].
    """
    query, key, value = (x.to(_dtype(x)) for x in (query, key, value))
    rows, heads, length, width = query.shape
    groups = key.shape[1]
    if seen is None:
        seen = torch.ones(1, 1, length, length, dtype=torch.bool).tril()
    hidden = ~seen[:, :, None]
    # Heads that share keys stand one below the other, so that a block is one product for each key.
    query = (query * (width**-0.5 if scale is None else scale)).view(
        rows, groups, heads // groups, length, width
    )
    parts = []
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        below = query[:, :, :, start:end].flatten(2, 3)  # [G, K, H / K * B, D]
        scores = (below @ key[:, :, :end].transpose(-1, -2)).view(
            rows, groups, -1, end - start, end
        )
        shares = scores.masked_fill(hidden[..., start:end, :end], -torch.inf).softmax(-1)
        parts.append((shares.flatten(2, 3) @ value[:, :, :end]).view(rows, heads, -1, width))
    return torch.cat(parts, dim=2).transpose(1, 2)


def _dtype(x: Tensor) -> torch.dtype:
    """In which a product of it is computed now."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
