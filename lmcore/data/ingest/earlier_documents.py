"""Documents that were written before serve on, where nothing about them has changed.

In: a content store.  Out: the files of the newest set of documents, by what they were made of: ids,
places, names, and how a text is made of what was read.  They are linked, not written again, so that
sets which have most in common take the room of one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmcore.content_store import ContentStore
from lmcore.data.documents import DocumentSet
from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest

_FILE = "files.json"
#: Names of files, by what they were made of; several where documents are too many for one.
Names = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class EarlierDocuments:
    """Files of a set of documents.

    Attributes:
        folder: Of the set.
        manifest: Of the folder.
        names: Of its files.
    """

    folder: Path
    manifest: Manifest
    names: Names

    def files(self, made_of: str) -> list[Path] | None:
        """Files that were made of something, found to be whole; None where there are none.

        Args:
            made_of: One word, as it was given to `write_names`.
        """
        if (names := self.names.get(made_of)) is None:
            return None
        try:
            for name in names:
                self.manifest.verify_file(self.folder, name)
        except (IntegrityError, OSError, KeyError):
            return None  # damaged, or just being removed
        return [self.folder / name for name in names]


def earlier_documents(store: ContentStore) -> EarlierDocuments | None:
    """The newest set that says what its files were made of; None where there is none.

    Args:
        store: Where sets of documents are.
    """
    folder = store.newest(DocumentSet.kind, lambda found: (found / _FILE).is_file())
    if folder is None:
        return None
    try:
        manifest = Manifest.read(folder)
        manifest.verify_file(folder, _FILE)
        names = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except (IntegrityError, OSError, KeyError, ValueError):
        return None  # damaged, or just being removed
    return EarlierDocuments(folder=folder, manifest=manifest, names=names)


def write_names(folder: Path, names: Names) -> None:
    """Write what the files of a set of documents were made of, while it is being made."""
    (folder / _FILE).write_text(json.dumps(names, indent=1), encoding="utf-8")
