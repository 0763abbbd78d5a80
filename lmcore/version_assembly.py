"""A registry version put together: what a run made, as one folder that is verified as a whole.

What there is to say of each document is cut into files of some thousand rows where a row's own id
says so: rows that come or go change the files between the cuts beside them and no others
(content-defined chunking; Muthitacharoen et al. 2001, SOSP), and the others are stored once for all
versions (`flows/registry/shared_files.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmcore.durable import atomic_write, fsync_directory
from lmcore.manifest import MANIFEST, Manifest
from lmcore.version_folder import (
    CANARIES,
    DOCUMENTS,
    KIND,
    SKETCHES,
    VersionFolder,
    check_formats,
    open_version,
)
from lmcore.version_sketches import SCHEMA as SKETCH_SCHEMA

#: No `text`, no `target`: a version says what it was trained on, and does not publish it.
_LINEAGE = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("id", "name")),
        pa.field("source", pa.int32()),
        *(pa.field(name, pa.string()) for name in ("license", "origin")),
        pa.field("num_bytes", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("split", "cluster", "date")),
        pa.field("anchor", pa.bool_()),
    ]
)
#: One sketch a document: 264 bytes at most up to 6 kB of text, then about 4 % of the text.
# On average, and at most so many times that.
_ROWS_A_FILE, _AT_MOST = 4096, 4


@dataclass(frozen=True, kw_only=True)
class VersionParts:
    """What a version is made of.

    Attributes:
        best: Folder of `model.safetensors` and `model.json`.
        tokenizer: Folder that `Tokenizer.save` wrote.
        evaluation: Folder of the evaluation.
        documents: Lineage rows of all documents; further columns, such as text, are left out.
        sources: What was read, as JSON values.
        config: The resolved configuration, YAML.
        report: The report page.
        card: The model card.
        lineage: What made it: digests of data, tokenizer, config, code, lock, and the plan.
        canaries: Random texts that it was trained with and must never emit; None: none.
        sketches: Id and sketch (`lmcore.data.copies.sketches`) of every document.
        summary: Small facts for the manifest.
    """

    best: Path
    tokenizer: Path
    evaluation: Path
    documents: Iterable[Mapping[str, Any]]
    sources: object
    config: str
    report: str
    card: str
    lineage: Mapping[str, Any]
    canaries: Mapping[str, Any] | None = None
    sketches: Iterable[tuple[str, bytes]] = ()
    summary: Mapping[str, Any] | None = None


def assemble_version(target: Path, parts: VersionParts) -> VersionFolder:
    """Put a version together; a crash leaves all of it or nothing.

    Args:
        target: The folder to make; one that exists is replaced.
        parts: What goes in.

    Raises:
        IntegrityError: If a folder holds a file of a format that has no place in a version.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for place, source in (
            ("model", parts.best),
            ("tokenizer", parts.tokenizer),
            ("evaluation", parts.evaluation),
        ):
            _copy(source, partial / place)
        _write_rows(partial / DOCUMENTS, parts.documents, schema=_LINEAGE)
        _write_rows(
            partial / SKETCHES,
            ({"id": identity, "sketch": sketch} for identity, sketch in parts.sketches),
            schema=SKETCH_SCHEMA,
        )
        atomic_write(partial / "sources.json", _json(parts.sources))
        atomic_write(partial / "lineage.json", _json(parts.lineage))
        if parts.canaries is not None:
            atomic_write(partial / CANARIES, _json(parts.canaries))
        atomic_write(partial / "config.yaml", parts.config)
        atomic_write(partial / "report.html", parts.report)
        atomic_write(partial / "README.md", parts.card)
        manifest = Manifest.write(
            partial, kind=KIND, inputs=dict(parts.lineage), summary=parts.summary
        )
        check_formats(partial, manifest)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
        fsync_directory(target.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return open_version(target)


def _copy(source: Path, target: Path) -> None:
    # The manifest of the step that made the folder stays behind: the version has its own.
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(MANIFEST), symlinks=True)


def _write_rows(folder: Path, documents: Iterable[Mapping[str, Any]], *, schema: pa.Schema) -> None:
    folder.mkdir()
    for number, rows in enumerate(_cut(documents)):
        kept = [{name: row.get(name) for name in schema.names} for row in rows]
        path = folder / f"{number:06}.parquet"
        pq.write_table(pa.Table.from_pylist(kept, schema=schema), path, compression="zstd")


def _cut(documents: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Rows in files, the last of which may have none; see the module."""
    rows: list[Mapping[str, Any]] = []
    for document in documents:
        rows.append(document)
        digest = hashlib.sha256(document["id"].encode()).digest()
        ends = int.from_bytes(digest[:8], "big") % _ROWS_A_FILE == 0
        if ends or len(rows) == _AT_MOST * _ROWS_A_FILE:
            yield rows
            rows = []
    yield rows


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
