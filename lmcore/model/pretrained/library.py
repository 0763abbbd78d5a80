"""The door to `transformers`: a base's weights, and the parts of its model.

It is imported inside functions: the extra may be missing.
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

from lmcore.errors import ConfigError, IntegrityError
from lmcore.model.pretrained.attention import rows_apart
from lmcore.model.pretrained.room import Room


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
        inner.set_attn_implementation(rows_apart())
    model: nn.Module = inner.eval()
    return model


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


def keeps_all(inner: Any) -> bool:
    """Whether each layer keeps keys and values of all that it read, and does nothing else."""
    from transformers import cache_utils

    return all(type(layer) is cache_utils.DynamicLayer for layer in fresh_cache(inner).layers)


def write_ahead(cache: Any, room: Room, place: int) -> Any:
    """Have the layers of a filled cache put the next token into room; returns the cache.

    Args:
        cache: Of a model that `keeps_all`.
        room: Of which what the cache holds are the first places.
        place: The next one, taken.
    """
    kind = _writing()
    for index, layer in enumerate(cache.layers):
        layer.__class__ = kind
        layer.room, layer.place, layer.first = room, place, 2 * index
    return cache


@functools.cache
def _writing() -> type:
    """The library's layer of a cache, that writes into room where it would copy what it holds."""
    from transformers import cache_utils

    class Writing(cache_utils.DynamicLayer):  # type: ignore[misc]
        room: Room
        place: int
        first: int

        def update(
            self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
        ) -> tuple[Tensor, Tensor]:
            self.keys = self.room.write(self.first, self.place, key_states)
            self.values = self.room.write(self.first + 1, self.place, value_states)
            return self.keys, self.values

    return Writing


def blocks(inner: nn.Module) -> list[nn.Module]:
    """The blocks of a model from the bottom up: its longest list of modules."""
    lists = [list(m) for m in inner.modules() if isinstance(m, nn.ModuleList)]
    return max(lists, key=len, default=[])
