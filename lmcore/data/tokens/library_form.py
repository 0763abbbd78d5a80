"""A table of byte strings as a `tokenizer.json` that the bare `tokenizers` library reads.

In: the kind and the pieces of a tokenizer.  Out: an object of the library that cuts any text into
the same ids and joins them to the same text, so that a program without this project can use a
model.  Words and characters become a byte-level vocabulary without merges: a piece that is known
as a whole is one id (`ignore_merges`), every other is spelled in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tokenizers

# Python counts four separators as white space that the library's expressions do not.
_BLANK = r"\s\x1c-\x1f"
_SPACE = rf"[{_BLANK}&&[^\n]]"
#: How a text is parted before pieces are looked up: `WORD_PIECES` in the library's own dialect.
_PARTS = {
    "char": r"[\s\S]",
    "word": rf" ?[^{_BLANK}]+|{_SPACE}*\n|{_SPACE}+(?= [^{_BLANK}])|{_SPACE}+",
}


def library_tokenizer(kind: str, pieces: Sequence[bytes]) -> tokenizers.Tokenizer:
    """The library's tokenizer of bytes, characters or words.

    Args:
        kind: `byte`, `char` or `word`.
        pieces: Byte string of each id but the end token's, which no text spells.
    """
    spelling = byte_characters()
    vocabulary = {
        "".join(spelling[value] for value in piece): index for index, piece in enumerate(pieces)
    }
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab=vocabulary, merges=[], ignore_merges=True)
    )
    steps: list[Any] = []
    if kind in _PARTS:
        pattern = tokenizers.Regex(_PARTS[kind])
        steps.append(tokenizers.pre_tokenizers.Split(pattern, behavior="isolated"))
    steps.append(tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(steps)
    return with_decoder(made)


def with_decoder(made: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """The same tokenizer, which knows how its byte-level pieces become text again."""
    made.decoder = tokenizers.decoders.ByteLevel()
    return made


def byte_characters() -> list[str]:
    """Character that stands for each byte in a byte-level vocabulary.

    Source: Radford et al. 2019 (GPT-2): printable Latin-1 bytes stand for themselves, the
    others for the code points from 256 up, in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (value for value in range(256) if value not in printable)
    shifted = {value: 256 + index for index, value in enumerate(others)}
    return [chr(shifted.get(value, value)) for value in range(256)]
