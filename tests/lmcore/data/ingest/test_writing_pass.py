"""Documents are written in files that stay as they are where nothing in them changes."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.documents import DocumentSet
from lmcore.data.ingest import writing_pass
from lmcore.data.ingest.staging import Staging
from lmcore.manifest import Manifest

Write = Callable[..., dict[str, Any]]
RunIngest = Callable[..., DocumentSet]
Row = Mapping[str, Any]


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file for every ten documents or so."""
    monkeypatch.setattr(writing_pass, "FILE_BYTES", 6_000)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of texts that are read again to be written."""
    asked: list[int] = []
    stretches = Staging.stretches_of

    def noted(self: Staging, part: Any, rows: slice, columns: Any) -> Any:
        if "text" in columns:
            asked.append(rows.stop - rows.start)
        return stretches(self, part, rows, columns)

    monkeypatch.setattr(Staging, "stretches_of", noted)
    return asked


def _row(number: int, **beside: Any) -> Row:
    text = f"Text {number} says {number * 7919}."
    return {"text": text, "label": f"label {number}", "date": "2024-05-06", **beside}


@pytest.fixture
def run(run_ingest: RunIngest, tmp_path: Path) -> Callable[..., DocumentSet]:
    """Ingest rows of a file."""

    def ingest(rows: list[Row], *, name: str = "a.jsonl", **options: Any) -> DocumentSet:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        source = {"path": str(path), "target_field": "label", "date_field": "date"}
        return run_ingest({**source, **options.pop("source", {})}, **options)

    return ingest


def _files(found: DocumentSet) -> dict[str, tuple[int, bytes]]:
    """Inode and content of each file of documents."""
    paths = sorted(found.path.glob("documents-*.parquet"))
    return {path.name: (path.stat().st_ino, path.read_bytes()) for path in paths}


def _inodes(found: DocumentSet) -> set[int]:
    return {inode for inode, _ in _files(found).values()}


def _everything(found: DocumentSet) -> tuple[Any, ...]:
    return list(found.iter_documents()), found.account(), found.summary


def test_what_is_new_changes_the_file_that_it_stands_in(
    run: Callable[..., DocumentSet], read: list[int]
) -> None:
    rows = [_row(number) for number in range(300)]
    first = run(rows)
    assert 15 < len(_files(first)) < 60
    assert sum(read) == 300
    read.clear()
    rows.insert(140, _row(1_000))
    # All lines behind it have another number, which is their name.
    second = run(rows)
    assert 0 < len(_inodes(second) & _inodes(first)) < len(_files(first))
    assert sum(read) < 250
    read.clear()
    third = run([*rows, _row(1_001)])
    assert len(_inodes(third) & _inodes(second)) >= len(_files(second)) - 1
    assert sum(read) < 60
    cold = run([*rows, _row(1_001)], home="cold")
    contents = [[content for _, content in _files(found).values()] for found in (third, cold)]
    assert contents[0] == contents[1]
    assert list(third.iter_documents()) == list(cold.iter_documents())
    for name in ("sources.json", "personal.json", "quarantine.jsonl", "languages.parquet"):
        assert (third.path / name).read_bytes() == (cold.path / name).read_bytes()
    # What the ledger knew is all that the account tells apart.
    accounts = [found.account() for found in (third, cold)]
    assert [account["split"].pop("known_documents") for account in accounts] == [301, 0]
    assert accounts[0] == accounts[1]


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"label": "another"}, {}),
        ({"date": "2025-01-01"}, {}),
        ({}, {"source": {"license": "MIT"}}),
        ({}, {"source": {"origin": "another place"}}),
        ({}, {"name": "b.jsonl"}),
        ({}, {"pii": "keep"}),
    ],
)
def test_a_file_is_another_one_where_anything_but_its_texts_is(
    run: Callable[..., DocumentSet], change: Row, options: dict[str, Any]
) -> None:
    rows = [_row(number) for number in range(300)]
    first = run(rows)
    rows[150] = {**rows[150], **change}
    second, cold = run(rows, **options), run(rows, home="cold", **options)
    assert list(second.iter_documents()) == list(cold.iter_documents())
    both = len(_inodes(second) & _inodes(first))
    assert both == (len(_files(first)) - 1 if change else 0)


def test_a_side_that_a_source_names_is_a_change(run_ingest: RunIngest, tmp_path: Path) -> None:
    def source(name: str, numbers: range, **options: Any) -> dict[str, Any]:
        path = tmp_path / name
        path.write_text("".join(json.dumps(_row(number)) + "\n" for number in numbers))
        return {"path": str(path), **options}

    a, b = source("a.jsonl", range(200)), source("b.jsonl", range(200, 300))
    first = run_ingest(a, b)
    held = {**b, "split": "validation"}
    second, cold = run_ingest(a, held), run_ingest(a, held, home="cold")
    assert list(second.iter_documents()) == list(cold.iter_documents())
    assert 0 < len(_inodes(second) & _inodes(first)) < len(_files(first))


def test_a_damaged_file_is_written_again(run: Callable[..., DocumentSet]) -> None:
    rows = [_row(number) for number in range(300)]
    first = run(rows)
    damaged = sorted(first.path.glob("documents-*.parquet"))[3]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    second, cold = run([*rows, _row(1_000)]), run([*rows, _row(1_000)], home="cold")
    assert damaged.stat().st_ino not in _inodes(second)
    assert list(second.iter_documents()) == list(cold.iter_documents())
    Manifest.read(second.path).verify(second.path)


def test_files_are_listed_by_what_they_were_made_of(run: Callable[..., DocumentSet]) -> None:
    found = run([_row(number) for number in range(3)])
    assert sum(1 for _ in found.iter_documents()) == 3
    names = json.loads((found.path / "files.json").read_text())
    assert sorted(name for files in names.values() for name in files) == list(_files(found))
