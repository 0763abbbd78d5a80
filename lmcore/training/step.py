"""One training step and one look at the tune split: the arithmetic, without bookkeeping."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lmcore.data.tokens.batches import Batch
from lmcore.model.language_model import LanguageModel
from lmcore.model.loss import sequence_loss
from lmcore.model.recurrent.layers import LaneGenerator
from lmcore.model.state import State
from lmcore.training.config import Precision
from lmcore.training.distributed import ALONE, World
from lmcore.training.sharding import whole


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a step did.

    Attributes:
        loss_nats: Mean over the step's tokens, those of all ranks.
        grad_norm: Norm of their gradient before clipping.
        state: State of the own lanes after the step, without gradient; None where a loss has none.
    """

    loss_nats: float
    grad_norm: float
    state: State | None


class TrainingLoss(nn.Module):
    """The loss as a module, so that its gradients can be averaged over ranks.

    Args:
        model: The model to be trained.
    """

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        state: State | None,
        rng: torch.Generator | None,
        weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, State]:
        """Sum of the negative log-likelihood, its weight, and the state without gradient."""
        loss = sequence_loss(self.model, inputs, targets, state=state, weights=weights, rng=rng)
        return loss.sum_nll, loss.sum_weight, loss.state.detach()


def autocast(device: str, precision: Precision) -> torch.autocast:
    """Mixed precision: weights and sums in float32, products in bfloat16."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def backward_step(
    losses: nn.Module,
    batch: Batch,
    state: State | None,
    *,
    precision: Precision,
    gradient_clip: float,
    rng: torch.Generator | None,
    world: World = ALONE,
) -> StepResult:
    """Forward, backward and clip; the gradients are left in the parameters.

    Args:
        losses: A `TrainingLoss`, or what `World.averaging` made of it.
        batch: The own lanes: as many on each rank, so that the mean of the ranks' means is
            the mean over all tokens.
        state: State of the own lanes.
        precision: See `autocast`.
        gradient_clip: Largest norm of the gradient over all tokens.
        rng: Source of dropout; None switches it off.
        world: The ranks.
    """
    device = next(losses.parameters()).device
    losses.zero_grad(set_to_none=True)
    parts = batch.parts()
    assert len(parts) == 1 or batch.fresh, "lanes that are read in parts carry no state"
    nats = weight = 0.0
    for part in parts:
        with autocast(device.type, precision):
            sum_nll, sum_weight, after = losses(
                to_tensor(part.inputs, device),
                to_tensor(part.targets, device),
                state=None if part.fresh else state,
                rng=rng,
                weights=None if part.weights is None else torch.from_numpy(part.weights).to(device),
            )
        if len(parts) == 1:
            mean = sum_nll / sum_weight
            mean.backward()
            loss = mean.item()
        else:
            sum_nll.backward()
            nats, weight = nats + sum_nll.item(), weight + sum_weight.item()
    if len(parts) > 1:
        # The mean over all tokens, whichever part they are in.
        loss, after = nats / weight, None
        for parameter in losses.parameters():
            if parameter.grad is not None:
                parameter.grad /= weight
    norm = whole(nn.utils.clip_grad_norm_(losses.parameters(), gradient_clip))
    loss_nats, grad_norm = world.means(loss, norm.item())
    return StepResult(loss_nats=loss_nats, grad_norm=grad_norm, state=after)


def dropout_rng(
    *, seed: int, step: int, device: str, num_lanes: int = 0, world: World = ALONE
) -> torch.Generator:
    """Randomness of a step as a function of the step, so that a resume has none to restore.

    Args:
        seed: Of the run.
        step: Counted from 0.
        device: Where it is used.
        num_lanes: Lanes of the whole batch; one process needs not know.
        world: The ranks; each drops what one process would drop in its lanes.
    """
    digest = hashlib.blake2b(f"dropout/{seed}/{step}".encode(), digest_size=8).digest()
    if world.size == 1:
        rng = torch.Generator(device)
    else:
        rng = LaneGenerator(device)
        rng.lanes, rng.num_lanes = world.rows(num_lanes), num_lanes
    return rng.manual_seed(int.from_bytes(digest) >> 1)


@torch.no_grad()
def bits_per_byte(
    model: LanguageModel,
    batches: Iterable[Batch],
    *,
    piece_bytes: npt.NDArray[np.int64],
    world: World = ALONE,
) -> float:
    """Bits that the model needs for each byte that the targets stand for, in float32.

    Args:
        model: The model; its mode does not matter, as nothing is dropped here.
        batches: A look at a split; the state is carried between them unless `fresh`.
        piece_bytes: Bytes of each token, [V].
        world: The ranks; each reads its share of the lanes.
    """
    device = model.device
    state: State | None = None
    nll_nats = 0.0
    num_bytes = 0
    for batch in map(world.share, batches):
        if not len(batch.inputs):
            continue  # fewer lanes than ranks
        loss = sequence_loss(
            model,
            to_tensor(batch.inputs, device),
            to_tensor(batch.targets, device),
            state=None if batch.fresh else state,
        )
        state = loss.state
        nll_nats += loss.sum_nll.item()
        num_bytes += int(piece_bytes[batch.targets].sum())
    nll_nats, all_bytes = world.sums(nll_nats, num_bytes)
    return nll_nats / math.log(2) / max(1, all_bytes)


def to_tensor(tokens: npt.NDArray[np.int64], device: torch.device) -> Tensor:
    """Token ids on a device."""
    return torch.from_numpy(np.ascontiguousarray(tokens)).to(device)
