"""XLSX: each sheet is a table with a header, read row by row by openpyxl."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time
from typing import IO, Any

from lmcore.data.sources.fields import column_of
from lmcore.data.sources.formats.delimited import check_columns, wanted_columns
from lmcore.data.sources.formats.whole_file import read_whole
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import LeftOut, Piece, Row


def read_xlsx(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """Rows of every sheet that has the named columns; sheets that have not are told.

    Raises:
        SourceError: If no sheet has them.
    """
    yield from read_whole(stream, reading, kind="XLSX", items=_items, is_archive=True)


def _items(file: IO[bytes], reading: Reading) -> Iterator[Piece]:
    from openpyxl import load_workbook

    workbook = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    try:
        sheets = [sheet for sheet in workbook.worksheets if sheet.max_row]
        several = len(sheets) > 1
        seen: list[str] | None = None
        read = False
        for sheet in sheets:
            rows = ([_cell(value) for value in row] for row in sheet.iter_rows(values_only=True))
            header, start = reading.source.columns, 1
            if header is None:
                header, start = _header(next(rows, [])), 2
            if not any(header):
                continue
            wanted = () if reading.all_columns else wanted_columns(reading.source)
            if any(column_of(name, header) is None for name in wanted):
                seen = seen or header
                reason = "a sheet without the named columns"
                yield LeftOut(file=f"{reading.name}:{sheet.title}", reason=reason)
                continue
            check_columns(header, reading)
            read = True
            name = f"{reading.name}:{sheet.title}" if several else reading.name
            for position, cells in enumerate(rows, start=start):
                if any(cell != "" for cell in cells):
                    cells += [""] * (len(header) - len(cells))
                    row = dict(zip(header, cells, strict=False))
                    yield Row(file=name, position=position, values=row)
        if not read:
            check_columns(seen or [], reading)
    finally:
        workbook.close()


def _header(cells: list[Any]) -> list[str]:
    while cells and cells[-1] == "":
        cells.pop()
    return [str(cell).strip() for cell in cells]


def _cell(value: Any) -> Any:
    """A cell as a person reads it: an empty one is no text, a day has no time."""
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time():
        return value.date()
    if isinstance(value, float) and value.is_integer():
        return int(value)  # the file knows no other numbers
    return value
