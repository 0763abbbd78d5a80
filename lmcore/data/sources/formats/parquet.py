"""Parquet: a column store, of which only the named columns are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from lmcore.data.sources.class_names import class_name, class_names_in
from lmcore.data.sources.fields import column_of
from lmcore.data.sources.formats.delimited import check_columns, wanted_columns
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Piece, Row

_ROWS = 256


def read_parquet(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """Rows of a Parquet file.

    Raises:
        SourceError: If a named column is missing or stands twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(stream) as table:
            names = [str(name) for name in table.schema_arrow.names]
            check_columns(names, reading)
            columns = (column_of(name, names) for name in wanted_columns(reading.source))
            wanted = list(dict.fromkeys(name for name in columns if name is not None))
            wanted = names if reading.all_columns else wanted
            target = reading.source.target_field
            classes = class_names_in(table.schema_arrow.metadata, target)
            position = 0
            for batch in table.iter_batches(_ROWS, columns=wanted, use_threads=False):
                values = {name: batch.column(name).to_pylist() for name in wanted}
                for i in range(batch.num_rows):
                    position += 1
                    row = {name: column[i] for name, column in values.items()}
                    try:
                        if classes is not None and target in row:
                            row[target] = class_name(row[target], classes, column=target)
                    except ValueError as error:
                        yield reading.bad(position, str(error))
                        continue
                    yield Row(file=reading.name, position=position, values=row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield reading.bad(0, f"not Parquet: {str(error).splitlines()[0]}")
