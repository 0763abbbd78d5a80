"""A model that exists, imported once: checked, and written in one form.

In: a place (`lmcore.model.pretrained.places`).  Out: a `Base`, whose folder is named by the hashes
of the files that were given.  Whatever is wrong is one sentence, and nothing is left half-made.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
import torch

from lmcore.artifacts import ContentStore, atomic_write, code_digest, sha256_file
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
from lmcore.model.pretrained.body import causal
from lmcore.model.pretrained.checks import check_size, check_weights, checked_config, read_json
from lmcore.model.pretrained.library import library
from lmcore.model.pretrained.places import Place, find_place

_CARD_BYTES = 64 << 10
_TOKENIZER_BYTES = 256 << 20
#: An instruct model's own end token ends a turn; these end a text.
_END_OF_TEXT = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>")
_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
_CODE = tuple(f"lmcore.model.pretrained.{name}" for name in ("checks", "importing", "places"))


def import_base(store: ContentStore, config: PretrainedConfig) -> Base:
    """The base that a configuration names, imported now or before.

    Raises:
        SourceError: If there is no such model, or none that can be gone on from.
        ConfigError: If the extra is missing, or the end token is none.
    """
    place = find_place(config)
    hashes = place.hashes()
    inputs = {
        "files": hashes,
        "end_token": config.end_token,
        "known_until": config.known_until.isoformat() if config.known_until else None,
        "license": config.license,
        "origin": config.origin,
        "code": code_digest(*_CODE),
    }

    def make(folder: Path) -> Mapping[str, Any]:
        try:
            record = _write(folder, place, config, hashes)
        except IntegrityError as error:  # of what the library wrote of it
            raise SourceError(f"model.pretrained={config.pretrained!r}: {error}") from error
        atomic_write(folder / BASE_FILE, record.model_dump_json(indent=1))
        return {
            "name": record.name,
            "architecture": record.architecture,
            "parameters": record.parameters,
        }

    return store.build(Base, inputs, make)


def _write(
    folder: Path, place: Place, config: PretrainedConfig, hashes: Mapping[str, str]
) -> BaseRecord:
    """Fill the folder; returns what is known of the model."""
    inner = _from_gguf(place) if place.kind == "gguf" else _from_folder(place)
    cut = _gguf_tokenizer(place) if place.kind == "gguf" else _folder_tokenizer(place)
    rows = int(inner.get_input_embeddings().weight.shape[0])
    ids = cut.get_vocab(with_added_tokens=True)
    if not ids or max(ids.values()) >= rows:
        raise SourceError(
            f"{place.folder}: the tokenizer has ids up to {max(ids.values(), default=-1)}, but the"
            f" model has {rows} rows of embedding: a vocabulary that does not fit"
        )
    for name, parameter in inner.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise SourceError(f"{place.folder}: {name} holds values that are no numbers")
    if inner.base_model is inner:
        raise SourceError(f"{place.folder}: {type(inner).__name__} has no body apart from its head")
    if not causal(inner):
        raise SourceError(
            f"{place.folder}: {type(inner).__name__} lets a token see later ones, so it is no"
            " decoder; choose a causal language model"
        )
    end_token, end_id = _end_token(config, place, inner, ids)
    with library():
        inner.save_pretrained(str(folder), max_shard_size="10TB", safe_serialization=True)
    for path in folder.iterdir():
        if path.name not in (LIBRARY_CONFIG_FILE, LIBRARY_WEIGHTS_FILE):
            path.unlink()
    (folder / LIBRARY_WEIGHTS_FILE).chmod(0o644)
    atomic_write(folder / LIBRARY_TOKENIZER_FILE, cut.to_str())
    settings = inner.config.get_text_config()
    return BaseRecord(
        source=place.source,
        name=place.name,
        architecture=type(inner).__name__,
        parameters=sum(p.numel() for p in inner.parameters()),
        vocab_size=rows,
        end_token=end_token,
        end_id=end_id,
        most_tokens=most_tokens(settings),
        files=dict(hashes),
        weights_sha256=sha256_file(folder / LIBRARY_WEIGHTS_FILE),
        known_until=config.known_until,
        license=config.license,
        origin=config.origin,
        card=_card(place),
    )


def _from_folder(place: Place) -> Any:
    config = checked_config(place)
    stored = check_weights(place, config)
    with library() as transformers:
        try:
            settings = transformers.AutoConfig.from_pretrained(
                str(place.folder), local_files_only=True, trust_remote_code=False
            )
            with torch.device("meta"):
                described = transformers.AutoModelForCausalLM.from_config(settings)
            rows = described.get_input_embeddings().weight.numel()
            check_size(
                place.files["config.json"],
                described=sum(p.numel() for p in described.parameters()),
                stored=stored,
                tied=rows + sum(b.numel() for b in described.buffers()),
            )
            inner, found = transformers.AutoModelForCausalLM.from_pretrained(
                str(place.folder),
                dtype="auto",
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        except SourceError:
            raise
        except Exception as error:  # the library raises what its parts raise
            raise _unreadable(place.folder, error) from error
    wrong = [*found["missing_keys"], *found["mismatched_keys"], *found["unexpected_keys"]]
    if wrong:
        raise SourceError(
            f"{place.folder}: weights and configuration do not fit (the first: {wrong[0]}); they do"
            " not belong together"
        )
    return inner.eval()


def _from_gguf(place: Place) -> Any:
    # The library shows a bar of its own on the way.
    with library() as transformers, contextlib.redirect_stderr(io.StringIO()):
        try:
            inner, found = transformers.AutoModelForCausalLM.from_pretrained(
                str(place.folder),
                gguf_file=place.name,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except Exception as error:
            raise _unreadable(place.folder / place.name, error) from error
    wrong = [*found["missing_keys"], *found["mismatched_keys"], *found["unexpected_keys"]]
    if wrong:
        raise SourceError(f"{place.folder / place.name}: lacks {wrong[0]}; take another copy")
    # It was read into plain weights, and must be stored as such.
    inner.hf_quantizer = None
    inner.is_quantized = False
    if hasattr(inner.config, "quantization_config"):
        del inner.config.quantization_config
    return inner.eval()


def _gguf_tokenizer(place: Place) -> tokenizers.Tokenizer:
    with library() as transformers:
        try:
            read = transformers.AutoTokenizer.from_pretrained(
                str(place.folder), gguf_file=place.name, local_files_only=True
            )
            return tokenizers.Tokenizer.from_str(read.backend_tokenizer.to_str())
        except Exception as error:
            raise SourceError(
                f"{place.folder / place.name}: its tokenizer cannot be read"
                f" ({type(error).__name__}: {_first_line(error)}); take a folder with a"
                " tokenizer.json"
            ) from error


def _folder_tokenizer(place: Place) -> tokenizers.Tokenizer:
    path = place.files.get("tokenizer.json")
    if path is None:
        raise SourceError(
            f"{place.folder}: no tokenizer.json; take a copy of the model with one (the"
            " transformers library writes it: save_pretrained of its tokenizer)"
        )
    if path.stat().st_size > _TOKENIZER_BYTES:
        raise SourceError(f"{path}: no tokenizer is so large")
    try:
        return tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception for what it cannot parse
        raise SourceError(
            f"{path}: not a tokenizer that can be read ({_first_line(error)}); restore the file"
        ) from error


def _end_token(
    config: PretrainedConfig, place: Place, inner: Any, ids: Mapping[str, int]
) -> tuple[str, int]:
    """The token that starts and ends documents."""
    if config.end_token is not None:
        if config.end_token not in ids:
            raise SourceError(
                f"model.end_token={config.end_token!r}: the tokenizer has no such token"
            )
        return config.end_token, ids[config.end_token]
    names = [name for name in _END_OF_TEXT if name in ids]
    settings = place.files.get("tokenizer_config.json")
    if settings is not None:
        given = read_json(settings).get("eos_token")
        name = given.get("content") if isinstance(given, dict) else given
        names += [str(name)] if name in ids else []
    own = inner.config.get_text_config().eos_token_id
    own = own[0] if isinstance(own, list) and own else own
    by_id = {index: name for name, index in ids.items()}
    names += [by_id[own]] if own in by_id else []
    if not names:
        raise SourceError(
            f"{place.folder}: says no token that ends a text; name one as model.end_token"
        )
    return names[0], ids[names[0]]


def most_tokens(settings: Any) -> int | None:
    """Most tokens that a model was made to read together; None: without a limit.

    Where a layer sees the last few tokens only, no more than these: in a window of that length
    every layer sees all of it.
    """
    found = [getattr(settings, name, None) for name in _LENGTHS]
    if getattr(settings, "use_sliding_window", True):
        found += [getattr(settings, "sliding_window", None)]
    found += [getattr(settings, "attention_chunk_size", None)]
    sizes = [int(size) for size in found if isinstance(size, int) and size > 0]
    return min(sizes) if sizes else None


def _card(place: Place) -> str:
    path = place.files.get("README.md")
    if path is None:
        return ""
    with path.open("rb") as stream:
        return stream.read(_CARD_BYTES).decode("utf-8", errors="replace")


def _unreadable(where: Path, error: Exception) -> SourceError:
    return SourceError(
        f"{where}: not a pretrained model that can be read ({type(error).__name__}:"
        f" {_first_line(error)}); take another copy, or another model"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
