"""Kernels that are written for a model: `torch.compile` of its blocks and of its loss, on a GPU.

A block is some sixty small operations, most of which read and write all that it holds; a compiler
makes a few of them.  All blocks of a model share one compiled function.  It needs Triton and a C
compiler; where one is missing, everything is computed as it is written, and more slowly.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import subprocess
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmcore.model.pretrained.library import blocks

logger = logging.getLogger(__name__)


@functools.cache
def works(device: str = "cuda") -> bool:
    """Whether kernels for a kind of device can be written here; a small one is tried."""
    try:
        with _quiet():
            x = torch.ones(64, 8, device=device, requires_grad=True)
            torch.autograd.backward(torch.compile(_twice)(x))
        assert x.grad is not None
        return bool((x.grad == 2).all())
    except (RuntimeError, ImportError, OSError, subprocess.SubprocessError) as error:
        logger.info("kernels cannot be written here, so a step takes longer (%s)", error)
        return False


def _twice(x: Tensor) -> Tensor:
    return (2 * x).sum()


@contextlib.contextmanager
def fused(inner: nn.Module) -> Iterator[None]:
    """Inside, the blocks of a model are computed by kernels of their own.

    Their hooks are not part of what is compiled, and are called as ever.

    Args:
        inner: The model.
    """
    compiled = _compiled_forward()
    found = blocks(inner)
    for block in found:
        block.__dict__["forward"] = functools.partial(compiled, block)
    try:
        with _quiet():
            yield
    finally:
        for block in found:
            del block.__dict__["forward"]


@functools.cache
def _compiled_forward() -> Callable[..., Any]:
    return torch.compile(_forward)


def _forward(block: nn.Module, *args: Any, **options: Any) -> Any:
    return type(block).forward(block, *args, **options)


def nll(logits: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of targets [N] under logits [N, V], summed in float32."""
    return functional.cross_entropy(logits.float(), targets, reduction="none")


@functools.cache
def fused_nll() -> Callable[[Tensor, Tensor], Tensor]:
    """`nll` without float32 copies of the logits."""
    return torch.compile(nll)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the compiler's advice about float32."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TensorFloat32")
        yield
