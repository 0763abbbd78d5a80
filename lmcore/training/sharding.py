"""Weights, their gradients and the optimizer's state in parts, one on each rank (FSDP2).

AdamW in float32 keeps four numbers for each weight: itself, its gradient and two moments.  Where
one device has no room for them, each of N ranks keeps an N-th of all four.  What a block consists
of is gathered when the block computes, and let go of behind it; its gradient is summed to the rank
that keeps it (Zhao et al. 2023, arXiv:2304.11277; `torch.distributed.fsdp.fully_shard`).

Gathering is done by all ranks together, so each must call each block as often as the others: a look
at the tune split, which may have fewer lanes than there are ranks, is read as a whole by every one.

torch's modules for this take half a second to import, and few trainings need them: inside.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lmcore.errors import ConfigError
from lmcore.model.factory import calls_blocks_once
from lmcore.model.language_model import LanguageModel


def shard(losses: nn.Module, *, ranks: int, device: str) -> nn.Module:
    """Have each rank keep a part of the language model in a loss; the same module.

    Args:
        losses: The loss; its model lies on the CPU, or is in parts already.
        ranks: How many there are.
        device: Where the parts lie: `cpu` or `cuda`.

    Raises:
        ConfigError: If ranks could call the model's blocks differently often.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

    model = next(part for part in losses.modules() if isinstance(part, LanguageModel))
    if isinstance(model, FSDPModule):
        return losses
    if not calls_blocks_once(model):
        raise ConfigError(
            "training.shard_weights needs a model that reads several texts in one row, as those"
            " with attention do; set it to false for this one"
        )
    # What a block returns is changed nowhere in place, which is what it warns of.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")
    mesh = init_device_mesh(device, (ranks,))
    for block in _blocks(model):
        fully_shard(block, mesh=mesh)
    # What is not in a block is gathered once a step: the head is asked a few rows at a time.
    fully_shard(model, mesh=mesh, reshard_after_forward=False)
    register_fsdp_forward_method(model, "features")
    for part in model.modules():
        if isinstance(part, FSDPModule):
            # gloo knows no mean.
            part.set_force_sum_reduction_for_comms(device == "cpu")
    return losses


def _blocks(model: nn.Module) -> list[nn.Module]:
    """Members with matrices of its outermost lists of modules, each of which is called as one."""
    found: list[nn.Module] = []
    for part in model.children():
        if isinstance(part, nn.ModuleList):
            found += [m for m in part if any(p.ndim > 1 for p in m.parameters())]
        else:
            found += _blocks(part)
    return found


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which this rank keeps a part, gathered from all ranks; others as they are."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor if gather is None else gather()


def all_whole(tensors: Mapping[str, Tensor], *, leads: bool) -> dict[str, Tensor]:
    """Gathered one by one, on the CPU of the rank that leads; nothing elsewhere."""
    found = {}
    for name, tensor in tensors.items():
        full = whole(tensor.detach())
        if leads:
            found[name] = full.to("cpu")
    return found


def part_of(tensor: Tensor, *, like: Tensor) -> Tensor:
    """The part of a whole tensor that this rank keeps of another one of the same shape."""
    if not hasattr(like, "full_tensor") or tensor.shape != like.shape:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    with torch.no_grad():
        # Each rank has read it from the same file: nothing is sent.
        return distribute_tensor(
            tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None
        )
