"""The optimizer and the learning rate of a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.99)
_EPSILON = 1e-8
# What AdamW keeps of a weight.
_STATE = ("step", "exp_avg", "exp_avg_sq")


def make_optimizer(model: nn.Module, *, weight_decay: float) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov and Hutter 2019) of what may learn, with decay on matrices only.

    Its learning rate is set before each step by `set_learning_rate`.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=_EPSILON, fused=True)


def make_grouped_optimizer(
    layers: Sequence[Sequence[nn.Parameter]], *, weight_decay: float
) -> torch.optim.AdamW:
    """The same with groups of their own for each layer; `depth` in a group says which it is of."""
    groups = [
        {"params": chosen, "weight_decay": decay, "depth": depth}
        for depth, parameters in enumerate(layers)
        for chosen, decay in (
            ([p for p in parameters if p.ndim >= 2], weight_decay),
            ([p for p in parameters if p.ndim < 2], 0.0),
        )
        if chosen
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=_EPSILON, fused=True)


def learning_rate(
    step: float, *, steps: int, warmup_steps: int, peak: float, decay_steps: int | None = None
) -> float:
    """Linear warm-up to the peak, which is held where asked for, then linear to zero.

    Linear to zero beats a cosine to a tenth at the same length (Bergsma et al. 2025,
    arXiv:2502.15938). A training that goes on from finished weights holds the peak in between
    (a trapezoid; Haegele et al. 2024, arXiv:2405.18392).

    Args:
        step: Step to be taken, counted from 0; of a revised plan its position.
        steps: Steps of the schedule.
        warmup_steps: Length of the warm-up, less than `steps`.
        peak: Largest learning rate.
        decay_steps: Length of the way to zero at the end; None: all after the warm-up.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    length = steps - warmup_steps
    if decay_steps is not None:
        length = min(length, max(1, decay_steps))
    return peak * min(1.0, (steps - step) / length)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Use `value` in the next step."""
    for group in optimizer.param_groups:
        group["lr"] = value


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of the optimizer as named tensors: `<parameter index>.<name>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value for index, entry in state.items() for name, value in entry.items()
    }


def optimized(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The weight to which each of `optimizer_tensors` belongs."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        f"{index}.{name}": parameter
        for index, parameter in enumerate(parameters)
        for name in _STATE
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took out."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
