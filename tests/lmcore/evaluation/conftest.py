"""Small documents, and a store of them, that need neither ingest nor training."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lmcore.artifacts import ContentStore
from lmcore.data.documents import Document, DocumentSet, RowWriter


def make_document(text: str, **facts: Any) -> Document:
    identity = hashlib.sha256(text.encode()).hexdigest()
    values: dict[str, Any] = {
        "id": identity,
        "text": text,
        "name": f"{identity[:6]}.txt",
        "source": 0,
        "license": "CC0-1.0",
        "origin": "a test",
        "num_bytes": len(text.encode()),
        "split": "validation",
        "anchor": False,
        "cluster": identity,
    }
    return Document(**{**values, **facts})


@pytest.fixture
def document() -> Callable[..., Document]:
    return make_document


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "content")


@pytest.fixture
def document_set(store: ContentStore) -> Callable[..., DocumentSet]:
    def build(documents: Sequence[Document], **summary: Any) -> DocumentSet:
        def make(folder: Path) -> dict[str, Any]:
            with RowWriter(folder) as writer:
                for d in documents:
                    writer.add(
                        *(getattr(d, name) for name in type(d).__dataclass_fields__),
                        num_bytes=d.num_bytes,
                    )
            return {"blocked_licenses": [], "licenses": {"CC0-1.0": 1}, **summary}

        inputs = {"rows": [[d.id, d.split, d.anchor] for d in documents], "summary": summary}
        return store.build(DocumentSet, inputs, make)

    return build
