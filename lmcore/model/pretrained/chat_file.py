"""Where a model says how it wants to be talked to.

In: a folder with `chat_template.jinja`, or with the template in `tokenizer_config.json`; or the
head of a GGUF file.  Out: the template with the tokens that it names, tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from lmcore.chat_template import MOST_CHARACTERS, ChatTemplate
from lmcore.errors import SourceError
from lmcore.model.pretrained.checks import read_json
from lmcore.model.pretrained.gguf_file import GgufHead
from lmcore.model.pretrained.places import Place

_FILE = "chat_template.jinja"
_GGUF = "tokenizer.chat_template"


def chat_template(
    place: Place, head: GgufHead | None, cut: tokenizers.Tokenizer
) -> ChatTemplate | None:
    """That of a model; None where it has none.

    Args:
        place: Where it lies.
        head: Of a GGUF file.
        cut: Its tokenizer.

    Raises:
        SourceError: If it has one that cannot be used.
    """
    if head is not None:
        source, bos, eos = _of_head(head, cut)
        where = f"{place.where}: {_GGUF}"
    else:
        named, told = place.files.get(_FILE), _read(place, "tokenizer_config.json")
        source = _listed(told.get("chat_template")) if named is None else _text(named)
        where = str(named or place.files.get("tokenizer_config.json"))
        bos, eos = _name(told.get("bos_token")), _name(told.get("eos_token"))
    if not source:
        return None
    ends = [eos, *([] if head else _ends(_read(place, "generation_config.json"), cut))]
    template = ChatTemplate(
        template=source,
        bos_token=bos,
        eos_token=eos,
        ends=tuple(dict.fromkeys(filter(None, ends))),
    )
    template.check(where)
    return template


def _of_head(head: GgufHead, cut: tokenizers.Tokenizer) -> tuple[str, str, str]:
    """Template and the names of the two tokens."""
    ids = (head.facts.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos"))
    bos, eos = (_token(cut, index) for index in ids)
    return str(head.facts.get(_GGUF, "")), bos, eos


def _text(path: Path) -> str:
    # One more than may be is enough to tell that it is too long; the rest is cut off anywhere.
    with path.open("rb") as stream:
        found = stream.read(4 * MOST_CHARACTERS + 1)
    if len(found) > 4 * MOST_CHARACTERS:
        raise SourceError(
            f"{path}: {path.stat().st_size:,} bytes; a chat template has at most"
            f" {MOST_CHARACTERS:,} characters. Take it out of the model's folder to go without"
        )
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8; restore the file, or take it out") from error


def _listed(given: Any) -> str:
    """One template, or the one of several that is called `default`."""
    if isinstance(given, list):
        named = {one.get("name"): one.get("template") for one in given if isinstance(one, Mapping)}
        given = named.get("default")
    return given if isinstance(given, str) else ""


def _read(place: Place, name: str) -> Mapping[str, Any]:
    path = place.files.get(name)
    return {} if path is None else read_json(path)


def _name(given: Any) -> str:
    """Of a token, which is told in one of two ways."""
    given = given.get("content") if isinstance(given, Mapping) else given
    return given if isinstance(given, str) else ""


def _token(cut: tokenizers.Tokenizer, index: Any) -> str:
    if not isinstance(index, int) or index < 0:
        return ""
    return str(cut.id_to_token(index) or "")


def _ends(settings: Mapping[str, Any], cut: tokenizers.Tokenizer) -> list[str]:
    """Tokens that the library ends an answer at."""
    given = settings.get("eos_token_id")
    return [_token(cut, index) for index in (given if isinstance(given, list) else [given])]
