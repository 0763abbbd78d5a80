"""One training step and one look at the tune split: the arithmetic, without bookkeeping."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lmcore.data.batches import Batch
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import RecurrentAttentionLM
from lmcore.model.loss import sequence_loss
from lmcore.model.state import State
from lmcore.training.config import Precision


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a step did.

    Attributes:
        loss_nats: Mean over the step's tokens.
        grad_norm: Norm of the gradient before clipping.
        state: State after the step, without gradient.
    """

    loss_nats: float
    grad_norm: float
    state: State


def new_model(
    config: ModelConfig, *, vocab_size: int, end_id: int, seed: int, device: str
) -> RecurrentAttentionLM:
    """An untrained model: a function of its seed; the caller's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = RecurrentAttentionLM(config, vocab_size, end_id)
    return model.to(device)


def autocast(device: str, precision: Precision) -> torch.autocast:
    """Mixed precision: weights and sums in float32, products in bfloat16."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def backward_step(
    model: RecurrentAttentionLM,
    batch: Batch,
    state: State | None,
    *,
    precision: Precision,
    gradient_clip: float,
    rng: torch.Generator | None,
) -> StepResult:
    """Forward, backward and clip; the gradients are left in the parameters."""
    device = model.embedding.weight.device
    model.zero_grad(set_to_none=True)
    with autocast(device.type, precision):
        loss = sequence_loss(
            model,
            to_tensor(batch.inputs, device),
            to_tensor(batch.targets, device),
            state=None if batch.fresh else state,
            rng=rng,
        )
    mean = loss.sum_nll / loss.sum_weight
    mean.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
    return StepResult(loss_nats=mean.item(), grad_norm=norm.item(), state=loss.state.detach())


def dropout_rng(*, seed: int, step: int, device: str) -> torch.Generator:
    """Randomness of a step as a function of the step, so that a resume has none to restore."""
    digest = hashlib.blake2b(f"dropout/{seed}/{step}".encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest) >> 1)


@torch.no_grad()
def bits_per_byte(
    model: RecurrentAttentionLM, batches: Iterable[Batch], *, piece_bytes: npt.NDArray[np.int64]
) -> float:
    """Bits that the model needs for each UTF-8 byte of the targets, in float32.

    Args:
        model: The model; its mode does not matter, as nothing is dropped here.
        batches: A look at a split; the state is carried between them unless `fresh`.
        piece_bytes: UTF-8 bytes of each token, [V].
    """
    device = model.embedding.weight.device
    state: State | None = None
    nll_nats = 0.0
    num_bytes = 0
    for batch in batches:
        loss = sequence_loss(
            model,
            to_tensor(batch.inputs, device),
            to_tensor(batch.targets, device),
            state=None if batch.fresh else state,
        )
        state = loss.state
        nll_nats += loss.sum_nll.item()
        num_bytes += int(piece_bytes[batch.targets].sum())
    return nll_nats / math.log(2) / max(1, num_bytes)


def to_tensor(tokens: npt.NDArray[np.int64], device: torch.device) -> Tensor:
    """Token ids on a device."""
    return torch.from_numpy(np.ascontiguousarray(tokens)).to(device)
