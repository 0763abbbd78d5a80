"""The library's fused attention, and where another way of it is taken.

In: queries, keys and values of a layer, and what each token may see.  Out: what it reads.  Packed
rows whose bounds a GPU's kernel takes (`bounds`), long rows that something learns from on a CPU
(`blockwise`), and single tokens of many rows are read otherwise; all else the library does.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from lmcore.model.pretrained import blockwise
from lmcore.model.pretrained.bounds import attend as attend_within
from lmcore.model.pretrained.bounds import given

#: Name of an attention that takes masks of true and false, as the library's `sdpa` does.
ROWS_APART = "lmcore_rows_apart"


@functools.cache
def rows_apart() -> str:
    """The name of the library's fused attention, for one token in each of many rows row by row.

    Rows know texts of different lengths, and what stands before the shorter ones is hidden by a
    mask.  Hidden places change in which order the others are summed, and so the last bits: what a
    row reads would depend on who else is in the batch.  What a single token sees are the last
    places of its row; alone with these, each row is what it is without the others.
    """
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        **options: Any,
    ) -> tuple[Tensor, None]:
        if (bounds := given(options)) is not None:
            return attend_within(query, key, value, bounds, scale=options.get("scaling")), None
        if _tells(attention_mask) and _plain(module, options) and blockwise.fits(query, key):
            scale = options.get("scaling")
            return blockwise.attend(query, key, value, attention_mask, scale=scale), None
        rows, places = query.shape[0], key.shape[2]
        if rows == 1 or query.shape[2] > 1 or not _tells(attention_mask):
            found: Tensor = sdpa_attention_forward(
                module, query, key, value, attention_mask, **options
            )[0]
            return found, None
        counts = [places] * rows
        if attention_mask is not None:
            counts = attention_mask[:, 0, 0].sum(1).tolist()
        parts = []
        for row, seen in enumerate(counts):
            own = slice(row, row + 1), slice(None), slice(places - seen, places)
            parts.append(
                sdpa_attention_forward(
                    module, query[row : row + 1], key[own], value[own], None, **options
                )[0]
            )
        return torch.cat(parts), None

    AttentionInterface.register(ROWS_APART, attend)
    AttentionMaskInterface.register(ROWS_APART, sdpa_mask)
    return ROWS_APART


def _tells(attention_mask: Tensor | None) -> bool:
    """Whether a mask says which places are seen, or that all are."""
    return attention_mask is None or attention_mask.dtype == torch.bool


def _plain(module: nn.Module, options: dict[str, Any]) -> bool:
    """Whether an attention is softmax over what came before, and nothing more."""
    causal = options.get("is_causal")
    more = options.get("position_bias"), options.get("softcap"), options.get("dropout") or None
    return bool(getattr(module, "is_causal", True) if causal is None else causal) and not any(
        x is not None for x in more
    )
