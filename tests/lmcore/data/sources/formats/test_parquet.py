"""Parquet: nested columns are reached, others are not read, a name twice is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.data.sources.records import Record
from lmcore.errors import SourceError

Read = Callable[..., list[Any]]


def test_a_path_leads_into_nested_columns(tmp_path: Path, read: Read) -> None:
    rows = [{"pair": {"de": f"Haus {i}", "en": f"house {i}"}, "id": i} for i in range(600)]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    items = read(path, text_field="pair.de", target_field="pair.en")
    assert all(isinstance(item, Record) for item in items)
    assert [(item.text, item.target) for item in items] == [
        (row["pair"]["de"], row["pair"]["en"])  # type: ignore[index]
        for row in rows
    ]
    assert [item.position for item in items] == list(range(1, 601))


def test_a_column_that_stands_twice_is_an_error_of_the_user(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "t.parquet"
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, path)
    with pytest.raises(SourceError, match=r"t\.parquet: the column 'text' stands 2 times"):
        read(path)
