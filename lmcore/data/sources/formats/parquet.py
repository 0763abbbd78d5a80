"""Parquet: a column store, of which only the named columns are read.

A thousand bytes of it may stand for gigabytes: one text in a dictionary that each row points at,
pages that pack well, rows that hold nothing.  So what a file says of its own size is compared with
its size before anything is unpacked, as many rows are had at once as fit into memory were each the
longest text of the dictionary, and a meter counts what came out.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from lmcore.data.sources.bombs import BombError, Meter, allowed_bytes
from lmcore.data.sources.class_names import class_name, class_names_in
from lmcore.data.sources.fields import column_of
from lmcore.data.sources.formats.delimited import check_columns, wanted_columns
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Piece, Row
from lmcore.errors import SourceError

_ROWS = 256
_BATCH_BYTES = 32 << 20
_BUFFER_BYTES = 1 << 20
#: A row takes as much, in time and in what is told of it, however little it holds.
_ROW_BYTES = 64
#: An item of a list takes as much in memory, however well it is packed.
_ITEM_BYTES = 8


def read_parquet(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """Rows of a Parquet file; a value that cannot be had costs its row.

    Raises:
        SourceError: If a named column is missing or stands twice.
        BombError: If the file unpacks to far more than it holds.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    position = 0
    try:
        size = stream.seek(0, io.SEEK_END)
        meter = Meter(lambda: size)
        with pq.ParquetFile(stream, buffer_size=_BUFFER_BYTES, pre_buffer=False) as table:
            names = [str(name) for name in table.schema_arrow.names]
            check_columns(names, reading)
            wanted = _wanted(names, reading)
            target = reading.source.target_field
            classes = class_names_in(table.schema_arrow.metadata, target)
            plan = _Plan(stream, table.metadata, wanted, size=size)
            for batch in _batches(table, plan, wanted):
                for row in _rows(batch, wanted):
                    position += 1
                    meter.add(_ROW_BYTES + sum(map(_size, row.values())))
                    try:
                        if wrong := [value for value in row.values() if isinstance(value, _Lost)]:
                            raise ValueError(wrong[0].reason)
                        if classes is not None and target in row:
                            row[target] = class_name(row[target], classes, column=target)
                    except ValueError as error:
                        yield reading.bad(position, str(error))
                        continue
                    yield Row(file=reading.name, position=position, values=row)
    except (BombError, SourceError, MemoryError):
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        behind = " (nothing behind it is read)" if position else ""
        yield reading.bad(position and position + 1, f"not Parquet: {reason}{behind}")


def _wanted(names: list[str], reading: Reading) -> list[str]:
    if reading.all_columns:
        stands = Counter(names)
        return [name for name in names if stands[name] == 1]
    columns = (column_of(name, names) for name in wanted_columns(reading.source))
    return list(dict.fromkeys(name for name in columns if name is not None))


class _Plan:
    """How many rows of each group may be had at once.

    Raises:
        BombError: If the file says of itself that it unpacks to absurdly much.
    """

    def __init__(self, stream: IO[bytes], about: Any, wanted: list[str], *, size: int) -> None:
        self._stream, self._about, self._size = stream, about, size
        chosen = set(wanted)
        paths = (about.schema.column(i).path for i in range(about.num_columns))
        self._leaves = [
            (i, path) for i, path in enumerate(paths) if not chosen.isdisjoint(_columns_of(path))
        ]
        self._claims(about.num_rows * _ROW_BYTES)
        for i in range(about.num_row_groups):
            group = about.row_group(i)
            columns = [group.column(leaf) for leaf, _ in self._leaves]
            self._claims(sum(column.total_uncompressed_size for column in columns))
            self._claims(_ITEM_BYTES * sum(map(_num_items, columns, [group] * len(columns))))

    def rows(self, number: int) -> int:
        """Of a group."""
        group = self._about.row_group(number)
        rows = _ROWS
        for leaf, path in self._leaves:
            column = group.column(leaf)
            each = max(1, column.num_values // max(1, group.num_rows))
            longest = column.total_uncompressed_size // max(1, column.num_values)
            texts = self._about.schema.column(leaf).physical_type == "BYTE_ARRAY"
            if texts and _ROWS * each * column.total_uncompressed_size > _BATCH_BYTES:
                longest = max(longest, self._longest(number, path, items=_num_items(column, group)))
            rows = min(rows, _BATCH_BYTES // max(1, longest * each))
        return max(1, rows)

    def _claims(self, num_bytes: int) -> None:
        if num_bytes > allowed_bytes(self._size):
            raise BombError(
                f"unpacks to {num_bytes:,} bytes from {self._size:,}, as a decompression bomb does"
            )

    def _longest(self, number: int, path: str, *, items: int) -> int:
        """The longest text of a column's dictionary; 0 where it has none."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        longest = num_bytes = 0
        with pq.ParquetFile(
            self._stream, read_dictionary=[path], buffer_size=_BUFFER_BYTES, pre_buffer=False
        ) as table:
            # Of a list it is not known how many of its items are the longest text.
            for batch in table.iter_batches(
                _ROWS if items else 1, row_groups=[number], columns=[path], use_threads=False
            ):
                packed = _innermost(batch.column(0))
                if not hasattr(packed, "dictionary"):
                    break
                lengths = pc.binary_length(packed.dictionary)
                longest = max(longest, pc.max(lengths).as_py() or 0)
                if items * longest <= allowed_bytes(self._size):
                    break
                num_bytes += pc.sum(lengths.take(packed.indices)).as_py() or 0
                self._claims(num_bytes)
        return longest


def _columns_of(path: str) -> Iterator[str]:
    """The columns that a stored one may be a part of: names hold dots as paths do."""
    steps = path.split(".")
    return (".".join(steps[:i]) for i in range(1, len(steps) + 1))


def _num_items(column: Any, group: Any) -> int:
    """Values of a column that holds lists; 0 for any other."""
    return int(column.num_values) if column.num_values > group.num_rows else 0


def _innermost(array: Any) -> Any:
    """The only stored column of a nested array."""
    import pyarrow as pa

    while pa.types.is_nested(array.type):
        array = array.flatten()
        array = array[0] if isinstance(array, list) else array
    return array


def _batches(table: Any, plan: _Plan, wanted: list[str]) -> Iterator[Any]:
    for number in range(table.num_row_groups):
        yield from table.iter_batches(
            plan.rows(number), row_groups=[number], columns=wanted, use_threads=False
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lost:
    """A value that cannot be had, and why."""

    reason: str


def _rows(batch: Any, wanted: list[str]) -> Iterator[dict[str, Any]]:
    columns: list[list[Any]] = []
    for name in wanted:
        column = batch.column(name)
        try:
            columns.append(column.to_pylist())
        except MemoryError:
            raise
        except Exception:  # dates beyond the calendar, names that stand twice, bytes for text
            columns.append([_value(scalar, name) for scalar in column])
    for cells in zip(*columns, strict=True):
        yield dict(zip(wanted, cells, strict=True))


def _value(scalar: Any, name: str) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return _Lost(reason=f"{name!r} is invalid UTF-8")
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error)[:100] or type(error).__name__
        return _Lost(reason=f"{name!r} holds a value that cannot be read: {reason}")


def _size(value: Any) -> int:
    """Bytes that a value takes, roughly."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_ITEM_BYTES + _size(inner) for inner in value.values())
    if isinstance(value, list):
        return sum(_ITEM_BYTES + _size(inner) for inner in value)
    return _ITEM_BYTES
