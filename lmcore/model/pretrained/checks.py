"""What makes a folder unusable, found before any weight is read: files say what they are, or lie.

In: the files of a folder in the Hugging Face layout.  Out: nothing, or one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lmcore.errors import SourceError
from lmcore.model.pretrained.library import library
from lmcore.model.pretrained.places import Place

_MOST_JSON_BYTES = 64 << 20
_MOST_CONFIG_BYTES = 4 << 20
_LARGEST = 1 << 31
_INDEX = "model.safetensors.index.json"
_WEIGHTS = "model.safetensors"
#: How configurations call the number of their blocks.
_LAYERS = frozenset({"num_hidden_layers", "num_layers", "n_layer", "n_layers", "decoder_layers"})
#: Stored types of weights that can be read as they are.
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


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
            raise SourceError(f"{path}: {name}={value}; no model is so large")
    model_type = config.get("model_type")
    with library():
        from transformers.models.auto import modeling_auto

        decoders = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    architecture = str((config.get("architectures") or [""])[0])
    is_other = architecture and not architecture.endswith(("ForCausalLM", "LMHeadModel"))
    if model_type not in decoders or is_other or config.get("is_encoder_decoder"):
        raise SourceError(
            f"{path}: model_type {model_type!r} ({architecture or 'no architecture named'}) is no"
            " decoder that predicts the next token; choose a causal language model"
        )
    return config


def check_weights(place: Place, config: Mapping[str, Any]) -> int:
    """Ask the headers of the weights' files; returns how many numbers they hold.

    Raises:
        SourceError: If a file is missing, damaged or unsafe, or sizes do not fit the configuration.
    """
    shapes: dict[str, list[int]] = {}
    for name in _weight_files(place):
        path = place.files[name]
        try:
            with safe_open(path, framework="pt") as stored:
                for key in stored.keys():  # noqa: SIM118 (not a mapping)
                    part = stored.get_slice(key)
                    if part.get_dtype() not in _FLOATS and part.get_dtype() not in ("I64", "BOOL"):
                        raise SourceError(
                            f"{path}: {key} is stored as {part.get_dtype()}; expected float32,"
                            " float16 or bfloat16. Take the unquantized model or a GGUF file"
                        )
                    shapes[key] = list(part.get_shape())
        except (SafetensorError, OSError) as error:
            raise SourceError(
                f"{path}: not a safetensors file that can be read ({str(error)[:200]}); restore it"
            ) from error
    layers = [v for k, v in _numbers(config) if k.rpartition(".")[2] in _LAYERS]
    if any(value > len(shapes) for value in layers):
        raise SourceError(
            f"{place.files['config.json']}: {max(layers):,} layers, but the files hold"
            f" {len(shapes):,} tensors"
        )
    return sum(_product(shape) for shape in shapes.values())


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


def check_size(path: Path, *, described: int, stored: int, tied: int) -> None:
    """Compare the numbers that a configuration describes with those that files hold.

    Args:
        path: Of the configuration.
        described: By the configuration, shared ones counted once.
        stored: In the files.
        tied: That may be stored though they are shared.

    Raises:
        SourceError: If they are not the same.
    """
    if not described <= stored <= described + tied + described // 100:
        raise SourceError(
            f"{path}: describes {described:,} weights, but the files hold {stored:,}; they do not"
            " belong together"
        )


def _method(quantization: object) -> str:
    named = quantization.get("quant_method") if isinstance(quantization, Mapping) else None
    return str(named or "by a method that is not named")[:40]


def _product(shape: list[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


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
