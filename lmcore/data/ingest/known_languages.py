"""Languages of texts that were told before, so that new ones alone are told again.

In: a content store.  Out: languages of texts by the ids of their documents, and of targets by a
hash of what is read of them, where the newest set of documents that was told by the same code, of
texts that were made in the same way, has them; so what is counted is the same with this help as
without.  At most some 20,000 documents of a set are looked at (`language_counts`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lmcore.content_store import ContentStore
from lmcore.data.documents import DocumentSet
from lmcore.digests import code_digest, digest
from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest

#: In the folder of a set of documents.
LANGUAGES_FILE = "languages.parquet"
_TOLD_BY = b"told_by"
#: Code by the id of a document, or by `key_of` a target.
Languages = dict[bytes, str]


def key_of(beginning: str) -> bytes:
    """A target's key: a hash of all that is read of it."""
    return hashlib.sha256(b"target " + beginning.encode()).digest()


def known_languages(store: ContentStore, *, made_of: str) -> Languages:
    """What the newest set knows; nothing where there is none, or it is damaged.

    Args:
        store: Where sets of documents are.
        made_of: What decides beside an id about the text of a document, as one word.
    """
    folder = store.newest(DocumentSet.kind, lambda found: _is_told_so(found, made_of))
    try:
        return _read(folder / LANGUAGES_FILE) if folder else {}
    except (IntegrityError, OSError, pa.ArrowException):
        return {}


def write_languages(folder: Path, languages: Mapping[bytes, str], *, made_of: str) -> None:
    """Keep what was told beside the documents, the same bytes in whatever order it was told.

    Args:
        folder: Of the set that is being made.
        languages: What was told.
        made_of: As of `known_languages`.
    """
    keys = sorted(languages)
    table = pa.table(
        {
            "text": pa.array(keys, pa.binary()),
            "language": pa.array([languages[key] for key in keys], pa.string()),
        }
    )
    told = table.replace_schema_metadata({_TOLD_BY: _telling(made_of)})
    pq.write_table(told, folder / LANGUAGES_FILE, compression="zstd")


def _is_told_so(folder: Path, made_of: str) -> bool:
    """Whether this code told the languages of a set of documents."""
    try:
        told_by = (pq.read_schema(folder / LANGUAGES_FILE).metadata or {}).get(_TOLD_BY)
    except pa.ArrowException:
        return False  # damaged
    return bool(told_by == _telling(made_of))


def _read(path: Path) -> Languages:
    Manifest.read(path.parent).verify_file(path.parent, path.name)
    # `read_table` imports pandas.
    with pq.ParquetFile(path) as file:
        keys, languages = (column.to_pylist() for column in file.read().columns)
    return dict(zip(keys, languages, strict=True))


def _telling(made_of: str) -> bytes:
    """All that decides which language the document of an id is in."""
    code = code_digest("lmcore.data.language_codes", "lmcore.data.text.languages")
    return digest([code, version("py3langid"), made_of]).encode()
