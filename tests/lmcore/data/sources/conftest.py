"""Write small sources and read them, whatever their format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.sources.readers import read_source
from lmcore.data.sources.records import Opened


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file; returns its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def put_rows(tmp_path: Path) -> Callable[[str], Path]:
    """Write the same two texts in any format; returns the path."""

    def write(kind: str) -> Path:
        rows = [{"id": "1", "text": "first"}, {"id": "2", "text": 'has "quotes"'}]
        path = tmp_path / f"t.{kind}"
        if kind == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
            return path
        content = {
            "jsonl": "".join(json.dumps(row) + "\n\n" for row in rows),
            "csv": 'id,text\r\n1,first\r\n2,"has ""quotes"""\r\n',
            "tsv": 'id\ttext\n1\tfirst\n2\thas "quotes"\n',
            "txt": 'first\n\nhas "quotes"\n',
        }[kind]
        path.write_text("\ufeff" + content, newline="")
        return path

    return write


@pytest.fixture
def read() -> Callable[..., list[Any]]:
    """Read a source to its end: records, bad input and what is left out."""

    def run(path: Path | str, *, data: DataConfig | None = None, **config: Any) -> list[Any]:
        (source,) = fingerprint_sources([SourceConfig(path=str(path), **config)]).sources
        items = read_source(source, data=data or DataConfig())
        return [item for item in items if not isinstance(item, Opened)]

    return run
