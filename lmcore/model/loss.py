"""Negative log-likelihood in nats, always as a sum and a weight.

Averages of averages lie when batches differ in size, so nothing here divides;
the caller divides one sum by one weight at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lmcore.model.language_model import LanguageModel
from lmcore.model.state import State


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
    model: LanguageModel,
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
    nll = model.target_nll(features, targets)
    if weights is None:
        weight = torch.tensor(float(targets.numel()), device=targets.device)
    else:
        nll, weight = nll * weights, weights.sum()
    return Loss(sum_nll=nll.sum(), sum_weight=weight, state=after)


def token_nll(logits: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of each target in nats, float32 [B, T], from logits [B, T, V]."""
    flat = functional.cross_entropy(
        logits.float().flatten(0, 1), targets.reshape(-1), reduction="none"
    )
    return flat.view(targets.shape)
