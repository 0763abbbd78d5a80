"""Negative log-likelihood in nats, always as a sum and a weight.

Averages of averages lie when batches differ in size, so nothing here divides;
the caller divides one sum by one weight at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lmcore.model.language_model import RecurrentAttentionLM
from lmcore.model.state import State

# Rows whose logits are held at a time: they stay in cache, and memory stays bounded for any
# vocabulary.
_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Result of one pass.

    Attributes:
        sum_nll: Weighted negative log-likelihood in nats, scalar, float32, with gradient.
        sum_weight: Weight of all targets, scalar; the number of tokens by default.
        state: State after the last token.
    """

    sum_nll: Tensor
    sum_weight: Tensor
    state: State


def sequence_loss(
    model: RecurrentAttentionLM,
    inputs: Tensor,
    targets: Tensor,
    *,
    state: State | None = None,
    weights: Tensor | None = None,
    rng: torch.Generator | None = None,
) -> Loss:
    """Loss of targets [B, T] given inputs [B, T].

    Args:
        model: The model; runs under the caller's autocast, if any.
        inputs: int64 [B, T].
        targets: int64 [B, T], the token after each input.
        state: State before the inputs; None is the fresh one.
        weights: Weight of each target, [B, T]; None is 1 each.
        rng: Source of dropout; None switches it off.
    """
    features, after = model.features(inputs, state, rng=rng)
    head = model.head_weight
    flat_weights = None if weights is None else weights.reshape(-1)
    total = torch.zeros((), device=features.device)
    rows, flat_targets = features.flatten(0, 1), targets.reshape(-1)
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        logits = functional.linear(rows[part], head).float()
        if flat_weights is None:
            total = total + functional.cross_entropy(logits, flat_targets[part], reduction="sum")
        else:
            nll = functional.cross_entropy(logits, flat_targets[part], reduction="none")
            total = total + (nll * flat_weights[part]).sum()
    weight = (
        torch.tensor(float(targets.numel()), device=features.device)
        if weights is None
        else weights.sum()
    )
    return Loss(sum_nll=total, sum_weight=weight, state=after)


def token_nll(logits: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of each target in nats, float32 [B, T], from logits [B, T, V]."""
    flat = functional.cross_entropy(
        logits.float().flatten(0, 1), targets.reshape(-1), reduction="none"
    )
    return flat.view(targets.shape)
