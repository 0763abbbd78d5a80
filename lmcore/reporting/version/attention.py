"""Attention maps of a task's answers: shaded text, or a matrix of words.

In: the maps that an evaluation left (`lmcore.tasks.judging.attention`).  Out: rows of shaded
words; a map without a share for each of its words is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmcore.reporting.text import one_line
from lmcore.reporting.version.facts.report import AttentionMap

# A matrix has a row for each word that was written; shaded text has one or two rows.
_TEXT_ROWS = 2
_MAX_ROWS, _MAX_WORDS, _WORD_CHARACTERS = 60, 600, 40
_NAMED = 5
_LEAST_PERCENT = 5


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One word as one reader sees it.

    Attributes:
        word: The word.
        shade: 0 to 1, of the strongest in the picture; two digits.
        percent: Of the reader's attention, where it is worth a figure; else empty.
    """

    word: str
    shade: str
    percent: str


@dataclass(frozen=True, kw_only=True)
class AttentionView:
    """One map.

    Attributes:
        title: Which answer.
        matrix: Whether rows are words; else each row is a text of its own.
        words: Of the columns.
        rows: Reader, its words, and the strongest of them in words.
    """

    title: str
    matrix: bool
    words: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell], str]]


def attention_views(maps: Sequence[AttentionMap]) -> list[AttentionView]:
    """Whatever of the maps can be drawn."""
    return [view for entry in maps if (view := _view(entry)) is not None]


def _view(entry: AttentionMap) -> AttentionView | None:
    words = [one_line(word, _WORD_CHARACTERS) for word in entry.words[:_MAX_WORDS]]
    readers = [one_line(name, _WORD_CHARACTERS) for name in entry.readers]
    rows = list(zip(readers, entry.shares, strict=False))[:_MAX_ROWS]
    if not words or not rows or any(len(row) < len(words) for _, row in rows):
        return None
    # What stands in brackets is no word of the text, and often takes most.
    inner = [not (word.startswith("(") and word.endswith(")") and len(word) > 2) for word in words]
    top = max(
        (v for _, row in rows for v, inside in zip(row, inner, strict=False) if inside), default=0
    )
    return AttentionView(
        title=one_line(entry.kind, 60),
        matrix=len(rows) > _TEXT_ROWS,
        words=words,
        rows=[
            (reader, _cells(words, row, top or 1.0), _strongest(words, row, inner))
            for reader, row in rows
        ],
    )


def _cells(words: Sequence[str], row: Sequence[float], top: float) -> list[Cell]:
    return [
        Cell(
            word=word,
            shade=f"{min(1.0, share / top):.2f}",
            percent=f"{100 * share:.0f}" if 100 * share >= _LEAST_PERCENT else "",
        )
        for word, share in zip(words, row, strict=False)
    ]


def _strongest(words: Sequence[str], row: Sequence[float], inner: Sequence[bool]) -> str:
    found = [
        (share, word) for share, word, inside in zip(row, words, inner, strict=False) if inside
    ]
    found.sort(key=lambda pair: -pair[0])
    named = ", ".join(f"{word} {share:.0%}" for share, word in found[:_NAMED] if word)
    rest = sum(share for share, inside in zip(row, inner, strict=False) if not inside)
    return f"most: {named}; {rest:.0%} on no word of the text" if named else ""
