"""Answers about who owns the text: what a version was made of, who saw a document, forget it.

Each function returns the JSON value that its command prints with `--json`; the shapes are in
`docs/ownership.md`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from flows.environment import Home, current
from flows.erasure import erase
from flows.history import Event, write_event
from flows.locks import BusyError
from flows.promotion import me, settle
from flows.registry import Registry
from flows.removals import current_removals, record_removals
from flows.sketched import Match, Query, find_documents, find_row, removed_documents
from flows.versions import Version
from lmcore.artifacts import ContentStore, atomic_write
from lmcore.data.copies import distinct_shingles, sketch_text
from lmcore.data.documents import Document, DocumentSet
from lmcore.data.removal import KEPT, MAX_SHIFT, Removal, Removals
from lmcore.errors import IntegrityError, LmcoreError, NotFoundError, UserError
from lmcore.version_folder import VersionFolder

if TYPE_CHECKING:
    from lmcore.data.config import DataConfig

Answer = dict[str, Any]
_ID = re.compile(r"[0-9a-f]{8,64}")
_TRAINED = ("train", "tune")
_MAX_DOCUMENTS = 1_000


# -- lineage -----------------------------------------------------------------------------------


def lineage(
    version: str,
    model: str | None,
    *,
    documents: int = 0,
    offset: int = 0,
    out: Path | None = None,
) -> Answer:
    """What a version was made of: documents, sources, licences, and their shares of the bytes.

    Args:
        version: Number or alias.
        model: Name; needed where there are several.
        documents: List so many documents in the answer.
        offset: After so many.
        out: Write all of them to this file, one JSON object a line.
    """
    registry = Registry(current())
    name = registry.choose_model(model)
    settle(registry, name)
    found = registry.version(name, version)
    folder = registry.open(found)
    removals = current_removals(registry).for_model(name)
    gone = removed_documents(folder, removals)
    splits: Counter[str] = Counter()
    sizes: dict[str, Counter[Any]] = {"split": Counter(), "license": Counter(), "source": Counter()}
    counts: dict[str, Counter[Any]] = {k: Counter() for k in sizes}
    trained: dict[str, Counter[Any]] = {k: Counter() for k in sizes}
    total = learnt = 0
    listed: list[Answer] = []
    lines: list[str] = []
    for number, row in enumerate(folder.documents()):
        splits[row["split"]] += 1
        total += row["num_bytes"]
        used = row["num_bytes"] if row["split"] in _TRAINED else 0
        learnt += used
        for key in sizes:
            sizes[key][row[key]] += row["num_bytes"]
            counts[key][row[key]] += 1
            trained[key][row[key]] += used
        shown = {**row, "forgotten": row["id"] in gone}
        if offset <= number < offset + documents:
            listed.append(shown)
        if out is not None:
            lines.append(json.dumps(shown, ensure_ascii=False, sort_keys=True))
    target = None if out is None else _write_list(current().resolve(out), lines)

    def shares(key: str, value: Any) -> Answer:
        return {
            "documents": counts[key][value],
            "bytes": sizes[key][value],
            "share": sizes[key][value] / max(1, total),
            "trained_bytes": trained[key][value],
            "trained_share": trained[key][value] / max(1, learnt),
        }

    record = folder.lineage()
    return {
        "model": name,
        "version": found.number,
        "documents": sum(splits.values()),
        "bytes": total,
        "splits": [{"split": s, **shares("split", s)} for s in sorted(splits)],
        "licenses": [
            {"license": value, **shares("license", value)}
            for value, _ in sizes["license"].most_common()
        ],
        "sources": [
            {
                "source": i,
                "origin": source.get("origin", ""),
                "license": source.get("license", ""),
                "files": len(source.get("files", ())),
                **shares("source", i),
            }
            for i, source in enumerate(folder.sources())
        ],
        "forgotten": len(gone),
        "removals_then": len(record.get("removals", ())),
        "removals_now": len(removals),
        "manifest_sha256": folder.manifest_sha256,
        "digests": {
            key: record.get(key)
            for key in ("data", "config", "code", "lock", "documents", "tokenizer", "shards")
        },
        "list": listed,
        "offset": offset,
        "out": None if target is None else str(target),
    }


def _write_list(path: Path, lines: Sequence[str]) -> Path:
    try:
        atomic_write(path, "".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise UserError(
            f"--out {path}: cannot be written ({error.strerror}); name another file"
        ) from error
    return path


# -- seen --------------------------------------------------------------------------------------


def seen(target: str, model: str | None) -> Answer:
    """Which versions met a document or a near-copy of it, and on which side of the split."""
    registry = Registry(current())
    queries, problems = _queries(registry, target, _names(registry, model))
    versions = _matches(registry, queries, _names(registry, model), problems)
    return {
        "target": target,
        "documents": _described(queries),
        "seen": any(version["trained"] for version in versions),
        "versions": versions,
        "problems": problems,
    }


def _names(registry: Registry, model: str | None) -> list[str]:
    return [registry.choose_model(model)] if model is not None else registry.models()


def _described(queries: Sequence[Query]) -> list[Answer]:
    unique = {query.id: query.name for query in queries}
    return [{"id": identity, "name": name} for identity, name in unique.items()]


def _matches(
    registry: Registry, queries: Sequence[Query], names: Iterable[str], problems: list[str]
) -> list[Answer]:
    answers = []
    for name in names:
        for version in registry.versions(name):
            folder = _opened(registry, version, problems)
            found = find_documents(folder, queries) if folder is not None else []
            if found:
                answers.append(_version_answer(version, found))
    return answers


def _version_answer(version: Version, found: Sequence[Match]) -> Answer:
    return {
        "model": version.model,
        "version": version.number,
        "outcome": version.outcome,
        "aliases": list(version.aliases),
        "trained": any(match.row["split"] in _TRAINED for match in found),
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


def _queries(
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
    from lmcore.data.loose import read_documents

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


# -- forget ------------------------------------------------------------------------------------


def forget(target: str, model: str | None, *, reason: str, dry_run: bool = False) -> Answer:
    """Keep a document and its near-copies out of every later model, and erase what is cached.

    Args:
        target: A file, or the id of a document.
        model: Concerns this model alone; None: every model, later ones too.
        reason: Goes into the ledger of removals and into the history.
        dry_run: Only say what would be concerned.
    """
    if not reason.strip():
        raise UserError("--reason is empty; say why, it goes into the history")
    registry = Registry(current())
    names = _names(registry, model)
    queries, problems = _queries(registry, target, names)
    versions = _matches(registry, queries, names, problems)
    if not versions and all(q.shingles is None and q.sketch is None for q in queries):
        raise NotFoundError(
            f"{target}: no version and no cached data knows a document of this id; give the file"
        )
    known = {document["id"] for version in versions for document in version["documents"]}
    answer: Answer = {
        "target": target,
        "model": None if model is None else names[0],
        "documents": _described(queries),
        "versions": versions,
        "dry_run": dry_run,
        "removals": 0,
        "erased": [],
        "problems": problems,
    }
    if dry_run:
        return answer
    before = current_removals(registry)
    scope = answer["model"]
    entries = [
        Removal(
            document=query.id,
            sketch=_fine_sketch(query),
            reason=reason,
            who=me(),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            model=scope,
        )
        for query in queries
        if not _is_removed(query, before, scope)
    ]
    have = {entry.id for entry in before.entries}
    removals = record_removals(registry, entries)
    answer["removals"] = len([entry for entry in removals.entries if entry.id not in have])
    if answer["removals"]:
        for name in names:
            _write_history(registry, name, queries, versions, reason)
    answer["erased"] = _erase(registry, names, entries, known)
    return answer


def _is_removed(query: Query, removals: Removals, model: str | None) -> bool:
    """Whether an id alone asks again for what a removal with more knowledge of it holds."""
    return query.text is None and any(
        entry.document == query.id and entry.model in (None, model) and entry.sketch is not None
        for entry in removals.entries
    )


def _fine_sketch(query: Query) -> Any:
    if query.text is None:
        return query.sketch
    return sketch_text(query.text, kept=KEPT, max_shift=MAX_SHIFT)


def _write_history(
    registry: Registry,
    name: str,
    queries: Sequence[Query],
    versions: Sequence[Answer],
    reason: str,
) -> None:
    concerned = [str(v["version"]) for v in versions if v["model"] == name and v["trained"]]
    met = f"trained in versions {', '.join(concerned)}" if concerned else "trained in no version"
    # Ids and not names: a name can be what was to be forgotten.
    ids = ", ".join(query.id[:12] for query in queries[:5])
    more = f" and {len(queries) - 5} more" if len(queries) > 5 else ""
    with registry.lock(name):
        write_event(
            registry,
            Event(
                action="forget",
                model=name,
                from_version=None,
                to_version=None,
                who=me(),
                reason=f"{reason} (document {ids}{more}; {met})",
            ),
        )


def _erase(
    registry: Registry, names: Sequence[str], entries: Sequence[Removal], known: set[str]
) -> list[str]:
    """Erase while no run of these models is in progress."""
    import contextlib

    home = registry.home
    with contextlib.ExitStack() as stack:
        for name in names:
            try:
                stack.enter_context(FileLock(home.locks / f"run-{name}.lock", timeout=0))
            except Timeout as error:
                raise BusyError(
                    f"a run of {name} is in progress: the document is kept out of every later run,"
                    " but cached text was not erased; give the command again when it has ended"
                ) from error
        erased = erase(home, Removals.of(entries), known=known)
    return [str(path.relative_to(home.root)) for path in erased]
