"""Documents from a file that belongs to no data set: for scoring and for look-ups by text.

The same readers, cleaning and masking as in ingest, so that a text has the same id here as
in a data set; no split and no duplicates.
"""

from __future__ import annotations

from pathlib import Path

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.documents import Document
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.sources.readers import read_source
from lmcore.data.sources.records import BadInput, Record
from lmcore.data.text.cleaning import UnusableTextError, clean, document_id, utf8_bytes
from lmcore.data.text.folding import is_blank
from lmcore.data.text.masking import DocumentMasking
from lmcore.errors import SourceError


def read_documents(path: Path, *, data: DataConfig | None = None) -> list[Document]:
    """Read every usable document of a file or folder.

    Raises:
        SourceError: If there is no such path, or nothing in it is usable text; the message
            says what was wrong with the first piece.
    """
    data = data or DataConfig()
    masking = DocumentMasking.of(data)
    located = fingerprint_sources([SourceConfig(path=str(path))]).sources[0]
    documents: list[Document] = []
    problem = "it is empty"
    for item in read_source(located, data=data):
        if isinstance(item, BadInput):
            problem = item.reason
            continue
        if not isinstance(item, Record):
            continue
        try:
            text = masking.apply(clean(item.text).text)
        except UnusableTextError as error:
            problem = str(error)
            continue
        if is_blank(text):
            continue
        identity = document_id(text)
        documents.append(
            Document(
                id=identity,
                text=text,
                name=f"{item.file}:{item.position}" if item.position else item.file,
                source=0,
                license="unknown",
                origin="",
                num_bytes=utf8_bytes(text),
                split="validation",
                anchor=False,
                cluster=identity,
            )
        )
    if not documents:
        raise SourceError(f"{path}: holds no usable text ({problem})")
    return documents
