"""Which versions met a document, for `lmcore seen` and `lmcore forget`.

In: a file or the id of a document.  Out: the versions that were trained on it or on a near-copy, or
that hold it on another side, as JSON values whose shape is in `docs/ownership.md`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands.shared.unrecorded import unrecorded
from flows.home.environment import Home, current
from flows.registry.document_matches import Query, find_documents, find_row
from flows.registry.models import Registry
from flows.registry.removals import current_removals
from flows.registry.versions import Version
from lmcore.data.copies.sketches import distinct_shingles, earlier_distinct_shingles
from lmcore.data.documents import Document, DocumentSet
from lmcore.errors import IntegrityError, LmcoreError, NotFoundError, UserError
from lmcore.version_folder import VersionFolder

if TYPE_CHECKING:
    from lmcore.data.config import DataConfig

#: Sides of the split that weights are learnt from or chosen by.
TRAINED = ("train", "tune")
_ID = re.compile(r"[0-9a-f]{8,64}")
_MAX_DOCUMENTS = 1_000


class DocumentSearch:
    """A question about documents, asked of all versions of some models.

    Attributes:
        problems: What could not be asked, in sentences; nothing is passed over in silence.
    """

    def __init__(self, registry: Registry, names: Sequence[str]) -> None:
        self.registry, self.names = registry, names
        self.problems: list[str] = []

    def queries(self, target: str) -> list[Query]:
        """What a file or the id of a document stands for.

        Raises:
            NotFoundError: If it is neither, or no document has this id.
            UserError: If the file cannot be read, or holds too much.
        """
        path = current().resolve(target)
        if path.exists():
            return [_query(document) for document in self._documents(path)]
        identity = target.strip().lower()
        if not _ID.fullmatch(identity):
            raise NotFoundError(
                f"{target}: there is no such file, and it is no document id (8 to 64 hexadecimal"
                " digits, as `lmcore lineage VERSION --documents N` lists them)"
            )
        return [self._known(identity)]

    def versions(self, queries: Sequence[Query]) -> list[dict[str, Any]]:
        """Versions that hold one of the documents or a near-copy of it."""
        answers = []
        for version, folder in chain.from_iterable(self._folders.values()):
            if found := find_documents(folder, queries):
                answers.append(
                    {
                        "model": version.model,
                        "version": version.number,
                        "outcome": version.outcome,
                        "aliases": list(version.aliases),
                        "trained": any(match.row["split"] in TRAINED for match in found),
                        "documents": [match.to_json() for match in found],
                    }
                )
        return answers

    def unrecorded(self) -> list[dict[str, Any]]:
        """Versions of which nobody here knows all the text that their weights have met."""
        folders = chain.from_iterable(self._folders.values())
        return unrecorded((version, folder.lineage()) for version, folder in folders)

    @cached_property
    def _folders(self) -> dict[str, list[tuple[Version, VersionFolder]]]:
        """The verified files of each model's versions."""
        found: dict[str, list[tuple[Version, VersionFolder]]] = {name: [] for name in self.names}
        for name in self.names:
            for version in self.registry.versions(name):
                try:
                    found[name].append((version, self.registry.read(version)))
                except IntegrityError as error:
                    self.problems.append(
                        f"version {version.number} of {name} could not be asked: {error}"
                    )
        return found

    def _documents(self, path: Path) -> list[Document]:
        """The documents of a file, cut and masked as each model cuts and masks, and as a whole."""
        from lmcore.data.config import DataConfig
        from lmcore.data.sources.single_file import read_documents

        folders = [folder for _, folder in chain.from_iterable(self._folders.values())]
        settings = {
            data.model_dump_json(): data for folder in folders for data in _data_settings(folder)
        }
        # Pieces that no model knows as documents are not asked about: a phrase that many texts
        # share is no copy of this one.
        first = not settings
        found: dict[str, Document] = {}
        whole = {"unit": "file", "min_document_bytes": 1, "as_of": None}
        for data in settings.values() or (DataConfig(),):
            for changes in ({}, {**whole, "pii": "mask"}, {**whole, "pii": "keep"}):
                try:
                    documents = read_documents(path, data=data.model_copy(update=changes))
                except LmcoreError:
                    if first and not changes:
                        raise
                    continue  # this model's settings cannot read it, others can
                for document in documents:
                    found.setdefault(document.id, document)
        if not found:
            read_documents(path)  # says what is wrong with it
        if len(found) > _MAX_DOCUMENTS:
            raise UserError(
                f"{path}: holds {len(found):,} documents, more than {_MAX_DOCUMENTS:,} at a time;"
                " give the documents that are meant in a file of their own"
            )
        return list(found.values())

    def _known(self, identity: str) -> Query:
        """A document that a cached document set, a version or a removal knows by its id."""
        if (document := _cached_document(self.registry.home, identity)) is not None:
            return _query(document)
        for versions in self._folders.values():
            for _, folder in reversed(versions):
                if (found := find_row(folder, identity)) is not None:
                    row, sketch = found
                    return Query(id=str(row["id"]), name=str(row["name"]), sketch=sketch)
        for entry in current_removals(self.registry).entries:
            if entry.document.startswith(identity):
                return Query(id=entry.document, name="a removed document", sketch=entry.sketch)
        if len(identity) == 64:
            return Query(id=identity, name="unknown")
        raise NotFoundError(
            f"{identity}: no version knows exactly one document whose id begins so; give more"
            " digits, or the file"
        )


def described(queries: Sequence[Query]) -> list[dict[str, Any]]:
    """What is asked about, each document once."""
    unique = {query.id: query.name for query in queries}
    return [{"id": identity, "name": name} for identity, name in unique.items()]


def _query(document: Document) -> Query:
    return Query(
        id=document.id,
        name=document.name,
        shingles=distinct_shingles(document.text),
        earlier=earlier_distinct_shingles(document.text),
        text=document.text,
    )


def _data_settings(folder: VersionFolder) -> list[DataConfig]:
    """How a version's documents were cut and masked: one answer for each unit of its sources."""
    import yaml
    from pydantic import ValidationError

    from lmcore.data.config import DataConfig

    try:
        data = DataConfig.model_validate((yaml.safe_load(folder.config) or {}).get("data") or {})
        units = {source.get("unit", data.unit) for source in folder.sources()}
        return [
            DataConfig.model_validate({**data.model_dump(), "unit": unit}) for unit in sorted(units)
        ]
    except (ValidationError, yaml.YAMLError, AttributeError):
        return []  # of another release


def _cached_document(home: Home, identity: str) -> Document | None:
    """The document in the content store, where its text still lies."""
    for path in sorted(home.content.glob(f"{DocumentSet.kind}/*")):
        if path.name.startswith("."):
            continue
        try:
            documents = DocumentSet.open(path)
        except IntegrityError:
            continue
        ids = [row["id"] for row in documents.iter_rows() if row["id"].startswith(identity)]
        if len(ids) == 1:
            return next(d for d in documents.iter_documents() if d.id == ids[0])
    return None
