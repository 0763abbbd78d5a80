"""Tables of text, and JSON values of any shape as the text of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from lmcore.counted import counted, named
from lmcore.reporting.text import MISSING, number, one_line, words
from lmcore.reporting.values import finite, items, mapping, text

MAX_ROWS = 200
_MAX_ITEMS = 20


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under a caption; `note` says what was left out."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    @classmethod
    def cut(
        cls, caption: str, header: Iterable[str], rows: Iterable[Iterable[str]], note: str = ""
    ) -> Self:
        """At most `MAX_ROWS` of the rows, and in the note how many there are besides."""
        every = [tuple(row) for row in rows]
        if len(every) > MAX_ROWS:
            lacking = len(every) - MAX_ROWS
            more = f"{counted(lacking, 'more row')} {named(lacking, 'is', 'are')} not shown."
            note = f"{note} {more}".strip()
        return cls(caption=caption, header=tuple(header), rows=tuple(every[:MAX_ROWS]), note=note)


def read_tables(raw: object) -> tuple[Table, ...]:
    """The tables that a task brings with it: caption, header, rows and note of each."""
    found = []
    for entry in map(mapping, items(raw)):
        header = [one_line(text(name)) for name in items(entry.get("header"))]
        rows = [[cell(value) for value in items(row)] for row in items(entry.get("rows"))]
        caption, note = one_line(text(entry.get("caption"))), one_line(text(entry.get("note")), 500)
        if header:
            rows = [row for row in rows if len(row) == len(header)]
            found.append(Table.cut(caption, header, rows, note))
    return tuple(found)


def cell(value: Any, *, depth: int = 8) -> str:
    """Any JSON value in a table cell; `depth` bounds how far values inside values are followed."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(finite(value))
    if isinstance(value, str) or not depth:
        return one_line(value)
    if isinstance(value, Mapping):
        inner = [f"{words(k)}: {cell(v, depth=depth - 1)}" for k, v in mapping(value).items()]
    else:
        inner = [cell(item, depth=depth - 1) for item in items(value)]
    return one_line(", ".join(inner[:_MAX_ITEMS]))


def pairs(raw: object) -> tuple[tuple[str, str], ...]:
    """A mapping as names and cells."""
    return tuple((words(name), cell(value)) for name, value in mapping(raw).items())
