"""The files of the newest set of documents, found by what they were made of."""

import os
from pathlib import Path

import pytest

from lmcore.content_store import ContentStore
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.earlier_documents import earlier_documents, write_names


def _set(store: ContentStore, number: int, *, at: int | None = None) -> Path:
    """A set of two files."""

    def make(folder: Path) -> None:
        for name in ("one", "two"):
            (folder / name).write_text(f"{name} {number}")
        write_names(folder, {f"made of {number}": ["one"], "both": ["one", "two"]})

    path = store.build(DocumentSet, {"number": number}, make).path
    os.utime(path, (1_000 + (at or number), 1_000 + (at or number)))
    return path


def test_the_newest_set_serves(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    assert earlier_documents(store) is None
    folders = [_set(store, number) for number in range(3)]
    found = earlier_documents(store)
    assert found is not None
    assert found.folder == folders[2]
    assert found.files("made of 2") == [folders[2] / "one"]
    assert found.files("both") == [folders[2] / "one", folders[2] / "two"]
    assert found.files("made of 1") is None


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_file_serves_nobody(tmp_path: Path, damage: str) -> None:
    store = ContentStore(tmp_path)
    folder = _set(store, 0)
    found = earlier_documents(store)
    assert found is not None
    if damage == "changed":
        (folder / "two").write_text("two 1")
    else:
        (folder / "two").unlink()
    assert found.files("both") is None
    assert found.files("made of 0") == [folder / "one"]


@pytest.mark.parametrize("content", ["", "{}", '{"both": ["one", "three"]}', "no json"])
def test_a_list_that_was_changed_serves_nobody(tmp_path: Path, content: str) -> None:
    store = ContentStore(tmp_path)
    (_set(store, 0) / "files.json").write_text(content)
    assert earlier_documents(store) is None


def test_a_set_from_before_has_no_list(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    store.build(DocumentSet, {}, lambda folder: None)
    assert earlier_documents(store) is None
