"""Documents at rest: what is written comes back, in order, and by split."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.content_store import ContentStore
from lmcore.data import documents
from lmcore.data.documents import SPLITS, Document, DocumentSet, RowWriter

TEXT = st.text(st.characters(codec="utf-8"), max_size=50)


def _write(root: Path, rows: list[Document]) -> DocumentSet:
    def make(folder: Path) -> dict[str, int]:
        with RowWriter(folder) as writer:
            for row in rows:
                values = (getattr(row, name) for name in documents.COLUMNS)
                writer.add(*values, num_bytes=row.num_bytes)
        return {"documents": len(rows)}

    return ContentStore(root).build(DocumentSet, {"rows": len(rows)}, make)


def _document(i: int, text: str, split: str) -> Document:
    return Document(
        id=f"{i:064x}",
        text=text,
        name=f"a.txt:{i}",
        source=0,
        license="CC0-1.0",
        origin="here",
        num_bytes=len(text.encode()),
        split=split,
        anchor=i % 2 == 0,
        cluster=f"{i:064x}",
        date="2026-01-02" if i % 3 else None,
        target=text[::-1] if i % 2 else None,
    )


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(TEXT, st.sampled_from(SPLITS)), max_size=12))
def test_rows_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    written = [_document(i, text, split) for i, (text, split) in enumerate(rows)]
    found = _write(tmp_path_factory.mktemp("set"), written)
    assert list(found.iter_documents()) == written
    for split in SPLITS:
        there = [d for d in written if d.split == split]
        assert list(found.iter_documents(split)) == there
        assert found.count(split) == len(there)
        assert found.num_bytes(split) == sum(d.num_bytes for d in there)
    assert found.count("train", "tune") == found.count("train") + found.count("tune")
    assert [row["id"] for row in found.iter_rows()] == [d.id for d in written]
    assert all("text" not in row and "target" not in row for row in found.iter_rows())


def test_large_sets_are_cut_into_files_and_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "ROW_GROUP_BYTES", 2_000)
    monkeypatch.setattr(documents, "FILE_BYTES", 6_000)
    written = [_document(i, "x" * 500, "train") for i in range(40)]
    found = _write(tmp_path, written)
    assert len(list(found.path.glob("documents-*.parquet"))) > 3
    assert list(found.iter_documents("train")) == written
