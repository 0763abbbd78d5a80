"""Documents are written in tables as they are row by row: the same files, byte for byte."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data import documents
from lmcore.data.documents import SCHEMA, RowWriter
from lmcore.data.ingest import document_files
from lmcore.data.ingest.document_files import DocumentFiles, memory_of

Row = dict[str, Any]


def row(number: int, size: int, target: str | None) -> Row:
    return {
        "id": f"{number:064x}",
        "text": "\N{LATIN SMALL LETTER E WITH ACUTE}x" * size,
        "name": f"a.jsonl:{number}",
        "source": number % 3,
        "license": "CC0-1.0",
        "origin": "a test",
        "num_bytes": 3 * size,
        "split": ("train", "validation")[number % 2],
        "anchor": number % 5 == 0,
        "cluster": f"{number:064x}",
        "date": "2025-01-01" if number % 4 else None,
        "target": target,
    }


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def by_row(folder: Path, rows: list[Row]) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    with RowWriter(folder) as writer:
        for one in rows:
            size = one["num_bytes"] + len(one["target"] or "")
            writer.add(*(one[name] for name in SCHEMA.names), num_bytes=size)
    return files(folder)


def by_table(folder: Path, rows: list[Row], cuts: list[int]) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    bounds = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    with DocumentFiles(folder) as writer:
        for start, stop in itertools.pairwise(bounds):
            table = pa.Table.from_pylist(rows[start:stop], schema=SCHEMA)
            writer.add(table, memory_of(table))
    return files(folder)


ROWS = st.lists(
    st.tuples(st.integers(0, 900), st.none() | st.text(max_size=3)), min_size=1, max_size=40
)


@given(sizes=ROWS, cuts=st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=60, deadline=None)
def test_tables_come_to_the_files_of_rows(
    sizes: list[tuple[int, str | None]], cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [row(number, *each) for number, each in enumerate(sizes)]
    place = tmp_path_factory.mktemp("files")
    with pytest.MonkeyPatch.context() as patch:
        for module in (documents, document_files):
            patch.setattr(module, "ROW_GROUP_BYTES", 4_000)
            patch.setattr(module, "FILE_BYTES", 10_000)
        assert by_table(place / "tables", rows, cuts) == by_row(place / "rows", rows)


def test_several_files_and_groups_are_cut_at_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_files, "ROW_GROUP_BYTES", 4_000)
    monkeypatch.setattr(document_files, "FILE_BYTES", 10_000)
    found = by_table(tmp_path / "a", [row(number, 500, None) for number in range(8)], [])
    # A row of 1,500 bytes counts 2,000, so two are a group, and three groups a file.
    assert list(found) == ["documents-00000.parquet", "documents-00001.parquet"]


def test_what_fails_in_the_thread_is_raised_and_nothing_is_written_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_files, "ROW_GROUP_BYTES", 1)
    table = pa.Table.from_pylist([row(0, 3, None)], schema=SCHEMA)
    written: list[int] = []

    def full(*_: Any) -> None:
        written.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DocumentFiles, "_write", full)

    def write() -> None:
        with DocumentFiles(tmp_path) as writer:
            for _ in range(9):
                writer.add(table, memory_of(table))

    with pytest.raises(OSError, match="No space"):
        write()
    assert len(written) == 1


def test_memory_is_of_text_and_target(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([row(1, 5, None), row(2, 5, "abc")], schema=SCHEMA)
    np.testing.assert_array_equal(memory_of(table), [15, 18])
