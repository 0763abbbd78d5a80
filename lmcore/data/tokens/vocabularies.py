"""The four ways of cutting text, each a table of byte strings.

In: pieces (or a fitted byte-pair encoder). Out: objects that satisfy
`lmcore.data.tokens.tokenizer.Tokenizer`.

Ids 0 to 255 of byte, char and word are the bytes themselves; the end token is
the last id of every kind and is known to no encoder. Words are cut as one optional
space and the characters after it, line ends being pieces of their own: text that is
already tokenized on white space gives one token a word and one a line, as the
published word-level perplexities count.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from lmcore.data.tokens.library_form import byte_characters, library_tokenizer, with_decoder
from lmcore.data.tokens.word_cache import Ids, WordCache, encoded, encodes_words
from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError, UserError

VOCABULARY_FILE = "vocabulary.json"
LIBRARY_FILE = "tokenizer.json"
SCHEMA_VERSION = 1
_MAX_CODE_POINT = 0x110000

# A space, then the word; a line end with the blanks before it; other blanks, of which the
# last space belongs to the word that follows.
WORD_PIECES = re.compile(r" ?\S+|[^\S\n]*\n|[^\S\n]+(?= \S)|[^\S\n]+")
# The byte-level pattern always cuts before a single space between two other signs, so that long
# texts can be encoded in parts, in parallel and in bounded memory, with the same result.
_SAFE_CUT = re.compile(r"(?<=\S)(?= \S)")
_PART_CHARACTERS = 16_384
_FURTHER_PARTS = 3

_BYTES = tuple(bytes([value]) for value in range(256))


class TableTokenizer:
    """Shared part: the table of byte strings, decoding, saving.

    Args:
        kind: `byte`, `char`, `word` or `bpe`.
        pieces: Byte string of each id but the end token's.
    """

    unspelled: tuple[int, ...] = ()

    def __init__(self, kind: str, pieces: Sequence[bytes]) -> None:
        self.kind = kind
        self.pieces = (*pieces, b"")
        self.vocab_size = len(self.pieces)
        self.end_id = self.vocab_size - 1

    def encode(self, text: str) -> list[int]:
        """Ids of one text; see `Tokenizer`."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of many texts; see `Tokenizer`."""
        for text in texts:
            utf8(text)
        return [self._encode(text) for text in texts]

    def encode_arrays(self, texts: Sequence[str]) -> list[Ids]:
        """The same as arrays; see `Tokenizer`."""
        return [np.array(ids, dtype=np.uint32) for ids in self.encode_batch(texts)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of any ids; see `Tokenizer`."""
        table = self.pieces
        return b"".join([table[i] for i in ids]).decode("utf-8", errors="replace")

    def save(self, folder: Path) -> None:
        """Write JSON files, one for the bare `tokenizers` library; see `Tokenizer`."""
        extra = [piece.decode("utf-8") for piece in self.pieces[256:-1]]
        self._write_record(folder, {"pieces": extra})
        self._write_library_form(folder, library_tokenizer(self.kind, self.pieces[:-1]))

    def _encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def _write_record(self, folder: Path, extra: Mapping[str, Any]) -> None:
        record = {
            "schema_version": SCHEMA_VERSION,
            "kind": self.kind,
            "vocab_size": self.vocab_size,
            "end_id": self.end_id,
            **extra,
        }
        atomic_write(folder / VOCABULARY_FILE, json.dumps(record, ensure_ascii=False, indent=1))

    def _write_library_form(self, folder: Path, made: tokenizers.Tokenizer) -> None:
        atomic_write(folder / LIBRARY_FILE, made.to_str(pretty=True))


class ByteTokenizer(TableTokenizer):
    """One token a byte: nothing to fit."""

    def __init__(self) -> None:
        super().__init__("byte", _BYTES)

    def _encode(self, text: str) -> list[int]:
        return list(text.encode())


class CharTokenizer(TableTokenizer):
    """One token a known character; bytes for the others. ASCII characters are their bytes."""

    def __init__(self, characters: Sequence[str] = ()) -> None:
        super().__init__("char", (*_BYTES, *(utf8(char) for char in characters)))
        self._lookup = np.full(_MAX_CODE_POINT, -1, dtype=np.int32)
        self._lookup[:128] = np.arange(128)
        for index, char in enumerate(characters):
            self._lookup[ord(char)] = 256 + index

    def _encode(self, text: str) -> list[int]:
        points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        ids = self._lookup[points]
        known: list[int] = ids.tolist()
        result: list[int] = []
        start = 0
        for position in np.flatnonzero(ids < 0).tolist():
            result += known[start:position]
            result += text[position].encode()
            start = position + 1
        return result + known[start:]


class WordTokenizer(TableTokenizer):
    """One token a known word with the space before it; bytes for the others."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        super().__init__("word", (*_BYTES, *(utf8(word) for word in words)))
        self._lookup = {chr(value): value for value in range(128)}
        self._lookup.update({word: 256 + index for index, word in enumerate(words)})

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for match in WORD_PIECES.finditer(text):
            known = self._lookup.get(match[0])
            if known is None:
                ids += match[0].encode()
            else:
                ids.append(known)
        return ids


class BpeTokenizer(TableTokenizer):
    """Byte-level byte-pair encoding by the `tokenizers` library (Sennrich et al. 2016)."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        if backend.get_added_tokens_decoder():
            raise IntegrityError(
                f"{LIBRARY_FILE} registers special tokens, which text could spell; expected none."
                " Fit the tokenizer again"
            )
        spelled = {character: value for value, character in enumerate(byte_characters())}
        table = sorted(backend.get_vocab().items(), key=lambda item: item[1])
        if [index for _, index in table] != list(range(len(table))) or len(table) < 256:
            raise IntegrityError(f"{LIBRARY_FILE} has gaps in its ids. Fit the tokenizer again")
        try:
            pieces = [bytes(spelled[character] for character in token) for token, _ in table]
        except KeyError as error:
            raise IntegrityError(
                f"{LIBRARY_FILE} has the token character {error}, which stands for no byte."
                " Fit the tokenizer again"
            ) from error
        super().__init__("bpe", pieces)
        self._backend = with_decoder(backend)
        self._words = WordCache(self._backend) if encodes_words(self._backend) else None

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of many texts; see `Tokenizer`."""
        return [ids.tolist() for ids in self.encode_arrays(texts)]

    def encode_arrays(self, texts: Sequence[str]) -> list[Ids]:
        """The same as arrays; see `Tokenizer`."""
        parts: list[str] = []
        counts: list[int] = []
        for text in texts:
            utf8(text)
            before = len(parts)
            parts.extend(split_parts(text))
            counts.append(len(parts) - before)
        found = iter(self._words.encode(parts) if self._words else encoded(self._backend, parts))
        return [
            next(found) if count == 1 else np.concatenate(list(itertools.islice(found, count)))
            for count in counts
        ]

    def save(self, folder: Path) -> None:
        """Write JSON files, the library's own among them; see `Tokenizer`."""
        self._write_record(folder, {})
        self._write_library_form(folder, self._backend)


def split_parts(text: str, *, swallowed: int | None = None) -> Iterator[str]:
    """Cut a long text where the byte-level pattern cuts anyway, else after a fixed length.

    Args:
        text: Any text.
        swallowed: For a tokenizer that came with another model, whose cuts are to be its own: a
            place for a cut is looked for further on as well.  Of so many characters behind it the
            next part does without: 1 where the encoder puts a space before all that it is given;
            then there is no other cut.
    """
    start = 0
    while len(text) - start > _PART_CHARACTERS:
        limit = start + _PART_CHARACTERS
        cuts = [match.end() for match in _SAFE_CUT.finditer(text, limit - 256, limit)]
        end = cuts[-1] if cuts else limit
        if swallowed is not None and not cuts:
            furthest = len(text) if swallowed else limit + _FURTHER_PARTS * _PART_CHARACTERS
            later = _SAFE_CUT.search(text, limit, furthest)
            if later is None and swallowed:
                break
            end = later.end() if later else limit
        yield text[start:end]
        start = end + (swallowed or 0)
    yield text[start:]


def utf8(text: str) -> bytes:
    """UTF-8 bytes of a text.

    Raises:
        UserError: If it holds half of a surrogate pair, which is no character.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"the text holds U+{ord(text[error.start]):04X} at position {error.start}, half of a"
            " surrogate pair, which UTF-8 cannot hold; remove or replace it"
        ) from error
