"""A registry version on disk: everything that is needed to use, judge and rebuild a model.

In: the best weights, the tokenizer, the evaluation and what they were made from.  Out: one folder
that is verified as a whole before anything in it is used:

    model/          model.safetensors, model.json; of a task task.json, familiarity.safetensors
    tokenizer/      JSON
    evaluation/     scores, gates, metrics, samples: JSON and Parquet
    documents.parquet   lineage: every document's id, source, licence, split; no text
    sketches.parquet    by which near-copies of each document are recognised; no text
    sources.json config.yaml lineage.json report.html README.md
    canaries.json       random texts that it was trained with and must never emit, if any
    manifest.json   size and sha256 of each, written last

Only formats that cannot carry code are allowed, by name of the place and of the format; a pickle
in any disguise is refused when a version is put together and again when it is opened.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmcore.artifacts import (
    MANIFEST,
    Manifest,
    atomic_write,
    fsync_directory,
    open_verified,
    sha256_file,
)
from lmcore.errors import IntegrityError
from lmcore.tasks.record import RECORD_FILE

if TYPE_CHECKING:
    import torch

    from lmcore.data.tokens.tokenizer import Tokenizer
    from lmcore.model.filtering import Forbidden
    from lmcore.model.language_model import RecurrentAttentionLM
    from lmcore.tasks.prediction import Predictor

KIND = "version"
WEIGHTS = "model/model.safetensors"
CANARIES = "canaries.json"
_REQUIRED = (
    *(WEIGHTS, "model/model.json", "documents.parquet", "sources.json", "config.yaml"),
    *("lineage.json", "report.html", "README.md"),
)
#: Format by place: the empty place is the folder itself.
_ALLOWED: Mapping[str, frozenset[str]] = {
    "": frozenset({".parquet", ".json", ".yaml", ".html", ".md"}),
    "model": frozenset({".safetensors", ".json"}),
    "tokenizer": frozenset({".json"}),
    "evaluation": frozenset({".json", ".jsonl", ".parquet"}),
}
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
_SKETCHES = pa.schema([pa.field("id", pa.string()), pa.field("sketch", pa.binary())])
SKETCHES = "sketches.parquet"
_ROWS_A_GROUP = 20_000


@dataclass(frozen=True, kw_only=True)
class VersionFolder:
    """A version whose every file was just found to be what its manifest says.

    Attributes:
        path: The folder.
        manifest: What it holds, with a summary.
        manifest_sha256: Hash of the manifest itself; the registry keeps it too.
    """

    path: Path
    manifest: Manifest
    manifest_sha256: str

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file."""
        return self.manifest.files[WEIGHTS][1]

    @property
    def report(self) -> Path:
        """The evaluation report, one self-contained page."""
        return self.path / "report.html"

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return (self.path / "README.md").read_text(encoding="utf-8")

    @property
    def config(self) -> str:
        """The resolved configuration, YAML."""
        return (self.path / "config.yaml").read_text(encoding="utf-8")

    @property
    def evaluation(self) -> Path:
        """Folder of scores, gates, metrics and samples."""
        return self.path / "evaluation"

    def lineage(self) -> dict[str, Any]:
        """Digests of data, tokenizer, configuration, code and locked libraries, and the plan."""
        value: dict[str, Any] = json.loads((self.path / "lineage.json").read_text(encoding="utf-8"))
        return value

    def sources(self) -> Any:
        """Per source: licence, origin, files."""
        return json.loads((self.path / "sources.json").read_text(encoding="utf-8"))

    def documents(self) -> Iterator[dict[str, Any]]:
        """Stream the lineage rows of all documents."""
        with pq.ParquetFile(self.path / "documents.parquet") as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()

    def sketches(self) -> Iterator[tuple[str, bytes]]:
        """Stream id and sketch of all documents; nothing for versions that were made without."""
        if SKETCHES not in self.manifest.files:
            return
        with pq.ParquetFile(self.path / SKETCHES) as file:
            for batch in file.iter_batches():
                yield from ((row["id"], row["sketch"]) for row in batch.to_pylist())

    def forbidden(self) -> Forbidden | None:
        """Text that must never be emitted: the canaries that the model was trained with."""
        if CANARIES not in self.manifest.files:
            return None
        from lmcore.data.tokens.canaries import CanarySet
        from lmcore.model.filtering import Forbidden

        canaries = CanarySet.read(self.path / CANARIES)
        return Forbidden.of(canaries.forbidden) if canaries else None

    def load_model(self, device: torch.device | str = "cpu") -> RecurrentAttentionLM:
        """The model in evaluation mode.

        Raises:
            IntegrityError: If weights and configuration do not fit each other.
        """
        from lmcore.model.language_model import load_model

        return load_model(self.path / "model", device=device)

    @property
    def is_task(self) -> bool:
        """Whether it classifies, translates or summarizes, and is no language model."""
        return f"model/{RECORD_FILE}" in self.manifest.files

    def load_predictor(self, device: str = "cpu") -> Predictor:
        """The model of a task, ready to answer.

        Raises:
            IntegrityError: If weights, record and tokenizer do not fit each other.
        """
        from lmcore.tasks.prediction import Predictor

        return Predictor(self.path / "model", self.load_tokenizer(), device=device)

    def load_tokenizer(self) -> Tokenizer:
        """The tokenizer that the model was trained with."""
        from lmcore.data.tokens.tokenizer import load_tokenizer

        return load_tokenizer(self.path / "tokenizer")


