"""The door to `peft`: small matrices beside those of a model of the library (LoRA).

It is imported inside functions: the extra may be missing.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmcore.errors import ConfigError
from lmcore.model.pretrained.library import library

#: Modules whose weights a Mamba block reads without calling them: nothing learns beside them.
_RECURRENT = ("mamba", "falconh1mixer")
_NEVER_CALLED = ("dt_proj", "out_proj", "conv1d")


def add_lora(inner: Any, *, rank: int, seed: int) -> None:
    """Put small matrices beside those of the model, and let these alone learn.

    The change is B A x with A random and B zero (Hu et al. 2021, arXiv:2106.09685), scaled by
    alpha / rank = 2; so the model is the same function until it has learnt.

    Raises:
        ConfigError: If the library is missing, or the model has no matrix to put one beside.
    """
    with library() as transformers:
        import peft

        transposed = transformers.pytorch_utils.Conv1D
        head = inner.get_output_embeddings()
        chosen = {name: part for name, part in _multiplying(inner).items() if part is not head}
        if not chosen:
            raise ConfigError(
                "model.adapt: lora finds no matrix in this model to learn beside; set it to full"
            )
        options = peft.LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            lora_dropout=0.0,
            target_modules=sorted(chosen),
            fan_in_fan_out=all(isinstance(module, transposed) for module in chosen.values()),
        )
        options._register_custom_module({nn.Linear: _beside()})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            peft.inject_adapter_in_model(options, inner)


def _multiplying(inner: Any) -> dict[str, Any]:
    """Parts of the library's model that are called to multiply by a matrix, by name."""
    with library() as transformers:
        transposed = transformers.pytorch_utils.Conv1D
    never = {
        f"{name}.{part}"
        for name, module in inner.named_modules()
        if any(kind in type(module).__name__.lower() for kind in _RECURRENT)
        for part in _NEVER_CALLED
    }
    return {
        name: module
        for name, module in inner.named_modules()
        if isinstance(module, nn.Linear | transposed) and name not in never
    }


def matrices(inner: Any) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Weights [out, in] and biases of those parts whose product is the plain one, by name."""
    return {
        name: (part.weight if type(part) is nn.Linear else part.weight.t(), part.bias)
        for name, part in _multiplying(inner).items()
        if type(part) is nn.Linear or not isinstance(part, nn.Linear)
    }


@torch.no_grad()
def fold_lora(inner: Any) -> None:
    """Add small matrices to those beside which they learnt, and take them away."""
    with library():
        from peft.tuners.tuners_utils import BaseTunerLayer

        beside = [n for n, part in inner.named_modules() if isinstance(part, BaseTunerLayer)]
        for name in beside:
            part = inner.get_submodule(name)
            part.merge()
            parent, _, leaf = name.rpartition(".")
            setattr(inner.get_submodule(parent), leaf, part.get_base_layer())


@functools.cache
def _beside() -> type[nn.Module]:
    """The library's small matrices beside a matrix, multiplied in fewer passes over the texts.

    Scaling the second matrix costs nothing; the library scales what comes out, and turns what goes
    in to float32 before autocast turns it back: a sixth of a step of SmolLM2-135M on two cores.
    """
    from peft.tuners import lora

    class Beside(lora.Linear):  # type: ignore[misc]
        def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
            (name,) = self.active_adapters
            found = self.base_layer(x)
            inner = functional.linear(x, self.lora_A[name].weight)
            outer = self.lora_B[name].weight * self.scaling[name]
            both = torch.addmm(found.flatten(0, -2), inner.flatten(0, -2), outer.t())
            return both.view(found.shape)

    return Beside
