"""A look at one file: how it would be read, in which encoding, and some of its rows.

In: a file. Out: what `init` has to write so that a run reads it right. The readers of a run look,
so what they would refuse is refused here. A bounded part of the file is read.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from lmcore.data.config import SourceConfig
from lmcore.data.sources.archives import container, why_unreadable
from lmcore.data.sources.dates import iso_date
from lmcore.data.sources.encodings import (
    Misread,
    guess,
    is_utf8,
    marked_encoding,
    peek,
    unmarked_utf16,
)
from lmcore.data.sources.formats.delimited import head_rows
from lmcore.data.sources.kinds import KINDS, disguise, kind_name
from lmcore.data.sources.members import members_of
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.recognition import recognise
from lmcore.data.sources.records import Row
from lmcore.errors import SourceError

SAMPLE_ROWS = 200
# Rows that the sample is taken from, at even distances: labels often come in order.
_SEEN_ROWS = 20_000
_SEEN_CHARACTERS = 8 << 20
_MAX_MEMBERS = 20
_MAX_RECORD_BYTES = 1 << 20
_DELIMITED = ("csv", "tsv")
_USUAL = {"csv": ",", "tsv": "\t"}
_SENTENCE = re.compile(r"\w[.!?…。]\s*(?:\s\w|$)")


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one file is.

    Attributes:
        format: How it is read; `auto` for an archive.
        problem: Why it cannot be read; empty if it can.
        encoding: What the configuration has to name; None: nothing.
        delimiter: The same.
        columns: The same, for a table without a header.
        records: The same, for a list inside an object.
        header: Columns of a table as it names them.
        rows: Some of its rows, for a kind that has columns.
    """

    format: str
    problem: str = ""
    encoding: str | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] | None = None
    records: str | None = None
    header: tuple[str, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()


def look(path: Path, *, name: str) -> Look:
    """Look at a file.

    Args:
        path: Where it is.
        name: What it is called inside its source.
    """
    packed = container(name) in ("zip", "tar")
    first: Look | None = None
    try:
        with closing(members_of(path, name=name, pattern=None)) as members:
            read = (member for member, why in members if member.stream is not None and not why)
            for member in itertools.islice(read, _MAX_MEMBERS):
                assert member.stream is not None
                inner = member.name or name
                found = _look(member.stream, name=inner, seekable=container(name) == "plain")
                if first is None or (first.problem and not found.problem):
                    first = found
                if not packed or not found.problem:
                    break
    except Exception as error:
        return Look(format="", problem=why_unreadable(error))
    if first is None:
        return Look(format="", problem="an archive without any text")
    return first


def _look(stream: IO[bytes], *, name: str, seekable: bool) -> Look:
    raw = peek(stream)
    any_source = SourceConfig(path="-")
    encoding, unknown = _encoding(raw, name=name)
    source = any_source.model_copy(update={"encoding": encoding})
    found = recognise(stream, name=name, config=source, seekable=seekable)
    if found.problem or unknown:
        return Look(format=found.format, problem=found.problem or unknown)
    if KINDS[found.format].is_binary:
        encoding = None
    facts = Look(format=found.format, encoding=encoding)
    if found.format in _DELIMITED:
        facts = _table(peek(found.stream), found.format, encoding=encoding)
        if facts.problem:
            return facts
        named = {"delimiter": facts.delimiter, "columns": facts.columns and list(facts.columns)}
        source = source.model_copy(update=named)
    elif KINDS[found.format].shape != "records" or found.format == "chat":
        return facts
    reading = Reading(
        name=name,
        source=source,
        max_bytes=_MAX_RECORD_BYTES,
        unit="record",
        misread=Misread(encoding, raw),
        all_columns=True,
    )
    return _with_rows(facts, found.stream, reading)


def _encoding(raw: bytes, *, name: str) -> tuple[str | None, str]:
    """The encoding that has to be named, if any; and why none can be, though one has to."""
    usual = kind_name(SourceConfig(path="-"), name)
    if disguise(raw) or KINDS[usual].is_binary or usual == "html":  # which says it itself
        return None, ""
    if marked_encoding(raw) is not None or (is_utf8(raw) and unmarked_utf16(raw) is None):
        return None, ""
    guessed = guess(raw)
    unknown = "invalid UTF-8, and no encoding seems likely; save it as UTF-8"
    return guessed, "" if guessed or 0 in raw else unknown


def _table(head: bytes, format_: str, *, encoding: str | None) -> Look:
    delimiter, rows = head_rows(head, source=SourceConfig(path="-"), format_=format_)
    if not rows:
        return Look(format=format_, encoding=encoding, problem="a table without any row")
    header = [cell.strip() for cell in rows[0]]
    columns = None
    if _has_no_header(header, rows[1:]):
        columns = tuple(f"column{i}" for i in range(1, len(header) + 1))
    return Look(
        format=format_,
        encoding=encoding,
        delimiter=None if delimiter == _USUAL[format_] else delimiter,
        columns=columns,
        header=columns or tuple(header),
    )


def _has_no_header(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether a table's first row is a row like the others: it holds a sentence or a value."""
    if any(len(cell) > 80 or _SENTENCE.search(cell) for cell in first):
        return True
    alike = [row for row in rest if len(row) == len(first)]
    for i, cell in enumerate(first):
        values = [row[i] for row in alike if row[i].strip()]
        if values and _is_value(cell) and all(map(_is_value, values)):
            return True
    return len(set(first)) < len(first) and len(first) > 1


def _is_value(cell: str) -> bool:
    """Whether a cell is a number or a date, which no column is called as."""
    cell = cell.strip()
    return re.fullmatch(r"[+-]?\d+(?:[.,]\d+)?", cell) is not None or iso_date(cell) is not None


def _with_rows(facts: Look, stream: IO[bytes], reading: Reading) -> Look:
    """The facts of a file with some of its rows."""
    problem = ""
    rows: list[Mapping[str, Any]] = []
    seen = 0
    try:
        for piece in itertools.islice(KINDS[facts.format].read(stream, reading), _SEEN_ROWS):
            if isinstance(piece, Row):
                rows.append(piece.values)
                seen += sum(len(value) for value in piece.values.values() if isinstance(value, str))
            else:
                problem = problem or getattr(piece, "reason", "")
            if seen > _SEEN_CHARACTERS:
                break
    except SourceError as error:
        problem = str(error)
    if not rows:
        # A header alone is a table, and an empty one.
        problem = problem or ("" if facts.header else "a file without records")
        return replace(facts, problem=problem)
    records = None
    inside = _list_inside(rows) if facts.format in ("json", "yaml") else None
    if inside is not None:
        records, rows = inside
    header = facts.header or tuple(dict.fromkeys(str(name) for row in rows for name in row))
    step = max(1, len(rows) // SAMPLE_ROWS)
    return replace(facts, records=records, header=header, rows=tuple(rows[::step][:SAMPLE_ROWS]))


def _list_inside(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[str, list[Mapping[str, Any]]] | None:
    """The only list of objects inside the only object of a file, and the path to it."""
    if len(rows) != 1 or "messages" in rows[0]:
        return None
    lists = list(_lists(rows[0], ()))
    if len(lists) != 1:
        return None
    path, items = lists[0]
    return ".".join(path), items


def _lists(
    value: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], list[Mapping[str, Any]]]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and len(path) < 3:
            yield from _lists(inner, (*path, str(key)))
        elif isinstance(inner, list) and inner and all(isinstance(i, Mapping) for i in inner):
            yield (*path, str(key)), inner
