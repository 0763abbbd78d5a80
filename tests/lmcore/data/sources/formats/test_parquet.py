"""Parquet: nested columns are reached, others are not read, a name twice is told."""

import json
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


def test_classes_that_a_data_set_names_are_called_by_their_names(
    tmp_path: Path, read: Read
) -> None:
    path = tmp_path / "t.parquet"
    named = {"y": {"names": ["bad", "good"], "_type": "ClassLabel"}}
    metadata = {b"huggingface": json.dumps({"info": {"features": named}}).encode()}
    rows = [{"text": "a", "y": 1}, {"text": "b", "y": None}, {"text": "c", "y": -1}]
    rows.append({"text": "d", "y": 0})
    table = pa.Table.from_pylist(rows).replace_schema_metadata(metadata)
    pq.write_table(table, path)
    good, missing, unknown, bad = read(path, target_field="y")
    assert (good.target, bad.target) == ("good", "bad")
    assert missing.reason == "'y' is null, not a string"
    assert (unknown.position, unknown.reason) == (
        3,
        "'y' is -1, which means that the class is not known",
    )
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert [item.target for item in read(path, target_field="y") if isinstance(item, Record)] == [
        "1",
        "-1",
        "0",
    ]


def test_a_gap_in_a_column_of_integers_changes_no_label(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["a", "b", "c"], "y": [0.0, float("nan"), 2.0]}), path)
    first, gap, last = read(path, target_field="y")
    assert (first.target, last.target) == ("0", "2")
    assert gap.reason == "'y' is NaN, which is no label"
