"""What a version was made of; the JSON value that `lmcore lineage --json` prints.

Its shape is in `docs/ownership.md`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.commands.seen import TRAINED
from flows.home.environment import current
from flows.registry.document_matches import removed_documents
from flows.registry.models import Registry
from flows.registry.promotion import settle
from flows.registry.removals import current_removals
from lmcore.artifacts import atomic_write
from lmcore.errors import UserError

Answer = dict[str, Any]


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
        used = row["num_bytes"] if row["split"] in TRAINED else 0
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
