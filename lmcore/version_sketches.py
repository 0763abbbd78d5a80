"""Sketches of a version's documents: what an earlier version has of them is not made again.

In: the documents of a run, and a version of before.  Out: id and sketch of each.  An id is the hash
of a text, and a sketch depends on the text alone, so they are the same bytes with an earlier
version's help as without.  To sketch a gigabyte takes one core some two minutes, to find its
sketches a few seconds.  So they are made beside other work, in a content folder that goes as soon
as the version has its own.

A lookup costs 12 bytes a document of memory.  Documents come in much the same order in both, so few
files of the earlier version are in memory at a time.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from lmcore.content_store import ContentStore, Handle
from lmcore.data.copies.sketches import sketch_text
from lmcore.data.documents import Document, DocumentSet, RowWriter, read_rows
from lmcore.data.id_lookup import IdLookup, numbers_of
from lmcore.digests import code_digest
from lmcore.errors import IntegrityError
from lmcore.version_folder import SKETCHES, VersionFolder

logger = logging.getLogger(__name__)

#: In the summary of a version's manifest: the code that sketched its documents.
SKETCHED_BY = "sketched_by"
_PARTS_IN_MEMORY = 4
_STEM = "sketches"
#: Of a row.
SCHEMA = pa.schema([("id", pa.string()), ("sketch", pa.binary())])


class SketchSet(Handle):
    """Sketches of all documents of a set."""

    kind: ClassVar[str] = "sketches"

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Id and sketch of each document, in their order."""
        for group in read_rows(self.path, columns=("id", "sketch"), stem=_STEM):
            yield from zip(group["id"], group["sketch"], strict=True)


def make_sketches(
    store: ContentStore, documents: DocumentSet, earlier: VersionFolder | None
) -> SketchSet:
    """Sketch all documents of a set, or find them sketched.

    Args:
        store: Where the sketches lie until a version has them.
        documents: Of a run.
        earlier: As for `sketched`.
    """

    def make(folder: Path) -> None:
        with RowWriter(folder, schema=SCHEMA, stem=_STEM) as writer:
            for identity, sketch in sketched(documents.iter_documents(), earlier):
                writer.add(identity, sketch, num_bytes=len(sketch))

    return store.build(SketchSet, {"documents": documents.key, "code": sketching_code()}, make)


def sketching_code() -> str:
    """Digest of all that decides what a text's sketch is."""
    return code_digest(
        "lmcore.data.copies.shingles", "lmcore.data.copies.sketches", "lmcore.data.text.folding"
    )


def sketched(
    documents: Iterable[Document], earlier: VersionFolder | None
) -> Iterator[tuple[str, bytes]]:
    """Id and sketch of each document, in their order.

    Args:
        documents: Of a run.
        earlier: The version whose sketches are taken over; None: all are made.
    """
    known = _known(earlier)
    for document in documents:
        found = known.find(document.id) if known else None
        yield document.id, found or sketch_text(document.text).to_bytes()


def _known(earlier: VersionFolder | None) -> _KnownSketches | None:
    """What can be taken over; a version that is damaged, or of other code, has nothing."""
    if earlier is None or earlier.manifest.summary.get(SKETCHED_BY) != sketching_code():
        return None
    try:
        return _KnownSketches(earlier)
    except IntegrityError as error:
        logger.warning("all documents are sketched again: %s", error)
        return None


class _KnownSketches:
    """Sketches of a version by document.

    Raises:
        IntegrityError: If a file of them is damaged.
    """

    def __init__(self, folder: VersionFolder) -> None:
        parts = list(folder.parts(SKETCHES))
        numbers, owners = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.int32)]
        for place, part in enumerate(parts):
            ids = np.array(_column(part, "id"), dtype=np.bytes_)
            numbers.append(numbers_of(ids))
            owners.append(np.full(len(ids), place, dtype=np.int32))
        self._lookup = IdLookup(np.concatenate(numbers), np.concatenate(owners))

        @functools.lru_cache(maxsize=_PARTS_IN_MEMORY)
        def rows(number: int) -> dict[str, bytes]:
            columns = (_column(parts[number], name) for name in ("id", "sketch"))
            return dict(zip(*columns, strict=True))

        self._rows = rows

    def find(self, identity: str) -> bytes | None:
        """Of a document; None where it is not known."""
        for part in self._lookup.find(identity):
            if found := self._rows(part).get(identity):
                return found
        return None


def _column(path: Path, name: str) -> list[Any]:
    import pyarrow.parquet as pq  # a fifth of a second, which most commands do not need

    # `read_table` imports pandas.
    with pq.ParquetFile(path) as file:
        found: list[Any] = file.read(columns=[name]).column(name).to_pylist()
    return found
