"""`lmcore lineage`: from a version to what it was made of; its JSON is in `docs/ownership.md`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from flows.commands.shared.unrecorded import described
from lmcore.counted import counted
from lmcore.errors import UserError

_DIGESTS = ("data", "config", "code", "lock", "documents", "tokenizer", "shards")


@command(
    "lmcore lineage champion",
    "lmcore lineage 3 --documents 20 --offset 40",
    "lmcore lineage 3 --out documents.jsonl --model annual-messages",
    makes_home=False,
)
@options.version_argument()
@click.option(
    "--documents",
    type=click.IntRange(0, 100_000),
    default=0,
    metavar="N",
    help="List so many documents; 0: none.",
)
@click.option(
    "--offset", type=click.IntRange(0), default=0, metavar="N", help="List after the first N."
)
@click.option(
    "--out",
    type=options.PATH,
    metavar="FILE",
    help="Write all documents to a file, one JSON object a line.",
)
@options.model
def lineage(
    version: str, documents: int, offset: int, out: Path | None, model: str | None
) -> Answer:
    """Show what a version was made of: documents, sources, licences.

    Shares are of the bytes of its text, and of those that its weights were learnt from.
    """
    from flows.commands.shared.models import settled
    from flows.commands.shared.unrecorded import pretrained_facts
    from flows.home.environment import current
    from flows.registry.document_matches import removed_documents
    from flows.registry.removals import current_removals

    registry, name = settled(model)
    found = registry.version(name, version)
    folder = registry.read(found)
    removals = current_removals(registry).for_model(name)
    gone = removed_documents(folder, removals)
    rows = [{**row, "forgotten": row["id"] in gone} for row in folder.documents()]
    target = None if out is None else _write_list(current().resolve(out), rows)
    licenses = _shares(rows, "license")
    splits, sources = _shares(rows, "split"), _shares(rows, "source")
    nothing = dict.fromkeys(("documents", "bytes", "share", "trained_bytes", "trained_share"), 0)
    record = folder.lineage()
    values = {
        "model": name,
        "version": found.number,
        "documents": len(rows),
        "bytes": sum(row["num_bytes"] for row in rows),
        "splits": [{"split": split, **splits[split]} for split in sorted(splits)],
        "licenses": [
            {"license": license_, **share}
            for license_, share in sorted(licenses.items(), key=lambda item: -item[1]["bytes"])
        ],
        "sources": [
            {
                "source": i,
                "origin": source.get("origin", ""),
                "license": source.get("license", ""),
                "files": len(source.get("files", ())),
                **sources.get(i, nothing),
            }
            for i, source in enumerate(folder.sources())
        ],
        "pretrained": pretrained_facts(registry, found, record),
        "kept_tokenizer": (record.get("start") or {}).get("tokenizer"),
        "forgotten": len(gone),
        "removals_then": len(record.get("removals", ())),
        "removals_now": len(removals),
        "manifest_sha256": folder.manifest_sha256,
        "digests": {key: record.get(key) for key in _DIGESTS},
        "list": rows[offset : offset + documents],
        "offset": offset,
        "out": None if target is None else str(target),
    }
    return Answer(values=values, text=_text)


def _shares(rows: Sequence[Mapping[str, Any]], key: str) -> dict[Any, dict[str, Any]]:
    """By a property of documents: how many they are, and their shares of the bytes."""
    from flows.commands.shared.document_search import TRAINED

    documents: Counter[Any] = Counter()
    size: Counter[Any] = Counter()
    trained: Counter[Any] = Counter()
    for row in rows:
        value, num_bytes = row[key], row["num_bytes"]
        documents[value] += 1
        size[value] += num_bytes
        trained[value] += num_bytes if row["split"] in TRAINED else 0
    return {
        value: {
            "documents": count,
            "bytes": size[value],
            "share": size[value] / max(1, size.total()),
            "trained_bytes": trained[value],
            "trained_share": trained[value] / max(1, trained.total()),
        }
        for value, count in documents.items()
    }


def _write_list(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    from flows.home.access import as_the_user
    from lmcore.durable import atomic_write

    lines = (json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows)
    try:
        with as_the_user():
            atomic_write(path, "".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise UserError(
            f"--out {path}: cannot be written ({error.strerror}); name another file"
        ) from error
    return path


def _text(answer: Values) -> None:
    """Licences and sources with their shares, then documents where they were asked for."""
    text.title(f"{answer['model']} version {answer['version']}")
    text.line(f"  {counted(answer['documents'], 'document')}, {answer['bytes']:,} bytes")
    for entries, names in (
        ("licenses", ("license",)),
        ("splits", ("split",)),
        ("sources", ("source", "origin")),
    ):
        text.line()
        text.table(
            [
                (
                    *(entry[name] for name in names),
                    f"{entry['documents']:,}",
                    f"{entry['bytes']:,}",
                    f"{entry['share']:.1%}",
                    f"{entry['trained_share']:.1%}",
                )
                for entry in answer[entries]
            ],
            (*names, "documents", "bytes", "share", "of what was learnt"),
        )
    if answer["pretrained"]:
        text.line()
        for line in described(answer["pretrained"]):
            text.line(f"  {line}")
    if answer["kept_tokenizer"]:
        text.line()
        text.line(f"  {answer['kept_tokenizer']['reason']}")
    if answer["forgotten"]:
        text.line()
        text.line(
            f"  {answer['forgotten']:,} of its documents must be forgotten by now: `lmcore run`"
        )
    if answer["list"]:
        text.line()
        text.table(
            [
                (
                    d["id"][:12],
                    d["name"],
                    d["split"],
                    d["license"],
                    f"{d['num_bytes']:,}",
                    "forgotten" if d["forgotten"] else "",
                )
                for d in answer["list"]
            ],
            ("document", "name", "split", "license", "bytes", ""),
        )
    if answer["out"]:
        text.line(f"  all documents: {answer['out']}")
