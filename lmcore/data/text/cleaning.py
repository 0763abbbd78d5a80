r"""Clean one text, and say which rules changed it: nothing happens to text in silence.

In: decoded text as it was read.  Out: text in Unicode NFC with `\n` line ends,
without control characters or trailing spaces (control codes that are misread Windows-1252
punctuation become that punctuation), and the rules that fired with the
bytes each removed.  HTML and markup are left alone: they are text, and whoever
shows them escapes them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

# Canonical ordering in CPython is an insertion sort, quadratic in the length of a run of
# combining marks.  Real text has a handful (Unicode's stream-safe format allows 30).
MAX_COMBINING_RUN = 256


@dataclass(frozen=True, kw_only=True)
class Change:
    """One rule that changed a text, and by how many UTF-8 bytes it shortened it."""

    rule: str
    removed_bytes: int


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A cleaned text, its UTF-8 bytes, and the rules that changed it."""

    text: str
    num_bytes: int
    changes: tuple[Change, ...]


class UnusableTextError(ValueError):
    """A text that cannot be normalised; its message is the reason for quarantine."""


# Line ends come first, so that \r, \f and \v separate lines instead of gluing words.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]+")
_C1 = re.compile(r"[\x80-\x9f]")
# What a Windows-1252 byte meant that was decoded as Latin-1 (the table of the HTML standard).
_WINDOWS_1252 = {
    code: char for code in range(0x80, 0xA0) if (char := bytes([code]).decode("cp1252", "ignore"))
}


def _line_endings(text: str) -> str:
    for end in ("\r\n", "\r", "\v", "\f"):
        if end in text:
            text = text.replace(end, "\n")
    return text


def _byte_order_mark(text: str) -> str:
    # Also in the middle, where files were joined; as a blank without width it is deprecated.
    return text.replace("\ufeff", "")


def _windows_1252(text: str) -> str:
    return text.translate(_WINDOWS_1252) if not text.isascii() and _C1.search(text) else text


def _control_characters(text: str) -> str:
    return _CONTROL.sub("", text)


def _trailing_space(text: str) -> str:
    # By line and not by a pattern: `[ \t]+\n` is quadratic in a run of spaces.
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t", "\n")) or text[:1] == "\n":
        return "\n".join(line.rstrip(" \t") for line in text.split("\n")).strip("\n")
    return text


def _unicode_nfc(text: str) -> str:
    if text.isascii():
        return text
    # A run that long covers a multiple of half its length, so a sample decides nearly always.
    marks, run = _combining_marks()
    if not marks.isdisjoint(text[:: MAX_COMBINING_RUN // 2]) and run.search(text):
        raise UnusableTextError(f"more than {MAX_COMBINING_RUN} combining marks in a row")
    return unicodedata.normalize("NFC", text)


@cache
def _combining_marks() -> tuple[frozenset[str], re.Pattern[str]]:
    # A few vowel signs of Tibetan are none themselves and fall apart into them.
    marks = frozenset(
        chr(c)
        for c in range(0x300, 0x20000)
        if all(map(unicodedata.combining, unicodedata.normalize("NFD", chr(c))))
    )
    group = re.escape("".join(sorted(marks)))
    return marks, re.compile(f"[{group}]{{{MAX_COMBINING_RUN + 1}}}")


RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("byte_order_mark", _byte_order_mark),
    ("line_endings", _line_endings),
    ("windows_1252", _windows_1252),
    ("control_characters", _control_characters),
    ("unicode_nfc", _unicode_nfc),
    ("trailing_space", _trailing_space),
)


def clean(text: str) -> Cleaned:
    """Apply every cleaning rule in order.

    Raises:
        UnusableTextError: If the text holds lone surrogates (so it is not Unicode text), or a
            run of combining marks that no real text has.
    """
    try:
        size = utf8_bytes(text)
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        what = "invalid UTF-8" if 0xDC80 <= code <= 0xDCFF else "a lone surrogate"
        raise UnusableTextError(f"{what} at character {error.start}") from error
    changes = []
    for rule, apply in RULES:
        changed = apply(text)
        if changed != text:
            text, before = changed, size
            size = utf8_bytes(text)
            changes.append(Change(rule=rule, removed_bytes=before - size))
    return Cleaned(text=text, num_bytes=size, changes=tuple(changes))


def utf8_bytes(text: str) -> int:
    """Length of `text` in UTF-8, in bytes."""
    return len(text) if text.isascii() else len(text.encode())


def document_id(text: str) -> str:
    """SHA-256 of the normalised text: NFC, every run of white space one blank, case kept."""
    normal = unicodedata.normalize("NFC", " ".join(text.split()))
    return hashlib.sha256(normal.encode()).hexdigest()
