"""Attention within the segments of packed rows, told by where they begin and not by a mask.

A mask says of each pair of tokens of a row whether one sees the other; kernels that take one read
all pairs.  Those that are told the bounds of segments read what is seen alone (FlashAttention, Dao
2023, arXiv:2307.08691): a row of 2,048 tokens costs half, one of many short texts far less.

Legend: G rows, T tokens of a row, S segments of all rows, H heads, K heads of keys and values, D
their width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# What a GPU's kernel computes in; other numbers are read with a mask.
_HALF = (torch.bfloat16, torch.float16)
# Names under which the library hands them from a model to its attention.
_FIRST, _LONGEST = "cu_seq_lens_q", "max_length_q"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Where segments begin.

    Attributes:
        first: First tokens of the segments, all rows one behind the other, and their end, [S + 1].
        longest: Tokens that a segment has at most.
    """

    first: Tensor
    longest: int

    def options(self) -> dict[str, Any]:
        """As a model of the library hands them on; the mask beside them is to be ignored."""
        return {
            "attention_mask": torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=self.first.device),
            _FIRST: self.first,
            _LONGEST: self.longest,
        }


def bounds_of(owners: Tensor, device: torch.device) -> Bounds:
    """Bounds of the segments to which tokens [G, T] belong; a segment ends with its row.

    Empty segments at the end make their number a power of two, and the longest is said to be a
    row: kernels are written for numbers, so few of them are enough.
    """
    begins = np.ones(owners.shape, dtype=bool)
    begins[:, 1:] = np.diff(owners.numpy(), axis=1) != 0
    starts = np.flatnonzero(begins)
    first = np.full((1 << len(starts).bit_length()) + 1, owners.numel(), dtype=np.int32)
    first[: len(starts)] = starts
    return Bounds(first=torch.from_numpy(first).to(device), longest=owners.shape[1])


def given(options: dict[str, Any]) -> Bounds | None:
    """The bounds that a model handed to its attention, if it did."""
    if options.get(_FIRST) is None:
        return None
    return Bounds(first=options[_FIRST], longest=options[_LONGEST])


def in_half_precision(device: torch.device) -> bool:
    """Whether a GPU computes in half precision now, as its kernels for bounds do."""
    return (
        device.type == "cuda"
        and torch.is_autocast_enabled("cuda")
        and torch.get_autocast_dtype("cuda") in _HALF
    )


def attend(
    query: Tensor, key: Tensor, value: Tensor, bounds: Bounds, *, scale: float | None
) -> Tensor:
    """What each token reads of those of its segment up to itself.

    Args:
        query: [G, H, T, D].
        key: [G, K, T, D].
        value: [G, K, T, D].
        bounds: Of the segments.
        scale: Of scores; None: 1 / sqrt(D).

    Returns:
        [G, T, H, D].
    """
    repeats = query.shape[1] // key.shape[1]
    if repeats > 1:
        key, value = (x.repeat_interleave(repeats, dim=1) for x in (key, value))
    if not in_half_precision(query.device):
        return _with_mask(query, key, value, bounds, scale=scale).transpose(1, 2)
    # Fused kernels for segments are in torch since 2.10; nothing else here needs them.
    from torch.nn.attention.varlen import varlen_attn

    rows, _, length, width = query.shape
    half = torch.get_autocast_dtype("cuda")
    query, key, value = (
        x.transpose(1, 2).reshape(rows * length, -1, width).to(half) for x in (query, key, value)
    )
    first, longest = bounds.first, bounds.longest
    found = varlen_attn(
        query, key, value, first, first, longest, longest, scale=scale, window_size=(-1, 0)
    )
    assert isinstance(found, Tensor)
    return found.view(rows, length, -1, width)


def _with_mask(
    query: Tensor, key: Tensor, value: Tensor, bounds: Bounds, *, scale: float | None
) -> Tensor:
    """The same by a mask, where no kernel takes bounds."""
    rows, _, length, _ = query.shape
    places = torch.arange(rows * length, device=query.device)
    owners = torch.searchsorted(bounds.first, places, right=True).view(rows, length)
    seen = (owners[:, :, None] == owners[:, None, :]).tril()
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=seen[:, None], scale=scale
    )
