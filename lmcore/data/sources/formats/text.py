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
from typing import IO

from lmcore.data.config import SourceConfig
from lmcore.data.sources.dates import date_in_name
from lmcore.data.sources.encodings import Misread
from lmcore.data.sources.lines import Line, decode, iter_lines, split_returns
from lmcore.data.sources.reading import Reading, Unit
from lmcore.data.sources.records import FILE_NAME, BadInput, Item, Record
from lmcore.errors import SourceError

PARAGRAPH_BYTES = 1_000
MAX_PARAGRAPH_BYTES = 4_000
CUTS = ("paragraph", "line")
_NO_BOUND = 1 << 62


def cut_records(records: Iterator[Item], *, unit: str) -> Iterator[Item]:
    """Cut long records where the user asks for it; a record with a target stays whole."""
    for record in records:
        if not isinstance(record, Record) or record.target is not None or unit not in CUTS:
            yield record
            continue
        lines = (
            Line(number=number, data=line.encode("utf-8", "surrogatepass"))
            for number, line in enumerate(record.text.split("\n"), start=1)
        )
        whole_file = record.position == 0
        reading = Reading(
            name=record.file if whole_file else f"{record.file}:{record.position}",
            source=_ANY,
            max_bytes=_NO_BOUND,
            unit="line" if unit == "line" else "paragraph",
            misread=Misread("UTF-8", b""),
        )
        for number, piece in enumerate(_cut(lines, reading), start=1):
            if isinstance(piece, Record):
                position = piece.position if whole_file else number
                piece = replace(piece, position=position, date=record.date)
            yield piece


_ANY = SourceConfig(path="-")


def read_text(stream: IO[bytes], reading: Reading) -> Iterator[Record | BadInput]:
    """Cut plain text into files, gathered paragraphs or lines.

    Raises:
        SourceError: If the configuration names a column for the date.
    """
    config, name = reading.source, reading.name
    if config.date_field not in (None, FILE_NAME):
        raise SourceError(
            f"{name}: plain text has no column {config.date_field!r}; set date_field: {FILE_NAME}"
            " to take the date from the file's name, or leave it out"
        )
    day = date_in_name(name) if config.date_field == FILE_NAME else None
    pieces: Iterator[Record | BadInput]
    if reading.unit in CUTS:
        pieces = _cut(split_returns(iter_lines(stream, max_bytes=reading.max_bytes)), reading)
    else:
        pieces = _whole(stream, reading)
    for piece in pieces:
        yield replace(piece, date=day) if day and isinstance(piece, Record) else piece


def read_lines(stream: IO[bytes], reading: Reading) -> Iterator[Record | BadInput]:
    """Plain text of which each line is a document, unless the configuration says otherwise."""
    unit: Unit = "line" if reading.unit == "record" else reading.unit
    return read_text(stream, replace(reading, unit=unit))


def whole_text(stream: IO[bytes], reading: Reading) -> str | BadInput:
    """A file's text in one piece, or why it has none."""
    raw = stream.read(reading.max_bytes + 1)
    if len(raw) > reading.max_bytes:
        reason = f"longer than data.max_document_bytes={reading.max_bytes}"
        return reading.bad(0, f"{reason}; unit: paragraph would cut it")
    text = decode(raw)
    return reading.bad(0, reading.misread.reason(raw)) if text is None else text


def _whole(stream: IO[bytes], reading: Reading) -> Iterator[Record | BadInput]:
    text = whole_text(stream, reading)
    yield Record(file=reading.name, position=0, text=text) if isinstance(text, str) else text


def _cut(lines: Iterator[Line], reading: Reading) -> Iterator[Record | BadInput]:
    return (
        _each_line(lines, reading) if reading.unit == "line" else gather_paragraphs(lines, reading)
    )


def _each_line(lines: Iterator[Line], reading: Reading) -> Iterator[Record | BadInput]:
    for line in lines:
        text = None if line.data is None else decode(line.data)
        if text is None:
            yield reading.bad_line(line)
        elif text.strip():
            yield Record(file=reading.name, position=line.number, text=text)


def gather_paragraphs(lines: Iterator[Line], reading: Reading) -> Iterator[Record | BadInput]:
    """Gather consecutive paragraphs into documents of about 1 to 4 kB (see the module)."""
    gathered: list[str] = []
    num_bytes = first = 0
    ready: Record | None = None
    for line in lines:
        text = None if line.data is None else decode(line.data)
        if text is None:
            yield reading.bad_line(line)
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
            ready = Record(file=reading.name, position=first, text="\n".join(gathered))
            gathered, num_bytes = [], 0
    rest = "\n".join(gathered)
    if rest.strip():
        if ready is not None and num_bytes < PARAGRAPH_BYTES:
            ready = replace(ready, text=f"{ready.text}\n{rest}")
        else:
            if ready is not None:
                yield ready
            ready = Record(file=reading.name, position=first, text=rest)
    if ready is not None:
        yield ready
