r"""Plain text into documents: whole files, gathered paragraphs, or lines.

In: a byte stream of text, or a long record.  Out: records in text order.

A paragraph unit is not a single paragraph: a
line of dialogue is too short to learn or to score anything from.  Consecutive
paragraphs of a file are gathered, blank lines and all, until they hold
`PARAGRAPH_BYTES`; a short rest joins the last group, and text without blank
lines is cut at a line end after `MAX_PARAGRAPH_BYTES`.  No text is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import IO, Literal

from lmcore.data.config import SourceConfig
from lmcore.data.sources.dates import date_in_name
from lmcore.data.sources.lines import Line, decode, iter_lines, split_returns
from lmcore.data.sources.records import FILE_NAME, BadInput, Record
from lmcore.errors import SourceError

PARAGRAPH_BYTES = 1_000
MAX_PARAGRAPH_BYTES = 4_000
CUTS = ("paragraph", "line")
Unit = Literal["file", "paragraph", "line", "record"]


def cut_records(records: Iterator[Record | BadInput], *, unit: str) -> Iterator[Record | BadInput]:
    """Cut long records where the user asks for it; a record with a target stays whole."""
    for record in records:
        if isinstance(record, BadInput) or record.target is not None or unit not in CUTS:
            yield record
            continue
        lines = (
            Line(number=record.position, data=line.encode("utf-8", "surrogatepass"))
            for line in record.text.split("\n")
        )
        cut = _each_line if unit == "line" else gather_paragraphs
        for number, piece in enumerate(cut(lines, name=record.file, max_bytes=1 << 62), start=1):
            if isinstance(piece, Record):
                piece = replace(piece, file=f"{record.file}:{record.position}", position=number)
                piece = replace(piece, date=record.date)
            yield piece


def read_text(
    stream: IO[bytes], *, name: str, unit: Unit, max_bytes: int, config: SourceConfig
) -> Iterator[Record | BadInput]:
    """Cut plain text into files, gathered paragraphs or lines."""
    if config.date_field not in (None, FILE_NAME):
        raise SourceError(
            f"{name}: plain text has no column {config.date_field!r}; set date_field: {FILE_NAME}"
            " to take the date from the file's name, or leave it out"
        )
    day = date_in_name(name) if config.date_field == FILE_NAME else None
    pieces: Iterator[Record | BadInput]
    if unit in CUTS:
        lines = split_returns(iter_lines(stream, max_bytes=max_bytes))
        cut = _each_line if unit == "line" else gather_paragraphs
        pieces = cut(lines, name=name, max_bytes=max_bytes)
    else:
        pieces = _whole(stream, name=name, max_bytes=max_bytes)
    for piece in pieces:
        yield replace(piece, date=day) if day and isinstance(piece, Record) else piece


def _whole(stream: IO[bytes], *, name: str, max_bytes: int) -> Iterator[Record | BadInput]:
    raw = stream.read(max_bytes + 1)
    if len(raw) > max_bytes:
        reason = f"longer than data.max_document_bytes={max_bytes}; unit: paragraph would cut it"
        yield BadInput(file=name, position=0, reason=reason)
        return
    text = decode(raw)
    if text is None:
        yield BadInput(file=name, position=0, reason="invalid UTF-8")
    else:
        yield Record(file=name, position=0, text=text)


def _each_line(lines: Iterator[Line], *, name: str, max_bytes: int) -> Iterator[Record | BadInput]:
    for line in lines:
        text = None if line.data is None else decode(line.data)
        if text is None:
            yield bad_line(line, name=name, max_bytes=max_bytes)
        elif text.strip():
            yield Record(file=name, position=line.number, text=text)


def bad_line(line: Line, *, name: str, max_bytes: int) -> BadInput:
    """What is wrong with a line that is too long or no UTF-8."""
    too_long = f"a line longer than data.max_document_bytes={max_bytes}"
    reason = too_long if line.data is None else "invalid UTF-8"
    return BadInput(file=name, position=line.number, reason=reason)


def gather_paragraphs(
    lines: Iterator[Line], *, name: str, max_bytes: int
) -> Iterator[Record | BadInput]:
    """Gather consecutive paragraphs into documents of about 1 to 4 kB (see the module)."""
    gathered: list[str] = []
    num_bytes = first = 0
    ready: Record | None = None
    for line in lines:
        text = None if line.data is None else decode(line.data)
        if text is None:
            yield bad_line(line, name=name, max_bytes=max_bytes)
            continue
        assert line.data is not None
        blank = not text.strip()
        if not (blank and not gathered):
            first = first if gathered else line.number
            gathered.append(text)
            num_bytes += len(line.data) + 1
        if (blank and num_bytes >= PARAGRAPH_BYTES) or num_bytes >= MAX_PARAGRAPH_BYTES:
            if ready is not None:
                yield ready
            ready = Record(file=name, position=first, text="\n".join(gathered))
            gathered, num_bytes = [], 0
    rest = "\n".join(gathered)
    if rest.strip():
        if ready is not None and num_bytes < PARAGRAPH_BYTES:
            ready = replace(ready, text=f"{ready.text}\n{rest}")
        else:
            if ready is not None:
                yield ready
            ready = Record(file=name, position=first, text=rest)
    if ready is not None:
        yield ready