def assemble_version(
    target: Path,
    *,
    best: Path,
    tokenizer: Path,
    evaluation: Path,
    documents: Iterable[Mapping[str, Any]],
    sources: object,
    config: str,
    report: str,
    card: str,
    lineage: Mapping[str, Any],
    canaries: Mapping[str, Any] | None = None,
    sketches: Iterable[tuple[str, bytes]] = (),
    summary: Mapping[str, Any] | None = None,
) -> VersionFolder:
    """Put a version together; a crash leaves all of it or nothing.

    Args:
        target: The folder to make; one that exists is replaced.
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

    Raises:
        IntegrityError: If a folder holds a file of a format that has no place in a version.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for place, source in (
            ("model", best),
            ("tokenizer", tokenizer),
            ("evaluation", evaluation),
        ):
            _copy(source, partial / place)
        _write_rows(partial / "documents.parquet", documents, schema=_LINEAGE)
        _write_rows(
            partial / SKETCHES,
            ({"id": identity, "sketch": sketch} for identity, sketch in sketches),
            schema=_SKETCHES,
        )
        atomic_write(partial / "sources.json", _json(sources))
        atomic_write(partial / "lineage.json", _json(lineage))
        if canaries is not None:
            atomic_write(partial / CANARIES, _json(canaries))
        atomic_write(partial / "config.yaml", config)
        atomic_write(partial / "report.html", report)
        atomic_write(partial / "README.md", card)
        manifest = Manifest.write(partial, kind=KIND, inputs=dict(lineage), summary=summary)
        _check_formats(partial, manifest)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
        fsync_directory(target.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return open_version(target)


def open_version(folder: Path, *, manifest_sha256: str | None = None) -> VersionFolder:
    """Verify a version as a whole; nothing is parsed but the manifest before that.

    Args:
        folder: A version on disk.
        manifest_sha256: What the registry says of the manifest, where it is known.

    Raises:
        IntegrityError: If a file is missing, changed, added, or of a format that is not allowed.
    """
    manifest = open_verified(folder, kind=KIND)
    _check_formats(folder, manifest)
    found = sha256_file(folder / MANIFEST)
    if manifest_sha256 is not None and found != manifest_sha256:
        raise IntegrityError(
            f"{folder / MANIFEST}: not the manifest that was registered (sha256 {found[:12]}, the"
            f" registry says {manifest_sha256[:12]}); nothing was loaded. Use another version, or"
            " restore this one"
        )
    return VersionFolder(path=folder, manifest=manifest, manifest_sha256=found)


def _check_formats(folder: Path, manifest: Manifest) -> None:
    for name in manifest.files:
        path = PurePosixPath(name)
        place = path.parts[0] if len(path.parts) > 1 else ""
        if path.is_absolute() or ".." in path.parts or path.suffix not in _ALLOWED.get(place, ()):
            raise IntegrityError(
                f"{folder / name}: a file of this format has no place in a version (weights are"
                " safetensors, the rest is JSON, Parquet and text); nothing was loaded. Remove the"
                " version"
            )
    for name in _REQUIRED:
        if name not in manifest.files:
            raise IntegrityError(
                f"{folder}: {name} is missing from the version; nothing was loaded. Use another"
                " version, or train again"
            )


def _copy(source: Path, target: Path) -> None:
    # The manifest of the step that made the folder stays behind: the version has its own.
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(MANIFEST), symlinks=True)


def _write_rows(path: Path, documents: Iterable[Mapping[str, Any]], *, schema: pa.Schema) -> None:
    def write(rows: list[dict[str, Any]]) -> None:
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        rows: list[dict[str, Any]] = []
        for document in documents:
            rows.append({name: document.get(name) for name in schema.names})
            if len(rows) == _ROWS_A_GROUP:
                write(rows)
                rows = []
        write(rows)


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
