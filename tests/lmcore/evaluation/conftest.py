"""Small documents, and a store of them, that need neither ingest nor training."""

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmcore.artifacts import ContentStore
from lmcore.data.documents import Document, DocumentSet, RowWriter
from lmcore.evaluation.scores.table import ScoreTable


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


@pytest.fixture
def scores() -> Callable[..., ScoreTable]:
    """A table from bits by document; sizes default to 100 bytes each."""

    def build(
        bits: Sequence[float], *, start: int = 0, anchor: Sequence[bool] | None = None
    ) -> ScoreTable:
        names = [f"doc-{start + i:04d}" for i in range(len(bits))]
        return ScoreTable(
            id=names,
            cluster=names,
            name=names,
            split=["validation"] * len(bits),
            source=[0] * len(bits),
            license=["MIT"] * len(bits),
            num_bytes=[100] * len(bits),
            num_tokens=[40] * len(bits),
            nll_nats=np.asarray(bits, dtype=float) * 100 * math.log(2),
            anchor=[False] * len(bits) if anchor is None else list(anchor),
        )

    return build
