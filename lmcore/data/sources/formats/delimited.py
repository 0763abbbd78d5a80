"""Tables of cells between delimiters, one row in memory at a time.

In: a byte stream.  Out: records and bad rows.  CSV follows RFC 4180 (quotes, line
ends inside quotes).  TSV has no quoting unless the configuration says so: a quote is
a character like any other, as in the text tables that corpora come in, so no row is
ever swallowed by an unmatched quote.  The delimiter is the one that the configuration
names, else the one that cuts the first rows into the wanted columns.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from typing import IO

from lmcore.data.config import SourceConfig
from lmcore.data.sources.encodings import peek
from lmcore.data.sources.fields import column_of
from lmcore.data.sources.lines import Line, decode, iter_lines
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import FILE_NAME, BadInput, Piece, Row
from lmcore.errors import SourceError

DELIMITERS = (",", ";", "\t", "|")
_LOOK_ROWS = 100
_MOSTLY = 0.8
_QUOTES = {"double": '"', "single": "'"}


def read_csv(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """Rows of cells between commas, or what else stands between them; in quotes if need be.

    Raises:
        SourceError: If a named column is missing.
    """
    return _read(stream, reading, usual=",", quote=reading.source.quote or "double")


def read_tsv(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """Rows of cells between tabs, without quotes unless the configuration says so.

    Raises:
        SourceError: If a named column is missing.
    """
    return _read(stream, reading, usual="\t", quote=reading.source.quote or "none")


def head_rows(head: bytes, *, source: SourceConfig, format_: str) -> tuple[str, list[list[str]]]:
    """The delimiter and the first rows of a table, its header among them.

    Args:
        head: The beginning of the table, UTF-8.
        source: May name delimiter and quotes.
        format_: `csv` or `tsv`.
    """
    usual, quote = (",", "double") if format_ == "csv" else ("\t", "none")
    quote = source.quote or quote
    delimiter = source.delimiter or find_delimiter(head, source=source, usual=usual, quote=quote)
    try:
        return delimiter, list(itertools.islice(_rows(_lines(head), delimiter, quote), _LOOK_ROWS))
    except csv.Error:
        return delimiter, []


def find_delimiter(head: bytes, *, source: SourceConfig, usual: str, quote: str) -> str:
    """The delimiter that cuts the first rows into the wanted columns, and alike.

    Args:
        head: The beginning of a table, UTF-8.
        source: Names the columns.
        usual: The delimiter that wins where two do equally well.
        quote: `double`, `single` or `none`.
    """
    lines = _lines(head)

    def merit(delimiter: str) -> tuple[int, bool, float, bool]:
        try:
            rows = list(itertools.islice(_rows(lines, delimiter, quote), _LOOK_ROWS))
        except csv.Error:
            return (-1, False, 0.0, False)
        if not rows:
            return (0, False, 0.0, delimiter == usual)
        header = source.columns or [cell.strip() for cell in rows[0]]
        named = sum(column_of(name, header) is not None for name in wanted_columns(source))
        alike = sum(len(row) == len(header) for row in rows) / len(rows)
        # What does not stand in the text cuts it nowhere, and so alike: not a word for it.
        return (named, len(header) > 1 and alike > _MOSTLY, alike, delimiter == usual)

    return max(DELIMITERS, key=merit)


def _lines(head: bytes) -> list[str]:
    lines = head.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")
    if len(lines) > 1:
        lines.pop()  # empty, or cut off in the middle
    return [f"{line}\n" for line in lines]


def _rows(lines: Sequence[str], delimiter: str, quote: str) -> Iterator[list[str]]:
    if quote == "none":
        return (line.rstrip("\r\n").split(delimiter) for line in lines if line.strip("\r\n"))
    reader = csv.reader(lines, delimiter=delimiter, quotechar=_QUOTES[quote])
    return (row for row in reader if row)


def _read(stream: IO[bytes], reading: Reading, *, usual: str, quote: str) -> Iterator[Piece]:
    source = reading.source
    delimiter = source.delimiter or find_delimiter(
        peek(stream), source=source, usual=usual, quote=quote
    )
    rows = _plain_rows if quote == "none" else _quoted_rows
    header: list[str] | None = None
    if source.columns is not None:
        header = source.columns
        check_columns(header, reading)
    for row in rows(stream, reading, delimiter):
        if isinstance(row, BadInput):
            if header is None:  # another row would pass for it
                yield reading.bad(0, f"its header cannot be read: {row.reason}")
                return
            yield row
            continue
        position, cells = row
        if header is None:
            header = [cell.strip() for cell in cells]
            check_columns(header, reading)
        elif len(cells) != len(header):
            reason = f"{len(cells)} cells where the header has {len(header)}"
            yield reading.bad(position, reason)
        else:
            values = dict(zip(header, cells, strict=True))
            yield Row(file=reading.name, position=position, values=values)


Cells = tuple[int, list[str]]


def _plain_rows(stream: IO[bytes], reading: Reading, delimiter: str) -> Iterator[Cells | BadInput]:
    for line in iter_lines(stream, max_bytes=reading.max_bytes):
        text = None if line.data is None else decode(line.data)
        if text is None:
            yield reading.bad_line(line)
        elif text:
            yield line.number, text.split(delimiter)


def _quoted_rows(stream: IO[bytes], reading: Reading, delimiter: str) -> Iterator[Cells | BadInput]:
    # The limit is global to the process, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), reading.max_bytes))
    quote = _QUOTES[reading.source.quote or "double"]
    feed = _QuotedLines(iter_lines(stream, max_bytes=reading.max_bytes), quote=quote.encode())
    reader = csv.reader(feed, delimiter=delimiter, quotechar=quote)
    while True:
        feed.start_row()
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield reading.bad(feed.first, f"not CSV: {error}")
            continue
        finally:
            bad_lines = feed.bad_lines
            feed.bad_lines = []
        for line in bad_lines:
            yield reading.bad_line(line)
        if feed.at_end and feed.open_quote:
            yield reading.bad(feed.first, "a quote is never closed")
        elif cells and not any(line.data is not None for line in bad_lines):
            yield feed.first, cells


class _QuotedLines:
    """Lines for `csv.reader`, remembering where the row began and whether a quote is open."""

    def __init__(self, lines: Iterator[Line], *, quote: bytes) -> None:
        self._lines = lines
        self._quote = quote
        self._fresh = True
        self.first = 0
        self.open_quote = False
        self.at_end = False
        self.bad_lines: list[Line] = []

    def start_row(self) -> None:
        self._fresh = True
        self.open_quote = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            if line.data is None:
                self.bad_lines.append(line)
                continue
            if self._fresh:
                self.first, self._fresh = line.number, False
            self.open_quote ^= line.data.count(self._quote) % 2 == 1
            text = decode(line.data)
            if text is None:
                # The row that it stands in is lost, and no more.
                self.bad_lines.append(line)
                text = line.data.decode("utf-8", "replace")
            return text + "\n"
        self.at_end = True
        raise StopIteration


def wanted_columns(source: SourceConfig) -> list[str]:
    """The columns, or paths into columns, that a source names."""
    fields = (source.text_field, source.target_field, source.date_field)
    return list(dict.fromkeys(name for name in fields if name not in (None, FILE_NAME)))


def check_columns(header: Sequence[str], reading: Reading) -> None:
    """See that a table has every column that the source names, and has it once.

    Raises:
        SourceError: If it does not.
    """
    source = reading.source
    if reading.all_columns:
        return
    for key in ("text_field", "target_field", "date_field"):
        name = getattr(source, key)
        if name is None or (key == "date_field" and name == FILE_NAME):
            continue
        column = column_of(name, header)
        if column is None:
            found = ", ".join(repr(column[:40]) for column in list(header)[:12])
            raise SourceError(
                f"{reading.name}: has no column {name!r}; found {found}. Set {key}, or columns if"
                " the file has no header"
            )
        if list(header).count(column) > 1:
            raise SourceError(
                f"{reading.name}: the column {column!r} stands {list(header).count(column)} times,"
                f" so which one {key} means is not known; name it once"
            )
