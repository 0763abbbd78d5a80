r"""One text, one identity: the form in which texts are compared, however they were written.

In: a text.  Out: the same text *folded*: what a reader does not see, or sees as the same, is
gone.  Soft hyphens, zero-width and other invisible characters are dropped, words that were
broken at a line end are joined, full-width forms and ligatures become plain letters, composed
and decomposed accents agree, case is folded, quotation marks and dashes are the plain ones, and
white space is one blank.

Only comparisons use it: near-copies and their sketches, sides of the split, removals, `seen`,
contamination.  The text that is stored, trained on and shown stays as it is, and so does the id
of a document (`lmcore.data.text.cleaning.document_id`).

Zero-width joiners change how Persian or Devanagari is drawn, so they are part of those texts;
but copies come with and without them, so they are no part of what is compared.

Source: NFKC_Casefold and Default_Ignorable_Code_Point, Unicode Standard 15, sections 3.13 and
5.21 (`DerivedCoreProperties.txt`).  Deviations: white space, line ends, quotation marks, dashes
and the stretching tatweel are folded too; runs of combining marks that no text has are dropped.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from functools import cache

FORM_BYTES = 16

# Default_Ignorable_Code_Point: drawn as nothing.
_IGNORABLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
)
_IGNORABLE_ASTRAL = r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
# Controls, marks of annotations, a place for an object, and what is no character.
_UNSEEN = r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufff9-\ufffc\ufdd0-\ufdef\ufffe\uffff"
_VISIBLE = re.compile(rf"[^\s\u2800{_IGNORABLE}{_IGNORABLE_ASTRAL}{_UNSEEN}]")
_ASCII_UNSEEN = bytes([*range(0x09), *range(0x0E, 0x1C), 0x7F])

# Nothing of ASCII is replaced, so that a text with one other character is folded as without it.
_QUOTES = {
    **dict.fromkeys(
        "\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8", "'"
    ),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u301d\u301e\u301f", '"'),
}
# What normalising would do to much ordinary text at fifty times the cost.
_BEFORE = {**_QUOTES, "\u00a0": " ", "\u202f": " ", "\u2026": "..."}
# Dashes wait until words are joined at hyphens; the tatweel, which stretches a word and says
# nothing, and a second look at quotes until ligatures are resolved, some of which hold one.
_AFTER = {
    **_QUOTES,
    **dict.fromkeys("\u2010\u2012\u2013\u2014\u2015\u2043\u2212\u2e3a\u2e3b", "-"),
    "\u2800": " ",  # the blank of Braille
    "\u0640": "",
}
# What `str.split` takes for white space and normalising leaves alone.
_BLANKS = dict.fromkeys("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u1680\u2028\u2029", " ")
_DROPPED = re.compile(f"[{_IGNORABLE}{_UNSEEN}]+")
# Those that `str.isprintable` takes for printable.
_PRINTABLE = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\ufffc"
    "\ufe00\ufe01\ufe02\ufe03\ufe04\ufe05\ufe06\ufe07\ufe08\ufe09\ufe0a\ufe0b\ufe0c\ufe0d\ufe0e\ufe0f"
)
_DROPPED_ASTRAL = re.compile(f"[{_IGNORABLE_ASTRAL}]+")

# Scripts whose lines end between any two letters, without a hyphen and without a blank.
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf"
    r"\u4e00-\u9fff\U00020000-\U0003ffff"
)
_LETTER = r"[^\W\d_]"
# A hyphen (also that of Fraktur, and what scanners write for it) at the end of a line.
_HYPHENS = "-\u2010\u2e17\u00ac"
_BROKEN = re.compile(rf"[{_HYPHENS}](?<={_LETTER}.)[ \t\r]*+\n[ \t]*+(?={_LETTER})")
_WRAPPED = re.compile(rf"\n(?<=[{_UNSPACED}]\n)[ \t]*+(?=[{_UNSPACED}])")
_SOFT_BREAK = re.compile(r"\u00ad(?=[ \t\r]*+\n)")
# The one character that is eighteen when it is spelled out; all others are eight at most.
_LONGEST, _LONGEST_CUT = "\ufdfa", "\u0635\u0644\u0649 "
# Canonical ordering takes a time quadratic in a run of combining marks.
_MAX_COMBINING_RUN = 256


def fold(text: str) -> str:
    """The form of a text that all its copies share; empty if there is nothing to see in it.

    Args:
        text: Any text that is valid Unicode.
    """
    text = _replaced(fold_letters(text), _BLANKS)
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip(" ")


def fold_letters(text: str) -> str:
    """As `fold`, with white space as it stands: for what is cut into words anyway."""
    if text.isascii():
        text = text.encode().translate(None, _ASCII_UNSEEN).lower().decode()
    else:
        if "\u00ad" in text:
            text = _SOFT_BREAK.sub("-", text)
        text = _without_unseen(_replaced(text, _BEFORE))
        text = _normal(_normal(text).casefold())
    if "\n" in text:
        blank_ends = " \n" in text or "\t\n" in text or "\r\n" in text
        if blank_ends or any(f"{hyphen}\n" in text for hyphen in _HYPHENS):
            text = _BROKEN.sub("", text)
        if not text.isascii():
            text = _WRAPPED.sub("", text)
    return text if text.isascii() else _replaced(text, _AFTER)


def form_of(text: str) -> bytes:
    """Names a text in all its forms: two texts are the same if, and only if, these bytes agree."""
    return folded_form(fold(text))


def folded_form(folded: str) -> bytes:
    """`form_of` a text that is folded already."""
    return hashlib.sha256(folded.encode()).digest()[:FORM_BYTES]


def is_blank(text: str) -> bool:
    """Whether there is nothing to see: white space, and characters that are drawn as nothing."""
    return _VISIBLE.search(text) is None


def _without_unseen(text: str) -> str:
    # Nearly all of it is not printable, which is told three times as fast.
    if not text.replace("\n", " ").isprintable() or any(map(text.__contains__, _PRINTABLE)):
        text = _DROPPED.sub("", text)
    if len(text.encode("utf-16-le")) > 2 * len(text):
        text = _DROPPED_ASTRAL.sub("", text)
    return text


def _replaced(text: str, plain: Mapping[str, str]) -> str:
    # A character that is not there is looked for at the speed of memory: faster than any pattern.
    for character, instead in plain.items():
        if character in text:
            text = text.replace(character, instead)
    return text


def _normal(text: str) -> str:
    if unicodedata.is_normalized("NFKC", text):
        return text
    # A run that long covers a multiple of half its length, so a sample decides nearly always.
    marks, run = _combining()
    if not marks.isdisjoint(text[:: _MAX_COMBINING_RUN // 2]):
        text = run.sub("", text)
    # A text of little else would take twenty times its memory.
    if text.count(_LONGEST) > len(text) // 32:
        text = text.replace(_LONGEST, _LONGEST_CUT)
    return unicodedata.normalize("NFKC", text)


@cache
def _combining() -> tuple[frozenset[str], re.Pattern[str]]:
    """Characters that are, or fall apart into, nothing but combining marks; and long runs of them.

    Half-width voicing marks are among them, which become marks only when they are normalised.
    """
    marks = frozenset(
        chr(code)
        for code in range(0x300, 0x20000)
        if not 0xD800 <= code < 0xE000
        and all(map(unicodedata.combining, unicodedata.normalize("NFKD", chr(code))))
    )
    group = re.escape("".join(sorted(marks)))
    return marks, re.compile(f"[{group}]{{{_MAX_COMBINING_RUN + 1},}}")
