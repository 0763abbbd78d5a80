"""Which versions met a document, for `lmcore seen` and `lmcore forget`.

In: a file or the id of a document.  Out: the versions that were trained on it or on a near-copy, or
that hold it on another side, as JSON values whose shape is in `docs/ownership.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.home.environment import Home, current
from flows.registry.document_matches import Match, Query, find_documents, find_row
from flows.registry.models import Registry
from flows.registry.removals import current_removals
from flows.registry.versions import Version
from lmcore.artifacts import ContentStore
from lmcore.data.copies.sketches import distinct_shingles
from lmcore.data.documents import Document, DocumentSet
from lmcore.errors import IntegrityError, LmcoreError, NotFoundError, UserError
from lmcore.version_folder import VersionFolder

if TYPE_CHECKING:
    from lmcore.data.config import DataConfig

#: Sides of the split that weights are learnt from or chosen by.
TRAINED = ("train", "tune")
_ID = re.compile(r"[0-9a-f]{8,64}")
_MAX_DOCUMENTS = 1_000


def described(queries: Sequence[Query]) -> list[dict[str, Any]]:
    """What is asked about, each document once."""
    unique = {query.id: query.name for query in queries}
    return [{"id": identity, "name": name} for identity, name in unique.items()]


def matches(
    registry: Registry, queries: Sequence[Query], names: Iterable[str], problems: list[str]
) -> list[dict[str, Any]]:
    """Versions of these models that hold a document or a near-copy of it.

    Args:
        registry: Of the models.
        queries: The documents.
        names: The models.
        problems: What could not be asked is added here.
    """
    answers = []
    for name in names:
        for version in registry.versions(name):
            folder = _opened(registry, version, problems)
            found = find_documents(folder, queries) if folder is not None else []
            if found:
                answers.append(_version_answer(version, found))
    return answers


def _version_answer(version: Version, found: Sequence[Match]) -> dict[str, Any]:
    return {
        "model": version.model,
        "version": version.number,
        "outcome": version.outcome,
        "aliases": list(version.aliases),
        "trained": any(match.row["split"] in TRAINED for match in found),
        "documents": [match.to_json() for match in found],
    }


def _opened(registry: Registry, version: Version, problems: list[str]) -> VersionFolder | None:
    """The verified files of a version; what cannot be asked is said, not passed over."""
    try:
        return registry.open(version)
    except IntegrityError as error:
        sentence = f"version {version.number} of {version.model} could not be asked: {error}"
        if sentence not in problems:
            problems.append(sentence)
        return None


def queries_of(
    registry: Registry, target: str, names: Sequence[str]
) -> tuple[list[Query], list[str]]:
    """What a file or an id stands for; and what could not be asked on the way."""
    problems: list[str] = []
    path = current().resolve(target)
    if path.exists():
        return _queries_of_file(registry, path, names, problems), problems
    identity = target.strip().lower()
    if not _ID.fullmatch(identity):
        raise NotFoundError(
            f"{target}: there is no such file, and it is no document id (8 to 64 hexadecimal"
            " digits, as `lmcore lineage VERSION --documents N` lists them)"
        )
    return [_query_of_id(registry, identity, names, problems)], problems


def _queries_of_file(
    registry: Registry, path: Path, names: Sequence[str], problems: list[str]
) -> list[Query]:
    """The documents of a file, cut and masked as each model cuts and masks, and as a whole."""
    from lmcore.data.config import DataConfig
    from lmcore.data.sources.single_file import read_documents

    settings: dict[str, DataConfig] = {}
    for name in names:
        for version in registry.versions(name):
            folder = _opened(registry, version, problems)
            for data in () if folder is None else _data_settings(folder):
                settings[data.model_dump_json()] = data
    # Pieces that no model knows as documents are not asked about: a phrase that many texts share
    # is no copy of this one.
    first = not settings
    if first:
        settings[""] = DataConfig()
    found: dict[str, Document] = {}
    whole = {"unit": "file", "min_document_bytes": 1, "as_of": None}
    for data in settings.values():
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
            f"{path}: holds {len(found):,} documents, more than {_MAX_DOCUMENTS:,} at a time; give"
            " the documents that are meant in a file of their own"
        )
    return [
        Query(id=d.id, name=d.name, shingles=distinct_shingles(d.text), text=d.text)
        for d in found.values()
    ]


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


def _query_of_id(
    registry: Registry, identity: str, names: Sequence[str], problems: list[str]
) -> Query:
    """A document that a version or a cached document set knows by its id."""
    if (document := _cached_document(registry.home, identity)) is not None:
        return Query(
            id=document.id,
            name=document.name,
            shingles=distinct_shingles(document.text),
            text=document.text,
        )
    for name in names:
        for version in reversed(registry.versions(name)):
            folder = _opened(registry, version, problems)
            found = None if folder is None else find_row(folder, identity)
            if found is not None:
                row, sketch = found
                return Query(id=str(row["id"]), name=str(row["name"]), sketch=sketch)
    removed = [e for e in current_removals(registry).entries if e.document.startswith(identity)]
    if removed:
        return Query(id=removed[0].document, name="a removed document", sketch=removed[0].sketch)
    if len(identity) == 64:
        return Query(id=identity, name="unknown")
    raise NotFoundError(
        f"{identity}: no version knows exactly one document whose id begins so; give more digits,"
        " or the file"
    )


def _cached_document(home: Home, identity: str) -> Document | None:
    """The document in the content store, where its text still lies."""
    for path in sorted(ContentStore(home.content).root.glob(f"{DocumentSet.kind}/*")):
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
