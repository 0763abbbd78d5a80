"""How the sources and documents of today differ from those of a version, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.commands.shared.document_search import TRAINED
from lmcore.data.ingest.ingest import SourceFingerprint

Row = Mapping[str, Any]
# Documents and files that are named one by one; the rest is counted.
_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class DocumentChanges:
    """What differs.

    Attributes:
        sentences: Every document that is gone, new or elsewhere.
        same_training_text: Whether a training would read the same documents in the same order.
    """

    sentences: list[str]
    same_training_text: bool


def file_changes(recorded: Iterable[Row], found: SourceFingerprint) -> list[str]:
    """Files of sources that are missing, new or changed.

    Args:
        recorded: The sources, as the version records them.
        found: The sources as they are.
    """
    before = {
        (i, file["name"]): file["sha256"]
        for i, source in enumerate(recorded)
        for file in source.get("files", ())
    }
    after = {
        (i, file.name): file.sha256
        for i, source in enumerate(found.sources)
        for file in (*source.files, *source.targets)
    }
    changes = {
        **dict.fromkeys(before.keys() - after.keys(), "is missing"),
        **dict.fromkeys(after.keys() - before.keys(), "is new"),
        **{key: "has changed" for key in before.keys() & after.keys() if before[key] != after[key]},
    }
    return first_few(sorted(f"file {name} of source {i} {w}" for (i, name), w in changes.items()))


def document_changes(
    rows: Sequence[Row], rows_now: Sequence[Row], *, forgotten: Collection[str]
) -> DocumentChanges:
    """Name every document that is gone, new or elsewhere.

    Args:
        rows: Documents of the version, in their order.
        rows_now: Documents of today.
        forgotten: Ids of documents that must not be used any more, which are named already.
    """
    before, after = ({row["id"]: row for row in side} for side in (rows, rows_now))
    gone = [
        f"{called(row)} is missing or has changed"
        for identity, row in before.items()
        if identity not in after and identity not in forgotten
    ]
    new = [f"{called(row)} is new" for identity, row in after.items() if identity not in before]
    moved = [
        f"{called(row)} is {after[identity]['split']} now and was {row['split']}"
        for identity, row in before.items()
        if identity in after and after[identity]["split"] != row["split"]
    ]
    sentences = [*first_few(gone), *first_few(new), *first_few(moved)]
    then, now = (
        [row["id"] for row in side if row["split"] in TRAINED] for side in (rows, rows_now)
    )
    if then != now and not (sentences or forgotten):
        sentences = ["documents: the same ones come in another order"]
    return DocumentChanges(sentences=sentences, same_training_text=then == now)


def called(row: Row) -> str:
    """How a document is named to people."""
    return f"document {row['name']} ({row['id'][:12]})"


def short(value: object) -> str:
    """A digest is told apart by its beginning; a name is shown as it is."""
    text = "unknown" if value is None else str(value)
    return text[:12] if len(text) == 64 else text


def first_few(sentences: list[str]) -> list[str]:
    """The first sentences of one kind, and how many more there are."""
    if len(sentences) <= _NAMED:
        return sentences
    more = f"... and {len(sentences) - _NAMED} more of this kind ({sentences[0].split()[0]})"
    return [*sentences[:_NAMED], more]
