"""The tokenizer that came with a model, and its token between documents.

In: `tokenizer.json`, or a GGUF file.  Out: a tokenizer of the `tokenizers` library.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import tokenizers

from lmcore.errors import SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.checks import first_line, read_json
from lmcore.model.pretrained.library import library
from lmcore.model.pretrained.places import Place

_TOKENIZER_BYTES = 128 << 20
#: An instruct model's own end token ends a turn; these end a text.
_END_OF_TEXT = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>")


def folder_tokenizer(place: Place) -> tokenizers.Tokenizer:
    """That of a folder.

    Raises:
        SourceError: If there is none, or none that can be read.
    """
    path = place.files.get("tokenizer.json")
    if path is None:
        raise SourceError(
            f"{place.folder}: no tokenizer.json; take a copy of the model with one (the"
            " transformers library writes it: save_pretrained of its tokenizer)"
        )
    if path.stat().st_size > _TOKENIZER_BYTES:
        raise SourceError(f"{path}: {path.stat().st_size:,} bytes; no tokenizer is so large")
    try:
        return tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except BaseException as error:
        # The library raises bare Exception, and where it panics something that is not even that.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise SourceError(
            f"{path}: not a tokenizer that can be read ({first_line(error)}); restore the file"
        ) from error


def gguf_tokenizer(place: Place, folder: Path, name: str) -> tokenizers.Tokenizer:
    """That of a GGUF file.

    Args:
        place: Where it was found.
        folder: Holds it alone.
        name: Of the file there.

    Raises:
        SourceError: If it cannot be read.
    """
    with library() as transformers, contextlib.redirect_stderr(io.StringIO()):
        try:
            read = transformers.AutoTokenizer.from_pretrained(
                str(folder), gguf_file=name, local_files_only=True, trust_remote_code=False
            )
            return tokenizers.Tokenizer.from_str(read.backend_tokenizer.to_str())
        except Exception as error:
            raise SourceError(
                f"{place.where}: its tokenizer cannot be read ({type(error).__name__}:"
                f" {first_line(error)}); take a folder with a tokenizer.json"
            ) from error


def end_token(
    config: PretrainedConfig, place: Place, settings: Any, cut: tokenizers.Tokenizer
) -> tuple[str, int]:
    """The token that starts and ends documents, and its id.

    Args:
        config: May name it.
        place: May say it in `tokenizer_config.json`.
        settings: Of the library; say it by id.
        cut: The tokenizer.

    Raises:
        SourceError: If nobody says it, or the tokenizer has no such token.
    """
    ids = cut.get_vocab(with_added_tokens=True)
    if config.end_token is not None:
        if config.end_token not in ids:
            raise SourceError(
                f"model.end_token={config.end_token!r}: the tokenizer has no such token; name one"
                " of its vocabulary, or leave it out"
            )
        return config.end_token, ids[config.end_token]
    special = {t.content for t in cut.get_added_tokens_decoder().values() if t.special}
    names = [name for name in _END_OF_TEXT if name in special]
    told = place.files.get("tokenizer_config.json") if place.kind == "folder" else None
    if told is not None:
        given = read_json(told).get("eos_token")
        name = given.get("content") if isinstance(given, dict) else given
        names += [name] if isinstance(name, str) and name in ids else []
    own = settings.eos_token_id
    own = own[0] if isinstance(own, list) and own else own
    by_id = {index: name for name, index in ids.items()}
    names += [by_id[own]] if isinstance(own, int) and own in by_id else []
    if not names:
        raise SourceError(
            f"{place.where}: says no token that ends a text; name one as model.end_token"
        )
    return names[0], ids[names[0]]
