"""A model that exists, imported once: checked, and written in one form.

In: a place (`lmcore.model.pretrained.places`).  Out: a `Base`, whose folder is named by the hashes
of the files that were given.  Whatever is wrong is one sentence, and nothing is left half-made.
The library never reads the place itself: a file that lies there could send it elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lmcore.content_store import ContentStore
from lmcore.digests import sha256_file
from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError, SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.base import (
    BASE_FILE,
    LIBRARY_CONFIG_FILE,
    LIBRARY_TOKENIZER_FILE,
    LIBRARY_WEIGHTS_FILE,
    Base,
    BaseRecord,
)
from lmcore.model.pretrained.body import Body
from lmcore.model.pretrained.checks import first_line, unreadable
from lmcore.model.pretrained.inspection import Inspected, alone, inspect_model
from lmcore.model.pretrained.library import library, load_inner
from lmcore.model.pretrained.places import Place, find_place
from lmcore.model.pretrained.ways import causal, misread
from lmcore.model.pretrained.weights import join

#: Of the folder that is written. What is made from a base names it by key and does not hold it, so
#: the key changes with this form and not with every line of the code that writes it.
_FORM = 2


def import_base(
    store: ContentStore,
    config: PretrainedConfig,
    *,
    spdx: Callable[[str], str | None] = lambda name: None,
) -> Base:
    """The base that a configuration names, imported now or before.

    Args:
        store: Where it is kept.
        config: Names it.
        spdx: The SPDX expression that a licence's name stands for; None where it is none. Asked
            about what the model says of itself, where the configuration says nothing.

    Raises:
        SourceError: If there is no such model, or none that can be gone on from.
        ConfigError: If the extra is missing.
    """
    place = find_place(config)
    hashes = place.hashes()
    inputs = {
        "files": hashes,
        "end_token": config.end_token,
        "known_until": config.known_until.isoformat() if config.known_until else None,
        "license": config.license,
        "origin": config.origin,
        "form": _FORM,
    }

    def make(folder: Path) -> Mapping[str, Any]:
        found = inspect_model(place, config, spdx=spdx)
        _write(folder, found)
        record = BaseRecord(
            source=place.source,
            name=place.title,
            architecture=found.architecture,
            parameters=found.parameters,
            vocab_size=found.vocab_size,
            end_token=found.end_token,
            end_id=found.end_id,
            most_tokens=found.most_tokens,
            files=dict(hashes),
            weights_sha256=sha256_file(folder / LIBRARY_WEIGHTS_FILE),
            known_until=config.known_until,
            license=found.license,
            origin=config.origin,
            card=found.card,
            chat=found.chat,
        )
        atomic_write(folder / BASE_FILE, record.model_dump_json(indent=1))
        return {
            "name": record.name,
            "architecture": record.architecture,
            "parameters": record.parameters,
        }

    return store.build(Base, inputs, make)


def _write(folder: Path, found: Inspected) -> None:
    """Fill the folder, and try what is in it."""
    where = found.place.where
    if found.library_config is None:
        inner = _from_gguf(found.place)
        for name, parameter in inner.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise SourceError(
                    f"{where}: {name} holds values that are no numbers; take another copy"
                )
        with library():
            inner.save_pretrained(str(folder), max_shard_size="10TB", safe_serialization=True)
        for path in folder.iterdir():
            if path.name not in (LIBRARY_CONFIG_FILE, LIBRARY_WEIGHTS_FILE):
                path.unlink()
        (folder / LIBRARY_WEIGHTS_FILE).chmod(0o644)
        _try(inner, where)
    else:
        atomic_write(folder / LIBRARY_CONFIG_FILE, json.dumps(found.library_config, indent=1))
        join(found.tensors, folder / LIBRARY_WEIGHTS_FILE)
        try:
            inner = load_inner(folder)
        except IntegrityError as error:
            raise SourceError(
                f"{where}: weights and configuration do not belong together"
                f" ({_difference(found) or _reason(error)}); take another copy"
            ) from error
        _try(inner, where)
    atomic_write(folder / LIBRARY_TOKENIZER_FILE, found.tokenizer.to_str())


def _difference(found: Inspected) -> str:
    """The first tensor that the files and the configuration describe differently."""
    for name, shape in found.shapes.items():
        stored = found.tensors.get(name)
        if stored is not None and stored.shape != shape:
            return f"{name} is {list(stored.shape)} in the files and {list(shape)} by config.json"
    return ""


def _reason(error: IntegrityError) -> str:
    """What the library said, or which tensor there is too much or too little."""
    if isinstance(error.__cause__, Exception):
        return first_line(error.__cause__)
    return str(error).partition("(")[2].partition(")")[0]


def _try(inner: Any, where: Path) -> None:
    """Read a few tokens: it must be a decoder, whatever it calls itself."""
    try:
        is_causal = causal(inner)
    except Exception as error:  # the library raises what its parts raise
        raise unreadable(where, error) from error
    if not is_causal:
        raise SourceError(
            f"{where}: {type(inner).__name__} lets a token see later ones, so it is no decoder;"
            " choose a causal language model"
        )
    try:
        wrong = misread(Body(inner))
    except Exception as error:  # as above
        raise SourceError(
            f"{where}: {type(inner).__name__} cannot be read in parts, each document alone"
            f" ({type(error).__name__}: {first_line(error)}); choose another model"
        ) from error
    if wrong:
        raise SourceError(
            f"{where}: {type(inner).__name__} {wrong} is not what it is when each document is read"
            " alone; choose another model"
        )


def _from_gguf(place: Place) -> Any:
    # The library shows a bar of its own on the way.
    with (
        library() as transformers,
        contextlib.redirect_stderr(io.StringIO()),
        alone(place) as (folder, name),
    ):
        try:
            inner, found = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder),
                gguf_file=name,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except Exception as error:
            raise unreadable(place.where, error) from error
    wrong = [*found["missing_keys"], *found["mismatched_keys"], *found["unexpected_keys"]]
    if wrong:
        raise SourceError(
            f"{place.where}: {wrong[0]} is missing or does not fit; take another copy"
        )
    # It was read into plain weights, and must be stored as such.
    inner.hf_quantizer = None
    inner.is_quantized = False
    if hasattr(inner.config, "quantization_config"):
        del inner.config.quantization_config
    return inner.eval()
