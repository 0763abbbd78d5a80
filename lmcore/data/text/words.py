r"""Words and sentences of a text in any script: the one place that cuts them.

In: a text.  Out: its words, its words and signs, or its sentences, in order.

A word is a run of letters, digits and the marks that belong to them, as between the word boundaries
of Unicode (UAX 29), with two differences:

* a run is also cut at the signs that UAX 29 lets stand inside a word (`don't`, `3.14`), so that the
  two apostrophes that people write give the same words;
* where a script sets no blank between words (Han, Kana, Thai, Lao, Khmer, Burmese and their like),
  each character with its marks is a word: a run of them is a clause, and an n-gram of clauses says
  nothing.  UAX 29 does the same but for Katakana, as words would need a dictionary of the language.

What is not seen (soft hyphens, marks of direction) is left out of a word; the two joiners are
spelling and stay.  Text with none of these and no marks is cut by `\w+` of the standard library,
which gives the same words three times as fast.

A sentence ends at a line end; behind `.`, `!`, `?` or `…` and the quotes and brackets that close
there, where white space follows; and behind the marks that end nothing but sentences (`。`, `।`,
`؟`, `۔`, `።`), with or without it.  Thai and Lao have no such mark: their writers set a blank, and
there it ends.  Abbreviations are not told from sentence ends.

Every pattern is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import regex

# Han, Kana, Bopomofo; what needs a dictionary to break a line (property SA of UAX 14: Thai, Lao,
# Khmer, Burmese); what may break it anywhere.  Last, marks that several scripts share.
_UNSPACED = (
    r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{LineBreak=SA}"
    r"\p{Script=Balinese}\p{Script=Javanese}\p{Script=Yi}"
    "\u30fc\uff70\u3031-\u3035"
)
_VERSION = regex.VERSION1  # operations on sets
_JOINERS = "\u200c\u200d"
_LONE = rf"[[{_UNSPACED}]&&[\p{{L}}\p{{N}}]]"
# The vowel AM of Thai and Lao is a letter to Unicode, but a part of the cluster before it.
_CLUSTER = rf"{_LONE}[\p{{M}}\u0e33\u0eb3]*+"
_REST = rf"\p{{L}}\p{{N}}\p{{M}}_{_JOINERS}"
_RUN = rf"[\p{{L}}\p{{N}}_][{_REST}]*+"
_RUN_BETWEEN = rf"[[\p{{L}}\p{{N}}_]--[{_UNSPACED}]][[{_REST}]--[[{_UNSPACED}]--\p{{M}}]]*+"
_SIGN = r"[^\s\p{L}\p{N}\p{M}\p{C}_]"

# By what a text holds: neither marks nor lone characters, marks only, both.
_WORD = (
    re.compile(r"\w+"),
    regex.compile(_RUN, _VERSION),
    regex.compile(rf"{_RUN_BETWEEN}|{_CLUSTER}", _VERSION),
)
_WORD_OR_SIGN = (
    re.compile(r"\w+|[^\w\s]"),
    regex.compile(rf"{_RUN}|{_SIGN}", _VERSION),
    regex.compile(rf"{_RUN_BETWEEN}|{_CLUSTER}|{_SIGN}", _VERSION),
)
_ONE_LONE = regex.compile(_LONE, _VERSION)
_MARK = regex.compile(r"[\p{M}\p{Cf}]", _VERSION)
_UNSEEN = regex.compile(rf"[\p{{Cf}}--[{_JOINERS}\u200b]]+", _VERSION)

_FOLLOWS = regex.compile(r"[\p{Terminal_Punctuation}--\p{ASCII}]", _VERSION)
# Words that are looked at to tell which kind of script a text has.
_SAMPLE = 1_000

_CLOSING = r"[\p{Pe}\p{Pf}\"']"
# Marks that end sentences and do nothing else, with the shad of Tibetan, which Unicode leaves out.
# Not so the full-width full stop, which is a decimal point too, and the little section of Burmese,
# which is a comma today.
_ALWAYS_ENDS = r"[[\p{Sentence_Terminal}\u0f0d\u0f0e]--[.!?\u104a\u2024\ufe52\uff0e]]"
_SENTENCE_END = regex.compile(
    rf"(?:{_ALWAYS_ENDS}[\p{{Sentence_Terminal}}]*+|\uff0e(?!\p{{N}})){_CLOSING}*+\K\s*+"
    # French sets a blank before the quote that closes, German closes with the one that opens there.
    r"|[.!?…]\K\s++(?![»›](?!\w))"
    # What goes on in a small letter behind a quote is the sentence around it.
    rf"|[.!?…](?:{_CLOSING}|\p{{Pi}}|[ \u00a0\u202f][»›](?!\w))++\K\s++(?!\p{{Ll}})"
    # Greek writes its question mark as a semicolon.
    r"|\p{Script=Greek};\K\s++"
    r"|(?<=[\p{Script=Thai}\p{Script=Lao}])[ \u200b]++(?=[\p{Script=Thai}\p{Script=Lao}])"
    r"|\n++",
    _VERSION,
)


def words(text: str) -> list[str]:
    """The words of a text; signs are left out, and case is kept."""
    return _cut(text, _WORD)


def words_and_signs(text: str) -> list[str]:
    """The words of a text and, each by itself, its signs."""
    return _cut(text, _WORD_OR_SIGN)


def _cut(text: str, patterns: tuple[Any, ...]) -> list[str]:
    kind = 0
    if not text.isascii():
        # The different characters of a text are few; to ask all of them takes ten times as long.
        different = "".join(set(text))
        if _ONE_LONE.search(different):
            kind = 2
        elif _MARK.search(different):
            kind = 1
        if kind and _UNSEEN.search(different):
            text = _UNSEEN.sub("", text)
    found: list[str] = patterns[kind].findall(text)
    return found


def is_unspaced(piece: str) -> bool:
    """Whether a piece begins with a character of a script without blanks between words."""
    return not piece.isascii() and _ONE_LONE.match(piece) is not None


def mostly_unspaced(pieces: Sequence[str]) -> bool:
    """Whether most words of a text, or of an even sample of them, are of such scripts."""
    sample = pieces[:: 1 + len(pieces) // _SAMPLE]
    return 2 * sum(map(is_unspaced, sample)) > len(sample)


def join(pieces: Iterable[str]) -> str:
    """Words and signs put together again, as metrics count them.

    There is no blank inside scripts that have none, nor before a full stop or comma that is not
    ASCII: metrics cut those of ASCII from a word by themselves, and do not know the others.
    """
    text, before = "", False
    for piece in pieces:
        lone = is_unspaced(piece)
        close = (lone and before) or _FOLLOWS.fullmatch(piece) is not None
        text += piece if close or not text else f" {piece}"
        before = lone
    return text


def sentences(text: str) -> list[str]:
    """The sentences of a text, at least one: without any end the whole text."""
    found = [piece.strip() for piece in _SENTENCE_END.split(text)]
    return [piece for piece in found if piece] or [text.strip()]
