"""The doors to `transformers` and `peft`: a base's weights, its parts, and what learns beside them.

Both are imported here alone in this room, inside functions: the extra may be missing.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from lmcore.errors import ConfigError, IntegrityError
from lmcore.model.pretrained import blockwise
from lmcore.model.pretrained.bounds import attend as attend_within
from lmcore.model.pretrained.bounds import given

#: Modules whose weights a Mamba block reads without calling them: nothing learns beside them.
_RECURRENT = ("mamba", "falconh1mixer")
_NEVER_CALLED = ("dt_proj", "out_proj", "conv1d")
#: Name of an attention that takes masks of true and false, as the library's `sdpa` does.
ROWS_APART = "lmcore_rows_apart"


@contextlib.contextmanager
def library() -> Iterator[Any]:
    """`transformers`, without its bars and remarks.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import transformers
        from transformers.utils import logging
    except ImportError as error:
        raise ConfigError(
            "a pretrained model needs the extra `pretrained`, which is not installed"
            f" ({error}); give `pip install 'lmcore[pretrained]'`"
        ) from error
    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    # What is wrong is raised; beside that it would log what a stranger's file says, at any length.
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield transformers
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_inner(folder: Path) -> nn.Module:
    """The library's causal language model in an imported folder, float32, in evaluation mode.

    Raises:
        IntegrityError: If it cannot be read, or weights and configuration do not fit.
    """
    with library() as transformers:
        try:
            inner, found = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder),
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
            reason = str(error).strip().replace("\n", " ")
            raise IntegrityError(
                f"{folder}: not a pretrained model that can be read"
                f" ({type(error).__name__}: {reason[:300]}); nothing was loaded. Delete the folder"
                " to have it imported again"
            ) from error
    wrong = [*found["missing_keys"], *found["mismatched_keys"], *found["unexpected_keys"]]
    if wrong:
        raise IntegrityError(
            f"{folder}: weights and configuration do not fit (the first: {wrong[0]}); nothing was"
            " loaded. Delete the folder to have it imported again"
        )
    if inner.config._attn_implementation == "sdpa":
        inner.set_attn_implementation(_rows_apart())
    model: nn.Module = inner.eval()
    return model


@functools.cache
def _rows_apart() -> str:
    """The name of the library's fused attention, for one token in each of many rows row by row.

    Rows know texts of different lengths, and what stands before the shorter ones is hidden by a
    mask.  Hidden places change in which order the others are summed, and so the last bits: what a
    row reads would depend on who else is in the batch.  What a single token sees are the last
    places of its row; alone with these, each row is what it is without the others.
    """
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        **options: Any,
    ) -> tuple[Tensor, None]:
        if (bounds := given(options)) is not None:
            return attend_within(query, key, value, bounds, scale=options.get("scaling")), None
        if _tells(attention_mask) and _plain(module, options) and blockwise.fits(query, key):
            scale = options.get("scaling")
            return blockwise.attend(query, key, value, attention_mask, scale=scale), None
        rows, places = query.shape[0], key.shape[2]
        if rows == 1 or query.shape[2] > 1 or not _tells(attention_mask):
            found: Tensor = sdpa_attention_forward(
                module, query, key, value, attention_mask, **options
            )[0]
            return found, None
        counts = [places] * rows
        if attention_mask is not None:
            counts = attention_mask[:, 0, 0].sum(1).tolist()
        parts = []
        for row, seen in enumerate(counts):
            own = slice(row, row + 1), slice(None), slice(places - seen, places)
            parts.append(
                sdpa_attention_forward(
                    module, query[row : row + 1], key[own], value[own], None, **options
                )[0]
            )
        return torch.cat(parts), None

    AttentionInterface.register(ROWS_APART, attend)
    AttentionMaskInterface.register(ROWS_APART, sdpa_mask)
    return ROWS_APART


def _tells(attention_mask: Tensor | None) -> bool:
    """Whether a mask says which places are seen, or that all are."""
    return attention_mask is None or attention_mask.dtype == torch.bool


def _plain(module: nn.Module, options: dict[str, Any]) -> bool:
    """Whether an attention is softmax over what came before, and nothing more."""
    causal = options.get("is_causal")
    more = options.get("position_bias"), options.get("softcap"), options.get("dropout") or None
    return bool(getattr(module, "is_causal", True) if causal is None else causal) and not any(
        x is not None for x in more
    )


class _Found:
    """An output of the library that holds last states and none of what else models tell."""

    def __init__(self, last_hidden_state: Tensor) -> None:
        self.last_hidden_state = last_hidden_state

    def __getitem__(self, index: int) -> Tensor:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        return None


class _PassThrough(nn.Module):
    """Stands for the body of a model: what it is given is what it found.

    Some heads ask the body, or its decoder, for a number of theirs.

    Args:
        body: That it stands for; none of its weights are here.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.__dict__["_body"] = body

    @property
    def decoder(self) -> _PassThrough:
        """Itself: a few models call this part of their body by themselves."""
        return self

    def __getattr__(self, name: str) -> Any:
        """As the body has it."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.__dict__["_body"], name)

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> _Found:
        """The given vectors as last states."""
        return _Found(inputs_embeds)


def head_of(inner: Any) -> Any:
    """The same model without its body: from last states to logits, scales and caps included."""
    head = copy.copy(inner)
    head.__dict__ = dict(inner.__dict__)
    head._modules = dict(inner._modules)
    head._modules[inner.base_model_prefix] = _PassThrough(inner.base_model)
    return head


def fresh_cache(inner: Any) -> Any:
    """An empty cache whose layers forget nothing of a window, sliding ones included."""
    from transformers import cache_utils

    cache = cache_utils.DynamicCache(config=inner.config)
    for index, layer in enumerate(cache.layers):
        if isinstance(layer, cache_utils.LinearAttentionAndSlidingWindowAttentionLayer):
            cache.layers[index] = cache_utils.LinearAttentionAndFullAttentionLayer(
                number_of_states=layer.number_of_states
            )
        elif isinstance(layer, cache_utils.DynamicSlidingWindowLayer):
            cache.layers[index] = cache_utils.DynamicLayer()
    return cache


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


def blocks(inner: nn.Module) -> list[nn.Module]:
    """The blocks of a model from the bottom up: its longest list of modules."""
    lists = [list(m) for m in inner.modules() if isinstance(m, nn.ModuleList)]
    return max(lists, key=len, default=[])


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
