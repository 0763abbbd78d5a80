"""Read out of a model what its attention layers look at.

Where an attention layer reads from is part of how the model works, and not a proof of why it
answers as it does: other weights can give the same answer (Jain and Wallace 2019,
arXiv:1902.10186).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmcore.model.recurrent.attention import AttentionMixer

if TYPE_CHECKING:
    from lmcore.model.recurrent.model import RecurrentAttentionLM


@torch.no_grad()
def read_attention(model: RecurrentAttentionLM, tokens: Tensor) -> list[Tensor]:
    """What each attention layer reads, from the bottom up.

    Args:
        model: In evaluation mode.
        tokens: int64 [B, T], read from the fresh state.

    Returns:
        Shares [B, H, T, T] of each layer; none for a pattern without attention.
    """
    found: list[Tensor] = []

    def read(mixer: AttentionMixer, given: tuple[Any, ...]) -> None:
        x, _, boundaries = given
        found.append(mixer.weights(x, boundaries))

    layers = [mixer for mixer in model.mixers if isinstance(mixer, AttentionMixer)]
    hooks = [layer.register_forward_pre_hook(read) for layer in layers]
    try:
        model.features(tokens)
    finally:
        for hook in hooks:
            hook.remove()
    return found
