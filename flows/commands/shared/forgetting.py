"""Forget a document: out of every later model, and out of what is cached.

In: a file or the id of a document, and a reason.  Out: entries of the list of removals, which
later runs obey, an event in the history of each model, and content folders without the cached text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from filelock import FileLock, Timeout

from flows.commands.shared.document_search import DocumentSearch, described
from flows.commands.shared.erasure import erase
from flows.commands.shared.models import named
from flows.home.environment import current
from flows.home.locks import BusyError
from flows.registry.document_matches import Query
from flows.registry.history import Event, write_event
from flows.registry.models import Registry
from flows.registry.promotion import me
from flows.registry.removals import current_removals, record_removals
from lmcore.data.copies.removal import KEPT, MAX_SHIFT, Removal, Removals
from lmcore.data.copies.sketches import sketch_text
from lmcore.errors import NotFoundError, UserError


def forget_document(
    target: str, model: str | None, *, reason: str, dry_run: bool = False
) -> dict[str, Any]:
    """Keep a document and its near-copies out of every later model, and erase what is cached.

    Args:
        target: A file, or the id of a document.
        model: Concerns this model alone; None: every model, later ones too.
        reason: Goes into the list of removals and into the history.
        dry_run: Only say what would be concerned.

    Returns:
        What `lmcore forget --json` prints; its shape is in `docs/ownership.md`.

    Raises:
        UserError: If there is no reason.
        NotFoundError: If nothing here knows a document of this id.
        BusyError: If a run is in progress: it is kept out, and cached text is still there.
    """
    if not reason.strip():
        raise UserError("--reason is empty; say why, it goes into the history")
    registry = Registry(current())
    names = named(registry, model)
    search = DocumentSearch(registry, names)
    queries = search.queries(target)
    versions = search.versions(queries)
    if not versions and all(q.shingles is None and q.sketch is None for q in queries):
        raise NotFoundError(
            f"{target}: no version and no cached data knows a document of this id; give the file"
        )
    known = {document["id"] for version in versions for document in version["documents"]}
    answer: dict[str, Any] = {
        "target": target,
        "model": None if model is None else names[0],
        "documents": described(queries),
        "versions": versions,
        "unrecorded": search.unrecorded(),
        "dry_run": dry_run,
        "removals": 0,
        "erased": [],
        "problems": search.problems,
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
    answer["erased"] = _erase(registry, names, entries, known, in_force=removals)
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
    versions: Sequence[dict[str, Any]],
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
    registry: Registry,
    names: Sequence[str],
    entries: Sequence[Removal],
    known: set[str],
    *,
    in_force: Removals,
) -> list[str]:
    """Erase while no run of these models is in progress."""
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
        erased = erase(home, Removals.of(entries), known=known, in_force=in_force)
    return [str(path.relative_to(home.root)) for path in erased]
