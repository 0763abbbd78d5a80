"""What each token of a packed row may see, in the form that a model takes it.

Legend: G lanes of a group, T tokens of a row, P places kept before them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from lmcore.model.pretrained.attention import ROWS_APART

#: Of each layer the same; the same and within the sliding window; or by the type of a layer.
Form = Literal["alike", "sliding", "by layer"]
FORMS: tuple[Form, ...] = ("alike", "sliding", "by layer")
_FULL, _SLIDING = "full_attention", "sliding_attention"


def visible(owners: Tensor, past: Tensor, places: int) -> Tensor | None:
    """What each token may see, bool [G, T, P + T]; None where plain causality says it all.

    Args:
        owners: Segment of each token, [G, T]; 0 goes on from what was kept.
        past: Places kept that belong to segment 0, right-aligned, [G].
        places: P.
    """
    length = owners.shape[1]
    one = bool((owners == owners[:, :1]).all())
    if one and not places:
        return None
    if one and length == 1 and bool((past == places).all()):
        return None
    kept = torch.arange(places) >= places - past[:, None]
    keys = torch.cat([torch.where(kept, 0, -1), owners], dim=1)
    causal = torch.ones(length, places + length, dtype=torch.bool).tril(places)
    return (owners[:, :, None] == keys[:, None, :]) & causal


def in_form(inner: Any, form: Form, seen: Tensor | None, device: torch.device) -> Any:
    """What `visible` found, as a model takes it; a sliding window narrows it further."""
    if seen is None:
        return None
    length, places = seen.shape[1], seen.shape[2] - seen.shape[1]
    window = sliding_window(inner)
    if form == "alike" or window is None or window >= seen.shape[2]:
        return _in_type(inner, seen, device)
    near = torch.ones(length, places + length, dtype=torch.bool).triu(places - window + 1)
    narrow = _in_type(inner, seen & near, device)
    if form == "sliding":
        return narrow
    return {_FULL: _in_type(inner, seen, device), _SLIDING: narrow}


def _in_type(inner: Any, seen: Tensor, device: torch.device) -> Tensor:
    """As true and false, or as what is added to scores, for each head alike."""
    seen = seen[:, None].to(device)
    if inner.config._attn_implementation in ("sdpa", ROWS_APART):
        return seen
    hidden = torch.zeros(seen.shape, device=device)
    return hidden.masked_fill(~seen, torch.finfo(hidden.dtype).min)


def sliding_window(inner: Any) -> int | None:
    """Tokens that layers with a sliding window see, the own included; None: there is none."""
    found = getattr(inner.config.get_text_config(), "sliding_window", None)
    return found if isinstance(found, int) and found > 0 else None


@contextlib.contextmanager
def short_window(inner: Any) -> Iterator[None]:
    """A sliding window of two tokens, so that a few tell whether it is minded."""
    config, before = inner.config.get_text_config(), sliding_window(inner)
    if before is not None:
        config.sliding_window = 2
    try:
        yield
    finally:
        if before is not None:
            config.sliding_window = before
