"""Parquet: nested columns are reached, others are not read, a name twice is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.data.sources.looks import look
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


# What each value of a column `text` is set aside for; its row is lost and no other.
ODD = {
    "dates beyond the calendar": (pa.array([1 << 30, 2], pa.date32()), "cannot be read: days="),
    "times beyond the calendar": (pa.array([1 << 62, 2], pa.timestamp("us")), "cannot be read: "),
    "durations": (pa.array([1, 2], pa.duration("us")), "is no text, not a string"),
    "names that stand twice": (
        pa.StructArray.from_arrays([pa.array(["a", "c"]), pa.array(["b", "d"])], names=["k", "k"]),
        "cannot be read: ",
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_value_that_cannot_be_had_costs_its_row(tmp_path: Path, read: Read, kind: str) -> None:
    values, reason = ODD[kind]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": values}), path)
    first, second = read(path)
    assert (first.position, second.position) == (1, 2)
    assert reason in first.reason


def test_a_cell_that_is_no_text_costs_its_row(tmp_path: Path, read: Read) -> None:
    cells = [f"row {i}".encode() for i in range(40)]
    cells[20] = b"\xff\xfe"
    _, offsets, data = pa.array(cells, pa.binary()).buffers()
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"text": pa.Array.from_buffers(pa.string(), 40, [None, offsets, data])}), path
    )
    items = read(path)
    assert [item.text for item in items if isinstance(item, Record)] == [
        f"row {i}" for i in range(40) if i != 20
    ]
    assert (items[20].position, items[20].reason) == (21, "'text' is invalid UTF-8")


def test_a_column_that_stands_twice_and_is_not_named_changes_nothing(
    tmp_path: Path, read: Read
) -> None:
    path = tmp_path / "t.parquet"
    columns = [pa.array(["a"]), pa.array(["b"]), pa.array(["c"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "x", "x"]), path)
    assert [item.text for item in read(path)] == ["a"]
    assert look(path, name="t.parquet").rows == ({"text": "a"},)


def _bombs() -> dict[str, pa.Table]:
    one = pa.array(["A" * (1 << 20)])
    thousand = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), one)
    return {
        "a dictionary": pa.table({"text": thousand}),
        "pages": pa.table({"text": [f"{i}{'A' * (1 << 20)}" for i in range(70)]}),
        "lists": pa.table({"text": pa.array([["a"] * 9_000_000])}),
        "lists of one long text": pa.table(
            {"text": pa.ListArray.from_arrays(pa.array([0, 1000]), thousand)}
        ),
        "rows of nothing": pa.table({"text": pa.nulls(1_100_000, pa.string())}),
    }


@pytest.mark.parametrize("kind", _bombs())
def test_a_file_that_unpacks_to_absurdly_much_is_set_aside(
    tmp_path: Path, read: Read, kind: str
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(_bombs()[kind], path, compression="zstd", dictionary_pagesize_limit=1 << 30)
    assert path.stat().st_size < 20_000
    before = pa.total_allocated_bytes()
    last = read(path)[-1]
    assert last.condemns_file
    assert "decompression bomb" in last.reason
    assert pa.total_allocated_bytes() - before < 64 << 20
