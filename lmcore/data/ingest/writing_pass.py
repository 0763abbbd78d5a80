"""Pass two of ingest: write the documents, and count them.

In: staged texts and where each ended up.  Out: the documents' files, counts and languages.

Where one file ends and the next begins follows from the ids of the documents and their sizes, so
that what is new changes the file that it stands in and no other (content-defined chunking;
Muthitacharoen et al. 2001, SOSP).  Files that an earlier set has are linked, and their texts are
not read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lmcore.data.documents import SCHEMA, SPLITS
from lmcore.data.ingest.account import Counts
from lmcore.data.ingest.document_files import DocumentFiles, memory_of
from lmcore.data.ingest.earlier_documents import EarlierDocuments, write_names
from lmcore.data.ingest.language_counts import LanguageCounts
from lmcore.data.ingest.mapped_columns import first_words, hex_strings, joined_bytes
from lmcore.data.ingest.places import PlacedTexts, Places
from lmcore.data.ingest.staging import Part, Staging
from lmcore.digests import code_digest

#: About what a file of documents holds, in bytes of text.
FILE_BYTES = 4 << 20
# All that is written of a document but its text, which follows from its id.
_BESIDE_TEXT = ("file", "position", "num_bytes", "date", "target")
# Of each document, beside its text.
_ROW_BYTES = 500


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """What all documents of a source have in common."""

    license: str
    origin: str


@dataclass(kw_only=True)
class _File:
    """Documents that are one file.

    Attributes:
        pieces: Part and rows of their texts, and all but these, in order.
        hashed: Hash of all that decides about the file.
    """

    hashed: Any
    pieces: list[tuple[Part, slice, PlacedTexts]] = field(default_factory=list)


class WritingPass:
    """Writes documents into the folder of a set.

    Args:
        folder: Of the set that is being made.
        sources: Facts of each.
        made_of: What decides beside an id about a text, as one word.
        count: Counts documents.
        languages: Counts their languages.
        earlier: Files of documents that were written before.
        progress: Called with `write` and a number of documents.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[SourceFacts],
        *,
        made_of: str,
        count: Counts,
        languages: LanguageCounts,
        earlier: EarlierDocuments | None,
        progress: Callable[[str, int], None],
    ) -> None:
        self._folder, self._sources = folder, sources
        self._count, self._languages = count, languages
        self._earlier, self._progress = earlier, progress
        self._names: dict[str, list[str]] = {}
        code = code_digest("lmcore.data.documents", "lmcore.data.ingest.writing_pass")
        self._begin = json.dumps([made_of, code]).encode()

    def write_all(self, staging: Staging, places: Places) -> None:
        """Write what was staged."""
        with DocumentFiles(self._folder) as files:
            for file in self._files(staging, places):
                made_of = file.hashed.hexdigest()
                note = self._note(made_of)
                there = self._earlier and self._earlier.files(made_of)
                if there and all(self._languages.knows(some.ids) for _, _, some in file.pieces):
                    files.link(there, note)
                    for _, _, some in file.pieces:
                        self._count_texts(some, None)
                    continue
                for part, rows, some in file.pieces:
                    (read,) = staging.stretches_of(part, rows, ("text",))
                    text = read.texts["text"]
                    files.add(self._documents(some, text), memory_of(some.texts))
                    self._count_texts(some, text)
                files.end_file(note)
        write_names(self._folder, self._names)

    def _note(self, made_of: str) -> Callable[[list[str]], object]:
        return lambda names: self._names.update({made_of: names})

    def _files(self, staging: Staging, places: Places) -> Iterator[_File]:
        """Which documents are one file, and what decides about it."""
        file = _File(hashed=hashlib.sha256(self._begin))
        for part, rows in staging.parts():
            for some in staging.stretches_of(part, rows, _BESIDE_TEXT):
                placed, first = PlacedTexts.of(some, places), some.rows.start
                for own, ends in _cut(placed):
                    piece = placed.cut(own)
                    file.pieces.append((part, slice(first + own.start, first + own.stop), piece))
                    self._hash(file.hashed, piece)
                    if ends:
                        yield file
                        file = _File(hashed=hashlib.sha256(self._begin))
        if file.pieces:
            yield file

    def _hash(self, hashed: Any, some: PlacedTexts) -> None:
        """Take in all that decides about some documents."""
        source = self._sources[some.source]
        facts = [some.source, source.license, source.origin, len(some.ids)]
        hashed.update(json.dumps(facts).encode())
        for column in (some.ids, some.clusters, some.sides):
            hashed.update(np.ascontiguousarray(column).data)
        for texts in (some.names, some.texts["date"], some.texts["target"]):
            data, lengths = joined_bytes(texts)
            for array in (texts.is_null().to_numpy(), lengths, data):
                hashed.update(array.data)

    def _count_texts(self, some: PlacedTexts, text: pa.ChunkedArray | None) -> None:
        """Count documents; their text is asked for where its language is not known."""
        self._count.add(some)
        sizes = some.texts["num_bytes"].to_numpy()
        self._languages.add_all(some.ids, sizes, text, some.texts["target"])
        self._progress("write", self._count.documents)

    def _documents(self, some: PlacedTexts, text: pa.ChunkedArray) -> pa.Table:
        """Documents of what was staged, and of where it ended up."""
        rows, source = len(some.ids), self._sources[some.source]
        columns = {
            **{name: some.texts[name] for name in ("num_bytes", "date", "target")},
            "text": text,
            "id": hex_strings(some.ids),
            "name": some.names,
            "source": pa.repeat(some.source, rows),
            "license": pa.repeat(source.license, rows),
            "origin": pa.repeat(source.origin, rows),
            "split": pa.array(SPLITS).take(pa.array(some.sides)),
            "anchor": pa.array(some.in_anchor),
            "cluster": hex_strings(some.clusters),
        }
        documents = pa.table({name: columns[name] for name in SCHEMA.names})
        return documents.cast(SCHEMA)


def _cut(placed: PlacedTexts) -> Iterator[tuple[slice, bool]]:
    """Texts that are in one file, and whether it ends with them."""
    # A border in proportion to a document's bytes, wherever it stands.
    drawn = first_words(placed.ids).astype(np.float64) * FILE_BYTES
    sizes = placed.texts["num_bytes"].to_numpy() + _ROW_BYTES
    start = 0
    for last in np.flatnonzero(drawn < sizes * 2.0**64).tolist():
        yield slice(start, last + 1), True
        start = last + 1
    if start < len(sizes):
        yield slice(start, len(sizes)), False
