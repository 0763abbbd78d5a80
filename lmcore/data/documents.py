"""Documents at rest: one row per document in Parquet, streamed back in stored order.

In: rows that ingest has cleaned and assigned to a split.  Out: a `DocumentSet`,
a verified folder that every later step reads.  Parquet because it is columnar
(counts never touch the text), compressed and readable by every other tool; row
groups are cut by bytes, not by rows, so that reading one costs a few megabytes
whether a document is a tweet or a book.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from lmcore.content_store import Handle
from lmcore.data.text.privacy import SpanHashes

Split = Literal["train", "tune", "validation", "excluded"]
SPLITS: tuple[Split, ...] = ("train", "tune", "validation", "excluded")

ROW_GROUP_BYTES = 4 << 20
FILE_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Document:
    """One unit of text with where it came from and which side of the split it is on.

    Attributes:
        id: SHA-256 of the normalised text, 64 hexadecimal digits; unique in a set.
        text: The cleaned text.
        name: What a person calls it: file name, or file name and row.
        source: Index of its source in the configuration.
        license: SPDX expression, or `unknown`.
        origin: Where the text came from, in words.
        num_bytes: UTF-8 bytes of `text`.
        split: `train`, `tune`, `validation`, or `excluded` (used by nothing).
        anchor: Whether it is in the frozen anchor slice of validation.
        cluster: Id of the document that anchors its cluster of near-copies.
        date: ISO 8601 date, where known.
        target: Label, translation or summary, for tasks.
    """

    id: str
    text: str
    name: str
    source: int
    license: str
    origin: str
    num_bytes: int
    split: str
    anchor: bool
    cluster: str
    date: str | None = None
    target: str | None = None


COLUMNS = tuple(field.name for field in fields(Document))
_OPTIONAL = {"date", "target"}
_TYPES = {"source": pa.int32(), "num_bytes": pa.int64(), "anchor": pa.bool_()}
SCHEMA = pa.schema(
    [
        # 64-bit offsets for the two columns that may hold more than 2 GiB in one row group.
        pa.field(
            name,
            _TYPES.get(name, pa.large_string() if name in {"text", "target"} else pa.string()),
            nullable=name in _OPTIONAL,
        )
        for name in COLUMNS
    ]
)


class RowWriter:
    """Write rows to `<stem>-00000.parquet`, `-00001`, ... in row groups of bounded bytes."""

    def __init__(
        self, folder: Path, *, schema: pa.Schema = SCHEMA, stem: str = "documents"
    ) -> None:
        self._folder = folder
        self._schema = schema
        self._stem = stem
        self._rows: list[tuple[Any, ...]] = []
        self._group_bytes = 0
        self._file_bytes = 0
        self._num_files = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, *row: Any, num_bytes: int) -> None:
        """Append a row in schema order; `num_bytes` is about what it holds in memory."""
        self._rows.append(row)
        # Python objects around short texts weigh more than the texts themselves.
        self._group_bytes += num_bytes + 500
        if self._group_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def add_document(self, document: Document) -> None:
        """Add a document to a set of documents."""
        values = (getattr(document, name) for name in COLUMNS)
        self.add(*values, num_bytes=document.num_bytes)

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            path = self._folder / f"{self._stem}-{self._num_files:05d}.parquet"
            self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._num_files += 1
        arrays = [
            pa.array(column, type=field.type)
            for column, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._file_bytes += self._group_bytes
        self._rows.clear()
        self._group_bytes = 0
        if self._file_bytes >= FILE_BYTES:
            self._writer.close()
            self._writer = None
            self._file_bytes = 0

    def close(self) -> None:
        """Flush what is left; a set without rows still gets one (empty) file."""
        self._flush()
        if self._writer is None and self._num_files == 0:
            path = self._folder / f"{self._stem}-00000.parquet"
            pq.write_table(self._schema.empty_table(), path)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_rows(
    folder: Path, *, columns: tuple[str, ...], stem: str = "documents"
) -> Iterator[dict[str, list[Any]]]:
    """Stream the named columns, one mapping of column to values for each row group."""
    for path in sorted(folder.glob(f"{stem}-*.parquet")):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(columns), use_threads=False)
                yield table.to_pydict()


@dataclass(frozen=True, kw_only=True)
class DocumentSet(Handle):
    """A finished ingest: documents, account, quarantine and sources in one verified folder."""

    kind: ClassVar[str] = "documents"

    def iter_documents(self, *splits: str) -> Iterator[Document]:
        """Stream documents in stored order.

        Args:
            splits: The splits wanted; none means every document, excluded ones too.
        """
        wanted = _known(splits)
        for rows in read_rows(self.path, columns=COLUMNS):
            for i, split in enumerate(rows["split"]):
                if split in wanted:
                    yield Document(**{name: rows[name][i] for name in COLUMNS})

    def iter_rows(self, *splits: str) -> Iterator[dict[str, Any]]:
        """Stream documents as mappings without `text` and `target`: lineage, not content."""
        wanted = _known(splits)
        columns = tuple(name for name in COLUMNS if name not in {"text", "target"})
        for rows in read_rows(self.path, columns=columns):
            for i, split in enumerate(rows["split"]):
                if split in wanted:
                    yield {name: rows[name][i] for name in columns}

    def count(self, *splits: str) -> int:
        """Number of documents in the splits (none: in all of them)."""
        wanted = _known(splits)
        return sum(
            split in wanted
            for rows in read_rows(self.path, columns=("split",))
            for split in rows["split"]
        )

    def num_bytes(self, *splits: str) -> int:
        """UTF-8 bytes of text in the splits (none: in all of them)."""
        wanted = _known(splits)
        return sum(
            size
            for rows in read_rows(self.path, columns=("split", "num_bytes"))
            for split, size in zip(rows["split"], rows["num_bytes"], strict=True)
            if split in wanted
        )

    def account(self) -> dict[str, Any]:
        """What each cleaning rule, duplicate check and split rule did, in counts and bytes."""
        return self._json("ledger.json")

    def sources(self) -> list[dict[str, Any]]:
        """Per source: licence, origin, files with sha256 and size, documents and bytes."""
        sources: list[dict[str, Any]] = self._json("sources.json")["sources"]
        return sources

    def personal(self) -> SpanHashes | None:
        """Hashes of the personal data that was found in the sources, masked or not.

        None for a set that was not made by ingest.
        """
        if not (self.path / "personal.json").exists():
            return None
        return SpanHashes.from_json(self._json("personal.json"))

    def quarantine(self) -> Iterator[dict[str, Any]]:
        """Stream what could not be read: path, position and reason."""
        with (self.path / "quarantine.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)

    def _json(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        return value


def _known(splits: tuple[str, ...]) -> set[str]:
    unknown = set(splits) - set(SPLITS)
    assert not unknown, f"unknown splits {sorted(unknown)}"
    return set(splits or SPLITS)
