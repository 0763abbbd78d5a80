"""What a model is, found out without reading its weights.

In: the files of a place.  Out: its settings, tokenizer, sizes and tokens, all of which fit one
another; or one sentence.  A look before a run asks no more than this.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
import torch
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

from lmcore.chat_template import ChatTemplate
from lmcore.errors import ConfigError, SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.base import LIBRARY_CONFIG_FILE
from lmcore.model.pretrained.chat_file import chat_template
from lmcore.model.pretrained.checks import (
    check_layers,
    checked_config,
    stored_weights,
    unreadable,
)
from lmcore.model.pretrained.description import card_of, license_in
from lmcore.model.pretrained.gguf_file import GgufHead, read_head
from lmcore.model.pretrained.library import library
from lmcore.model.pretrained.places import Place
from lmcore.model.pretrained.tokenizer_file import end_token, folder_tokenizer, gguf_tokenizer
from lmcore.model.pretrained.weights import FLOATS, StoredTensor

_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
#: Modules that a model may have for each tensor of its files, and in any case.
_MODULES_EACH, _MODULES = 50, 10_000
#: Bytes of tables that a model may compute when it is made, whatever its files hold.
_TABLES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """A model that can be gone on from, as far as can be told without its weights.

    Attributes:
        place: Where it lies.
        library_config: Settings of a folder's `config.json` that are kept; None for a GGUF file.
        tensors: Of a folder's weights; empty for a GGUF file.
        shapes: Of the tensors that the settings describe, by the library's names.
        tokenizer: Its own.
        architecture: Class of the library.
        parameters: Numbers that it consists of, shared ones counted once.
        vocab_size: Rows of its embedding.
        end_token: Token that starts and ends documents.
        end_id: Its id.
        most_tokens: Most tokens that it was made to read together; None: without a limit.
        license: As configured, else as its own description says, else `unknown`.
        card: Its own description.
        chat: How it wants to be talked to; None: not at all.
    """

    place: Place
    library_config: Mapping[str, Any] | None
    tensors: Mapping[str, StoredTensor]
    shapes: Mapping[str, tuple[int, ...]]
    tokenizer: tokenizers.Tokenizer
    architecture: str
    parameters: int
    vocab_size: int
    end_token: str
    end_id: int
    most_tokens: int | None
    license: str
    card: str
    chat: ChatTemplate | None


def inspect_model(
    place: Place, config: PretrainedConfig, *, spdx: Callable[[str], str | None]
) -> Inspected:
    """Find out what a model is.

    Args:
        place: Where it lies.
        config: Which end token and licence were configured.
        spdx: The SPDX expression that a licence's name stands for; None where it is none.

    Raises:
        SourceError: If it cannot be gone on from.
        ConfigError: If the extra is missing.
    """
    if config.adapt == "lora":
        _require("peft", what="model.adapt: lora")
    kept: Mapping[str, Any] | None = None
    tensors: Mapping[str, StoredTensor] = {}
    head: GgufHead | None = None
    if place.kind == "gguf":
        head = _checked_head(place)
        with alone(place) as (folder, name):
            settings = _gguf_settings(place, folder, name)
            cut = gguf_tokenizer(place, folder, name)
        stored, num_tensors = head.num_numbers, len(head.sizes)
        check_layers(place.files[place.name], settings.to_dict(), num_tensors=num_tensors)
    else:
        kept = checked_config(place)
        tensors = stored_weights(place, kept)
        settings = _folder_settings(place, kept)
        cut = folder_tokenizer(place)
        stored = sum(t.num_numbers for t in tensors.values() if t.kind in FLOATS)
        num_tensors = len(tensors)
    described = _described(place, settings, num_tensors=num_tensors)
    parameters = sum(p.numel() for p in described.parameters())
    if parameters > stored:
        raise SourceError(
            f"{place.where}: the configuration describes {parameters:,} weights, but there are"
            f" {stored:,}; they do not belong together"
        )
    _check_tables(place, described)
    if described.base_model is described:
        raise SourceError(f"{place.where}: {type(described).__name__} has no body beside its head")
    rows = int(described.get_input_embeddings().weight.shape[0])
    ids = cut.get_vocab(with_added_tokens=True)
    if not ids or max(ids.values()) >= rows:
        raise SourceError(
            f"{place.where}: the tokenizer has ids up to {max(ids.values(), default=-1):,}, but the"
            f" model has {rows:,} rows of embedding: a vocabulary that does not fit; take the"
            " tokenizer that belongs to the model"
        )
    settings = settings.get_text_config()
    name, index = end_token(config, place, settings, cut)
    card = card_of(place)
    said = license_in(card) or (str(head.facts.get("general.license", "")) if head else "")
    return Inspected(
        place=place,
        library_config=kept,
        tensors=tensors,
        shapes={name: tuple(t.shape) for name, t in described.state_dict().items()},
        tokenizer=cut,
        architecture=type(described).__name__,
        parameters=parameters,
        vocab_size=rows,
        end_token=name,
        end_id=index,
        most_tokens=most_tokens(settings),
        license=config.license if config.license != "unknown" else spdx(said[:200]) or "unknown",
        card=card,
        chat=chat_template(place, head, cut),
    )


@contextlib.contextmanager
def alone(place: Place) -> Iterator[tuple[Path, str]]:
    """A folder with nothing but a link to a GGUF file: what lies beside it is not looked at."""
    name = "model.gguf"
    with tempfile.TemporaryDirectory(prefix="gguf-") as folder:
        (Path(folder) / name).symlink_to(place.files[place.name].resolve())
        yield Path(folder), name


def _checked_head(place: Place) -> GgufHead:
    path = place.files[place.name]
    _require("gguf", what="a GGUF file")
    with library():
        from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES
    head = read_head(path)
    # The library has names of its own for some, with other signs between their words.
    known = {name.replace("_", "").replace("-", "") for name in GGUF_SUPPORTED_ARCHITECTURES}
    if head.architecture.replace("_", "").replace("-", "") not in known:
        raise SourceError(
            f"{path}: the architecture {head.architecture[:100]!r} is none that the transformers"
            " library reads from GGUF; take the model's folder with safetensors files"
        )
    layers = head.facts.get(f"{head.architecture}.block_count", 0)
    check_layers(path, {"num_layers": int(layers)}, num_tensors=len(head.sizes))
    return head


def _require(package: str, *, what: str) -> None:
    """Say now and not after an hour that a part of the extra is missing."""
    try:
        found = importlib.util.find_spec(package) is not None
    except ValueError:
        found = False
    if not found:
        raise ConfigError(
            f"{what} needs {package}, which is not installed; give `pip install"
            " 'lmcore[pretrained]'`"
        )


def _gguf_settings(place: Place, folder: Path, name: str) -> Any:
    with library() as transformers, contextlib.redirect_stderr(io.StringIO()):
        try:
            return transformers.AutoConfig.from_pretrained(
                str(folder), gguf_file=name, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # the library raises what its parts raise
            raise unreadable(place.where, error) from error


def _folder_settings(place: Place, config: Mapping[str, Any]) -> Any:
    # By way of a file, as they are read ever after: infinity, say, is written in a way of its own.
    with library() as transformers, tempfile.TemporaryDirectory(prefix="config-") as folder:
        (Path(folder) / LIBRARY_CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
        try:
            return transformers.AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # the library raises what its parts raise
            raise unreadable(place.files["config.json"], error) from error


class _TooManyModulesError(Exception):
    """A configuration makes more parts than its files can fill."""


def _described(place: Place, settings: Any, *, num_tensors: int) -> Any:
    """The model that settings describe, without memory for its weights."""
    most, made = _MODULES + _MODULES_EACH * num_tensors, 0

    def count(*_: object) -> None:
        nonlocal made
        made += 1
        if made > most:
            raise _TooManyModulesError(f"more than {most:,} parts for {num_tensors:,} tensors")

    with library() as transformers:
        watch = register_module_module_registration_hook(count)
        try:
            with torch.device("meta"):
                return transformers.AutoModelForCausalLM.from_config(
                    settings, trust_remote_code=False
                )
        except Exception as error:  # the library raises what its parts raise
            raise unreadable(place.where, error) from error
        finally:
            watch.remove()


def _check_tables(place: Place, described: nn.Module) -> None:
    """Masks and positions are computed, so no file bounds them."""
    num_bytes = sum(b.numel() * b.element_size() for b in described.buffers())
    if num_bytes > _TABLES:
        raise SourceError(
            f"{place.where}: the configuration asks for tables of {num_bytes / 2**30:,.1f} GiB"
            " beside the weights; no model is read with so many"
        )


def most_tokens(settings: Any) -> int | None:
    """Most tokens that a model was made to read together; None: without a limit.

    Where layers see chunks of a few tokens only, no more than these: in a window of that length
    every layer sees all of it. A sliding window is minded where a row is read.
    """
    found = [getattr(settings, name, None) for name in _LENGTHS]
    found += [getattr(settings, "attention_chunk_size", None)]
    sizes = [int(size) for size in found if isinstance(size, int) and size > 0]
    return min(sizes) if sizes else None
