"""Columns: what was written is read, in blocks of any size; bytes as text and as numbers."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.ingest import mapped_columns
from lmcore.data.ingest.mapped_columns import (
    Column,
    blocks,
    first_words,
    fixed_bytes,
    hex_strings,
    joined_bytes,
)
from lmcore.errors import StorageError

IDS = st.lists(st.binary(min_size=16, max_size=16), max_size=20)


def table(values: list[bytes]) -> mapped_columns.Bytes:
    return np.frombuffer(b"".join(values), np.uint8).reshape(len(values), 16)


@pytest.mark.parametrize("together", [1, 3, 100])
def test_a_column_is_what_was_written_and_loses_what_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(mapped_columns, "_BLOCK", together)
    one = Column(tmp_path / "one", np.int64)
    wide = Column(tmp_path / "wide", np.uint8, width=2)
    assert one.array().shape == (0,)
    assert wide.array().shape == (0, 2)
    for start in (0, 4):
        numbers = np.arange(start, start + 4)
        one.append(numbers)
        wide.append(np.column_stack([numbers, numbers + 10]))
    before = one.array()
    stays = np.arange(8) % 3 == 0
    for column in (one, wide):
        column.keep(stays)
    assert one.array().tolist() == [0, 3, 6]
    assert wide.array().tolist() == [[0, 10], [3, 13], [6, 16]]
    # Who read it before has what it was.
    assert before.tolist() == list(range(8))
    one.append(np.array([9]))
    assert one.array().tolist() == [0, 3, 6, 9]
    for column in (one, wide):
        column.close()


def test_blocks_are_all_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_columns, "_BLOCK", 4)
    assert list(blocks(0)) == []
    assert list(blocks(9)) == [slice(0, 4), slice(4, 8), slice(8, 9)]


def test_a_column_on_a_disk_that_is_full_is_one_sentence() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("a system without /dev/full")
    column = Column(full, np.int64)
    with pytest.raises(StorageError, match="no space is left"):
        column.append(np.zeros(100_000))
    column.close()


@settings(deadline=None, max_examples=50)
@given(IDS)
def test_hexadecimal_is_that_of_bytes(values: list[bytes]) -> None:
    assert hex_strings(table(values)).to_pylist() == [value.hex() for value in values]


@settings(deadline=None, max_examples=50)
@given(IDS)
def test_first_words_are_ordered_as_bytes_are(values: list[bytes]) -> None:
    words = first_words(table(values)).tolist()
    assert words == [int.from_bytes(value[:8], "big") for value in values]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.none() | st.binary(max_size=5), max_size=6), max_size=4), st.data())
def test_bytes_of_a_column_are_joined_whatever_it_is_cut_from(
    chunks: list[list[bytes | None]], data: st.DataObject
) -> None:
    column = pa.chunked_array(chunks, pa.binary())
    start = data.draw(st.integers(0, len(column)))
    column = column.slice(start)
    joined, lengths = joined_bytes(column)
    values = [value or b"" for value in column.to_pylist()]
    assert joined.tobytes() == b"".join(values)
    assert lengths.tolist() == [len(value) for value in values]


@pytest.mark.parametrize("kind", [pa.binary(16), pa.binary()])
def test_ids_of_a_part_are_a_table_of_bytes(kind: pa.DataType) -> None:
    values = [bytes(range(n, n + 16)) for n in range(5)]
    column = pa.chunked_array([values[:2], values[2:]], kind).slice(1)
    assert fixed_bytes(column, 16).tolist() == [list(value) for value in values[1:]]
