"""A small harness: write files, ingest them, look at the result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from lmcore.artifacts import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.ingest import ingest


class Ingest(Protocol):
    def __call__(
        self,
        *sources: dict[str, Any],
        home: str = "home",
        policy: dict[str, Any] | None = None,
        **data: Any,
    ) -> DocumentSet: ...


@pytest.fixture
def run_ingest(tmp_path: Path) -> Ingest:
    """Ingest sources into a home below `tmp_path`; the same home keeps its split ledger."""

    def run(
        *sources: dict[str, Any],
        home: str = "home",
        policy: dict[str, Any] | None = None,
        **data: Any,
    ) -> DocumentSet:
        return ingest(
            ContentStore(tmp_path / home / "store"),
            sources=[SourceConfig(**source) for source in sources],
            data=DataConfig(**data),
            policy=PolicyConfig(**(policy or {})),
            ledger_path=tmp_path / home / "split.sqlite",
        )

    return run


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write one text a line; returns the source."""

    def write(name: str, texts: list[str], **settings: Any) -> dict[str, Any]:
        path = tmp_path / name
        path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
        return {"path": str(path), "format": "lines", **settings}

    return write
