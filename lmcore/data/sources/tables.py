r"""Tables as records: JSONL, CSV, TSV and Parquet, one row in memory at a time.

In: a byte stream and the source's column names.  Out: records and bad rows.
CSV follows RFC 4180 (quotes, line ends inside quotes).  TSV has no quoting at
all: a quote is a character like any other, as in the text tables that corpora
come in, so no row is ever swallowed by an unmatched quote.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from typing import IO

from lmcore.data.config import SourceConfig
from lmcore.data.sources.lines import Line, decode, iter_lines
from lmcore.data.sources.records import BadInput, Record, build_record
from lmcore.errors import SourceError

Items = Iterator[Record | BadInput]
_PARQUET_ROWS = 256


def read_jsonl(stream: IO[bytes], *, file: str, source: SourceConfig, max_bytes: int) -> Items:
    """One JSON object a line; blank lines are nothing."""
    for line in iter_lines(stream, max_bytes=max_bytes):
        if line.data is None:
            yield _too_long(file, line, max_bytes)
            continue
        if not line.data.strip():
            continue
        text = decode(line.data)
        if text is None:
            yield BadInput(file=file, position=line.number, reason="invalid UTF-8")
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = f"not JSON: {str(error) or type(error).__name__}"
            yield BadInput(file=file, position=line.number, reason=reason)
            continue
        if not isinstance(row, dict):
            yield BadInput(file=file, position=line.number, reason="not a JSON object")
            continue
        yield build_record(file, line.number, list(row), row.__getitem__, source=source)


def read_tsv(stream: IO[bytes], *, file: str, source: SourceConfig, max_bytes: int) -> Items:
    """One row a line, cells between tabs, no quoting.

    Raises:
        SourceError: If a named column is missing.
    """
    header = _given_header(file, source)
    for line in iter_lines(stream, max_bytes=max_bytes):
        if line.data is None:
            yield _too_long(file, line, max_bytes)
        elif line.data:
            # Undecodable bytes become lone surrogates, which cleaning refuses: one row is lost.
            cells = line.data.decode("utf-8", "surrogateescape").split("\t")
            if header is None:
                header = cells
                _check_columns(file, header, source)
            else:
                yield _table_row(file, line.number, header, cells, source)


def _given_header(file: str, source: SourceConfig) -> list[str] | None:
    if source.columns is not None:
        _check_columns(file, source.columns, source)
    return source.columns


def read_csv(stream: IO[bytes], *, file: str, source: SourceConfig, max_bytes: int) -> Items:
    """Comma-separated rows with quoting (RFC 4180).

    Raises:
        SourceError: If a named column is missing.
    """
    # The limit is global to the process, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    feed = _CsvLines(iter_lines(stream, max_bytes=max_bytes))
    reader = csv.reader(feed)
    header = _given_header(file, source)
    while True:
        feed.start_row()
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield BadInput(file=file, position=feed.first, reason=f"not CSV: {error}")
            continue
        finally:
            too_long = feed.too_long
            feed.too_long = []
        for line in too_long:
            yield _too_long(file, line, max_bytes)
        if feed.at_end and feed.open_quote:
            yield BadInput(file=file, position=feed.first, reason="a quote is never closed")
        elif not cells:
            continue
        elif header is None:
            header = cells
            _check_columns(file, header, source)
        else:
            yield _table_row(file, feed.first, header, cells, source)


class _CsvLines:
    """Lines for `csv.reader`, remembering where the row began and whether a quote is open."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._fresh = True
        self.first = 0
        self.open_quote = False
        self.at_end = False
        self.too_long: list[Line] = []

    def start_row(self) -> None:
        self._fresh = True
        self.open_quote = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            if line.data is None:
                self.too_long.append(line)
                continue
            if self._fresh:
                self.first, self._fresh = line.number, False
            self.open_quote ^= line.data.count(b'"') % 2 == 1
            return line.data.decode("utf-8", "surrogateescape") + "\n"
        self.at_end = True
        raise StopIteration


def _table_row(
    file: str, position: int, header: Sequence[str], cells: Sequence[str], source: SourceConfig
) -> Record | BadInput:
    if len(cells) != len(header):
        reason = f"{len(cells)} cells where the header has {len(header)}"
        return BadInput(file=file, position=position, reason=reason)
    return build_record(
        file, position, header, lambda name: cells[header.index(name)], source=source
    )


def read_parquet(stream: IO[bytes], *, file: str, source: SourceConfig) -> Items:
    """Rows of a Parquet file; only the named columns are read.

    Raises:
        SourceError: If a named column is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(stream) as table:
            names = list(table.schema_arrow.names)
            _check_columns(file, names, source)
            wanted = [name for name in _wanted(source) if name in names]
            position = 0
            for batch in table.iter_batches(_PARQUET_ROWS, columns=wanted, use_threads=False):
                columns = {name: batch.column(name).to_pylist() for name in wanted}
                for i in range(batch.num_rows):
                    position += 1
                    row = {name: values[i] for name, values in columns.items()}
                    yield build_record(file, position, wanted, row.__getitem__, source=source)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield BadInput(file=file, position=0, reason=f"not Parquet: {str(error).splitlines()[0]}")


def _wanted(source: SourceConfig) -> list[str]:
    fields = (source.text_field, source.target_field, source.date_field)
    return list(dict.fromkeys(name for name in fields if name is not None))


def _check_columns(file: str, header: Sequence[str], source: SourceConfig) -> None:
    keys = ("text_field", "target_field", "date_field")
    for key in keys:
        name = getattr(source, key)
        if name is not None and name not in header:
            found = ", ".join(repr(column[:40]) for column in list(header)[:12])
            raise SourceError(
                f"{file}: has no column {name!r}; found {found}. Set {key}, or columns if the file"
                " has no header"
            )


def _too_long(file: str, line: Line, max_bytes: int) -> BadInput:
    reason = f"a line longer than data.max_document_bytes={max_bytes}"
    return BadInput(file=file, position=line.number, reason=reason)
