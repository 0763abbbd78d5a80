"""The tokenizer of a model that is gone on from: its weights mean nothing under another one.

In comes the `tokenizer.json` of the `tokenizers` library and what is known of the model; out comes
an object that satisfies `lmcore.data.tokens.tokenizer.Tokenizer`.

It was made elsewhere from text that nobody can name, so three things differ from one that is
fitted here.  Its end token may be any id, and there may be ids without a token, whose byte strings
are empty.  It may change what it reads (lower case, normal forms of Unicode): bits per byte count
the bytes of the original text all the same, and the gate `instrument` fails where text is lost.
It may put a space before each text, which decoding takes off again.

No text yields the end token or another special one, whatever it spells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmcore.chat_template import ChatTemplate
from lmcore.data.tokens.borrowed_form import MOST_BYTES, read_form, sheltered
from lmcore.data.tokens.vocabularies import (
    LIBRARY_FILE,
    SCHEMA_VERSION,
    VOCABULARY_FILE,
    split_parts,
    utf8,
)
from lmcore.data.tokens.word_cache import Ids
from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError

KIND = "pretrained"
#: What the summary of such a tokenizer says it was fitted on: text that nobody can name.
BASE_SPLIT = "base"
# Characters that are encoded together, so that memory is bounded.
_TOGETHER = 1 << 22
# Texts of two words each, one of every kind beside one of every kind.
_WORDS = ("a", "Bc", "12", ".", "(x", "y)", "é", "文字", "का", "-", "\u00a0", "a\nb")
_SPACE_INSIDE = re.compile(rb"[^\s] ")


class BorrowedTokenizer:
    """Tokens of another model; see the module.

    Args:
        source: Text of its `tokenizer.json`.
        vocab_size: Ids that the model knows.
        end_id: The token that separates documents.
        chat: How the model wants to be talked to; None: not at all.

    Attributes:
        kind: `pretrained`.
        pieces: Byte string of each id; empty for special tokens and ids without a token.
        unspelled: Ids of special tokens, and ids without a token; not the end token's.
        may_lose: Names of the steps after which a text may be another one, and what the
            vocabulary lacks.
        special: Tokens that no text yields, by the names that they came with.

    Raises:
        IntegrityError: If the text is no tokenizer, or does not fit the model.
    """

    def __init__(
        self, source: str, *, vocab_size: int, end_id: int, chat: ChatTemplate | None = None
    ) -> None:
        try:
            form = read_form(source, vocab_size=vocab_size, end_id=end_id)
        except Exception as error:  # the library raises bare Exception for what it cannot parse
            raise IntegrityError(
                f"{LIBRARY_FILE}: not a tokenizer that can be used ({_short(error)}); give the"
                " file that came with the model"
            ) from error
        self.kind = KIND
        self.vocab_size, self.end_id, self.pieces = vocab_size, end_id, form.pieces
        self.may_lose, self.special, self.chat = form.may_lose, form.special, chat
        self._source, self._backend = source, form.backend
        self._unknown = {form.unknown_id} - {end_id}
        self._silent = {i for i, piece in enumerate(form.pieces) if not piece} - self._unknown
        self.unspelled = tuple(sorted(self._silent - {end_id}))
        # A space that the encoder puts before a text is no part of it.
        self._prefix = form.spaced or any(
            self._bytes(ids) == b" " + mark for mark, ids in self._probed()
        )
        self._parted = not form.trims and self._may_be_parted()

    def encode(self, text: str) -> list[int]:
        """Ids of one text; see `Tokenizer`.

        Raises:
            IntegrityError: If the tokenizer cannot read this text.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of many texts, on all cores; see `Tokenizer`.

        Raises:
            IntegrityError: If the tokenizer cannot read one of them.
        """
        for text in texts:
            utf8(text)
        results: list[list[int]] = [[] for _ in texts]
        for group in _groups(self._parts(texts)):
            for (place, _), ids in zip(group, self._encoded([p for _, p in group]), strict=True):
                results[place] += ids
        return results

    def encode_arrays(self, texts: Sequence[str]) -> list[Ids]:
        """The same as arrays; see `Tokenizer`.

        Raises:
            IntegrityError: If the tokenizer cannot read one of them.
        """
        return [np.array(ids, dtype=np.uint32) for ids in self.encode_batch(texts)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of any ids; see `Tokenizer`."""
        found = self._bytes(ids)
        if self._prefix:
            found = found.removeprefix(b" ")
        return found.decode("utf-8", errors="replace")

    def save(self, folder: Path) -> None:
        """Write JSON files, the model's own among them as it came; see `Tokenizer`."""
        record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "kind": self.kind,
            "vocab_size": self.vocab_size,
            "end_id": self.end_id,
        }
        if self.chat is not None:
            record["chat"] = self.chat.model_dump(mode="json")
        atomic_write(folder / VOCABULARY_FILE, json.dumps(record, indent=1))
        atomic_write(folder / LIBRARY_FILE, self._source)

    def _bytes(self, ids: Iterable[int]) -> bytes:
        table = self.pieces
        return b"".join([table[i] for i in ids])

    def _parts(self, texts: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Parts of texts that are encoded alone, and which text each is of."""
        for place, text in enumerate(texts):
            swallowed = int(self._prefix)
            for part in split_parts(text, swallowed=swallowed) if self._parted else (text,):
                yield place, part

    def _encoded(self, parts: Sequence[str]) -> list[list[int]]:
        try:
            encoded = sheltered(
                lambda: self._backend.encode_batch_fast(list(parts), add_special_tokens=False)
            )
        except Exception as error:  # the library raises bare Exception here too
            raise IntegrityError(
                f"the model's tokenizer cannot read a text ({_short(error)}); its {LIBRARY_FILE}"
                " is damaged or not meant for this text. Start from another model"
            ) from error
        found = [encoding.ids for encoding in encoded]
        # No text is known that gets here; should one, it is lost, which the gates see.
        return [
            ids if self._silent.isdisjoint(ids) else [i for i in ids if i not in self._silent]
            for ids in found
        ]

    def _probed(self) -> Iterator[tuple[bytes, list[int]]]:
        for mark in ("a", "e", "1", "."):
            yield mark.encode(), self._encoded([mark])[0]

    def _may_be_parted(self) -> bool:
        """Whether texts may be cut before a single space with the same result.

        No token spans such a cut, and words of every kind beside each other are cut there.
        """
        if any(_SPACE_INSIDE.search(piece) for piece in self.pieces):
            return False
        words = [word for first in _WORDS for second in _WORDS for word in (first, second)]
        space = "" if self._prefix else " "
        parts = [words[0], *(space + word for word in words[1:])]
        whole = self._encoded([" ".join(words)])[0]
        return whole == [i for ids in self._encoded(parts) for i in ids]


def read_borrowed(folder: Path, record: Mapping[str, Any]) -> BorrowedTokenizer:
    """Read what `BorrowedTokenizer.save` wrote, or the folder of a model with what is known of it.

    Raises:
        IntegrityError: If it cannot be used.
    """
    path = folder / LIBRARY_FILE
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes; expected at most {MOST_BYTES:,}")
        source = path.read_text(encoding="utf-8")
        vocab_size, end_id = int(record["vocab_size"]), int(record["end_id"])
        chat = ChatTemplate.model_validate(record["chat"]) if record.get("chat") else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{path}: not a tokenizer that can be read ({_short(error)}); nothing was loaded."
            " Restore the file"
        ) from error
    return BorrowedTokenizer(source, vocab_size=vocab_size, end_id=end_id, chat=chat)


def _groups(parts: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    group: list[tuple[int, str]] = []
    size = 0
    for part in parts:
        group.append(part)
        size += len(part[1])
        if size >= _TOGETHER:
            yield group
            group, size = [], 0
    if group:
        yield group


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}".replace("\n", " ").rstrip(": ")
