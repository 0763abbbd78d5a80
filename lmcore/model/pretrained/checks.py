"""What makes a folder unusable, found before any weight is read: files say what they are, or lie.

In: the files of a folder in the Hugging Face layout.  Out: nothing, or one sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmcore.errors import SourceError
from lmcore.model.pretrained.library import library
from lmcore.model.pretrained.places import Place
from lmcore.model.pretrained.weights import StoredTensor, read_heads
from lmcore.nesting import is_deeper

_MOST_JSON_BYTES = 16 << 20
_MOST_CONFIG_BYTES = 4 << 20
_LARGEST = 1 << 31
_INDEX = "model.safetensors.index.json"
_WEIGHTS = "model.safetensors"
#: How configurations call the number of their blocks.
_LAYERS = frozenset({"num_hidden_layers", "num_layers", "n_layer", "n_layers", "decoder_layers"})
#: Numbers by which the library repeats something, if only a word in a list.
_REPEATED = re.compile(r"layer|block|depth|dense|attention_types|stage|loop|repeat", re.IGNORECASE)
_MOST_REPEATED = 1 << 20
#: Settings of how the library works and not of what the model is: one could fetch code, name other
#: files, or fill memory with labels.
_NOT_OF_THE_MODEL = frozenset(
    {
        *("transformers_weights", "kernel_config", "use_kernels", "_name_or_path", "name_or_path"),
        *("return_dict", "use_return_dict", "output_attentions", "output_hidden_states"),
        *("torchscript", "num_labels", "id2label", "label2id", "base_model_tp_plan"),
    }
)


#: Of lists and objects in a file of a model: walking more could take more calls than Python allows.
_MOST_LEVELS = 100


def read_json(path: Path, *, most_bytes: int = _MOST_JSON_BYTES) -> dict[str, Any]:
    """A JSON object from outside.

    Raises:
        SourceError: If it is none, or too large.
    """
    size = path.stat().st_size
    if size > most_bytes:
        raise SourceError(f"{path}: {size:,} bytes; no such file of a model is so large")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: not JSON ({str(error)[:200]}); restore the file") from error
    if is_deeper(found, _MOST_LEVELS):
        raise SourceError(
            f"{path}: nested deeper than {_MOST_LEVELS} levels, as no file of a model is; restore"
            " the file"
        )
    if not isinstance(found, dict):
        raise SourceError(f"{path}: expected a JSON object, found a {type(found).__name__}")
    return found


def checked_config(place: Place) -> dict[str, Any]:
    """The library's configuration of a model that can be gone on from.

    Raises:
        SourceError: If it needs code of its own, is quantized, is no decoder, or lies about sizes.
    """
    path = place.files["config.json"]
    config = read_json(path, most_bytes=_MOST_CONFIG_BYTES)
    if "auto_map" in config:
        raise SourceError(
            f"{path}: the model brings code of its own (auto_map), which is never run; choose a"
            " model that the transformers library knows"
        )
    if config.get("quantization_config"):
        method = _method(config["quantization_config"])
        raise SourceError(
            f"{path}: the weights are quantized ({method}); take the unquantized model, or a GGUF"
            " file"
        )
    for name, value in _numbers(config):
        if abs(value) > _LARGEST:
            raise SourceError(f"{path}: {name[:100]}={value}; no model is so large")
    model_type = str(config.get("model_type"))
    with library():
        from transformers.models.auto import modeling_auto

        decoders = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    named = config.get("architectures")
    architecture = str(named[0])[:100] if isinstance(named, list) and named else ""
    is_other = architecture and not architecture.endswith(("ForCausalLM", "LMHeadModel"))
    if model_type not in decoders or is_other or config.get("is_encoder_decoder"):
        raise SourceError(
            f"{path}: model_type {model_type[:100]!r} ({architecture or 'no architecture named'})"
            " is no decoder that predicts the next token; choose a causal language model"
        )
    cleaned: dict[str, Any] = _of_the_model(config)
    return cleaned


def _of_the_model(settings: Any) -> Any:
    """Settings without those that say how the library works."""
    if isinstance(settings, Mapping):
        return {
            name: _of_the_model(value)
            for name, value in settings.items()
            if name not in _NOT_OF_THE_MODEL and "implementation" not in name
        }
    return [_of_the_model(part) for part in settings] if isinstance(settings, list) else settings


def stored_weights(place: Place, config: Mapping[str, Any]) -> dict[str, StoredTensor]:
    """Ask the heads of the weights' files what they hold.

    Raises:
        SourceError: If a file is missing, damaged or unsafe, or cannot hold so many layers.
    """
    names = _weight_files(place)
    stored = read_heads(place.files[name] for name in names)
    if _WEIGHTS not in names:
        _check_index(place, stored)
    check_layers(place.files["config.json"], config, num_tensors=len(stored))
    return stored


def check_layers(path: Path, config: Mapping[str, Any], *, num_tensors: int) -> None:
    """Refuse a configuration whose repetitions alone would fill memory.

    Args:
        path: Of the configuration.
        config: Its settings.
        num_tensors: Tensors that the files hold; a layer has at least one.

    Raises:
        SourceError: If it asks for more than there can be.
    """
    for name, value in _numbers(config):
        if name.rpartition(".")[2] in _LAYERS and value > num_tensors:
            raise SourceError(
                f"{path}: {value:,} layers, but the files hold {num_tensors:,} tensors"
            )
        if _REPEATED.search(name) and abs(value) > _MOST_REPEATED:
            raise SourceError(f"{path}: {name}={value}; no model repeats a part so often")


def _check_index(place: Place, stored: Mapping[str, StoredTensor]) -> None:
    """The index and its files speak of the same tensors."""
    path = place.files[_INDEX]
    for name, part in read_json(path)["weight_map"].items():
        held = stored.get(str(name))
        if held is None or held.path.name != str(part):
            raise SourceError(
                f"{path}: says that {str(name)[:100]} is in {str(part)[:100]}, which does not hold"
                " it; take another copy"
            )


def _weight_files(place: Place) -> list[str]:
    if _WEIGHTS in place.files:
        return [_WEIGHTS]
    if _INDEX in place.files:
        parts = read_json(place.files[_INDEX]).get("weight_map")
        names = sorted(set(map(str, parts.values()))) if isinstance(parts, dict) else []
        for name in names:
            # A name of this folder alone: an index may not point elsewhere.
            if name not in place.files or not name.endswith(".safetensors"):
                raise SourceError(
                    f"{place.files[_INDEX]}: names {name[:100]!r}, which is no safetensors file of"
                    " this folder"
                )
        if names:
            return names
    if place.unsafe:
        raise SourceError(
            f"{place.folder}: the weights are pickled ({place.unsafe[0]}), which can run code and"
            " is never read; take a copy of the model with safetensors files"
        )
    raise SourceError(
        f"{place.folder}: no weights; expected {_WEIGHTS}, or parts of it with their index"
    )


def _method(quantization: object) -> str:
    named = quantization.get("quant_method") if isinstance(quantization, Mapping) else None
    return str(named or "by a method that is not named")[:40]


def _numbers(value: Any, name: str = "", depth: int = 0) -> list[tuple[str, int]]:
    """Whole numbers in nested settings, by dotted name."""
    if depth > 8:
        return []
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        return [(name, value)]
    parts: list[tuple[str, int]] = []
    if isinstance(value, Mapping):
        for key, inner in value.items():
            parts += _numbers(inner, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list):
        for inner in value[:10_000]:
            parts += _numbers(inner, name, depth + 1)
    return parts


def unreadable(where: Path, error: Exception) -> SourceError:
    """One sentence of what a library said about a model."""
    return SourceError(
        f"{where}: not a pretrained model that can be read ({type(error).__name__}:"
        f" {first_line(error)}); take another copy, or another model"
    )


def first_line(error: BaseException) -> str:
    """The beginning of what an error says, on one line."""
    return " ".join(str(error)[:2_000].split())[:300] or type(error).__name__
