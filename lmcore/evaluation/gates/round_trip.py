"""Does a tokenizer give a text back, and where does it not?

In: a tokenizer and a document.  Out: the text and what came back, or nothing where they are the
same; and both where they begin to differ, short and safe to print.
"""

from __future__ import annotations

import itertools
import unicodedata

from lmcore.data.documents import Document
from lmcore.data.tokens.tokenizer import Tokenizer

TEXT_CHARACTERS = 20_000
END_OF_TEXT = "[end of text]"
# Characters of a text that was changed.
_SHOWN = 40


def changed(tokenizer: Tokenizer, document: Document) -> tuple[str, str] | None:
    """A text and what the tokenizer gives back of it; None where that is the same."""
    text = document.text[:TEXT_CHARACTERS]
    ids = tokenizer.encode(text)
    # The end token is no text: where it is spelled, that is to be seen.
    ends = [-1, *(place for place, token in enumerate(ids) if token == tokenizer.end_id), len(ids)]
    parts = [tokenizer.decode(ids[a + 1 : b]) for a, b in itertools.pairwise(ends)]
    back = END_OF_TEXT.join(parts)
    return None if back == text and len(parts) == 1 else (text, back)


def shortened(before: str, after: str) -> tuple[str, str]:
    """Two texts where they begin to differ, short and safe to print."""
    pairs = enumerate(zip(before, after, strict=False))
    place = next((i for i, (a, b) in pairs if a != b), min(len(before), len(after)))
    start = max(0, place - _SHOWN // 4)
    parts = [text[start : start + _SHOWN] for text in (before, after)]
    # Two ways of writing the same character look alike.
    alike = len({unicodedata.normalize("NFC", part) for part in parts}) == 1
    return _printable(parts[0], escaped=alike), _printable(parts[1], escaped=alike)


def _printable(text: str, *, escaped: bool) -> str:
    return (
        '"'
        + "".join(
            c if c.isprintable() and not (escaped and not c.isascii()) else ascii(c)[1:-1]
            for c in text
        )
        + '"'
    )
