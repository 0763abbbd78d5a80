"""The data's books as tables: what was kept, changed, dropped, and under which licence.

The cleaning ledger grows with the cleaning: only `rules` has a known shape.  Everything else
in it is shown as what it is, a fact or a small table, so nothing recorded stays unseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lmcore.reporting.text import cell, finite, one_line, percent, size, words
from lmcore.reporting.version.facts import ReportData

MAX_ROWS = 200
_SPLITS = (
    ("train", "learnt from"),
    ("tune", "decides which weights are kept"),
    ("validation", "judged by the gates"),
    ("anchor", "part of validation, frozen for good"),
    ("excluded", "near-copies of documents on two sides, used by nothing"),
)
_FACTS = (
    ("documents", "Documents"),
    ("exact_duplicates", "Exact duplicates"),
    ("near_duplicate_clusters", "Clusters of near-copies"),
    ("quarantined", "Quarantined"),
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under a caption; `note` says what was left out."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of the text: of one source, or under one licence."""

    name: str
    detail: str
    documents: str
    size: str
    share: str
    percent: float
    blocked: bool


def _table(
    caption: str, header: Iterable[str], rows: Iterable[Iterable[str]], note: str = ""
) -> Table:
    all_rows = [tuple(row) for row in rows]
    if len(all_rows) > MAX_ROWS:
        note = f"{note} {len(all_rows) - MAX_ROWS:,} more rows are in the stored ledger.".strip()
    return Table(caption=caption, header=tuple(header), rows=tuple(all_rows[:MAX_ROWS]), note=note)


def facts(data: ReportData) -> list[tuple[str, str]]:
    """Counts of the whole document set."""
    found = [
        (title, cell(data.documents[key]))
        for key, title in _FACTS
        if data.documents.get(key) is not None
    ]
    if finite(data.documents.get("bytes")) is not None:
        found.insert(1, ("Text", size(data.documents["bytes"])))
    if data.documents.get("unit"):
        found.append(("Unit of a document", one_line(data.documents["unit"])))
    return found


def splits(data: ReportData) -> Table | None:
    """Documents and bytes on each side of the split."""
    rows = []
    total = finite(data.documents.get("bytes"))
    for name, purpose in _SPLITS:
        count, num_bytes = (data.documents.get(f"{name}_{what}") for what in ("documents", "bytes"))
        if count is None and num_bytes is None:
            continue
        known = finite(num_bytes)
        share = percent(known / total) if known is not None and total else ""
        rows.append((words(name), purpose, cell(count), size(num_bytes), share))
    header = ("Split", "What it is for", "Documents", "Text", "Share")
    return _table("Split", header, rows) if rows else None


def rules(data: ReportData) -> Table | None:
    """What each cleaning rule did; rules that found nothing are named in the note."""
    entries = data.ledger.get("rules")
    if isinstance(entries, Mapping):
        entries = [
            {"rule": name, **(entry if isinstance(entry, Mapping) else {"documents": entry})}
            for name, entry in entries.items()
        ]
    if not isinstance(entries, list | tuple):
        return None
    rows, idle = [], []
    for entry in entries:
        if not isinstance(entry, Mapping):
            continue
        name = words(entry.get("rule") or entry.get("name") or "rule")
        counts = [value for value in entry.values() if finite(value) is not None]
        if counts and not any(counts):
            idle.append(name)
            continue
        rows.append(
            (
                name,
                words(entry.get("action") or ""),
                cell(entry.get("documents")),
                size(entry.get("bytes")),
                one_line(entry.get("reason") or ""),
            )
        )
    note = f"Found nothing: {', '.join(idle[:50])}." if idle else ""
    header = ("Rule", "Action", "Documents", "Text", "Reason")
    return _table("Cleaning", header, rows, note) if rows or idle else None


def other_tables(data: ReportData) -> tuple[list[tuple[str, str]], list[Table]]:
    """The rest of the ledger: single values as facts, mappings and lists as tables."""
    values: list[tuple[str, str]] = []
    tables: list[Table] = []
    for key, entry in data.ledger.items():
        title = _heading(key)
        if key == "rules":
            continue
        if isinstance(entry, Mapping):
            if entry:
                rows = [(words(name), cell(value)) for name, value in entry.items()]
                tables.append(_table(title, ("What", "Count"), rows))
        elif isinstance(entry, list | tuple) and any(isinstance(row, Mapping) for row in entry):
            maps = [row for row in entry if isinstance(row, Mapping)]
            columns = list(dict.fromkeys(name for row in maps for name in row))[:6]
            rows_ = [tuple(cell(row.get(name)) for name in columns) for row in maps]
            tables.append(_table(title, [_heading(name) for name in columns], rows_))
        elif not isinstance(entry, list | tuple) or entry:
            values.append((title, cell(entry)))
    return values, tables


def given_tables(data: ReportData) -> list[Table]:
    """The tables that a task brings with it."""
    found = []
    for entry in data.tables:
        header, rows = entry.get("header"), entry.get("rows")
        if not isinstance(header, list | tuple) or not isinstance(rows, list | tuple):
            continue
        names = [one_line(name) for name in header]
        cells = [[cell(value) for value in row] for row in rows if isinstance(row, list | tuple)]
        cells = [row for row in cells if len(row) == len(names)]
        note = one_line(entry.get("note") or "", 500)
        found.append(_table(one_line(entry.get("caption") or ""), names, cells, note))
    return found


def _heading(key: object) -> str:
    text = words(key)
    return {"pii": "Personal data masked"}.get(text, text[:1].upper() + text[1:])


def source_shares(data: ReportData) -> list[Share]:
    """Each source with its licence and its share of the bytes."""
    blocked = _blocked(data)
    return _shares(
        (
            one_line(source.get("origin") or source.get("name") or f"source {index}"),
            one_line(source.get("license") or "unknown"),
            source.get("documents"),
            source.get("bytes"),
            str(source.get("license") or "unknown") in blocked,
        )
        for index, source in enumerate(data.sources[:MAX_ROWS])
    )


def license_shares(data: ReportData) -> list[Share]:
    """Each licence with its share of the bytes."""
    licenses = data.documents.get("licenses")
    counts: dict[str, float] = {}
    if isinstance(licenses, Mapping) and licenses:
        counts = {str(name): finite(value) or 0.0 for name, value in licenses.items()}
    else:
        for source in data.sources:
            name = str(source.get("license") or "unknown")
            counts[name] = counts.get(name, 0.0) + (finite(source.get("bytes")) or 0.0)
    blocked = _blocked(data)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_ROWS]
    return _shares((one_line(name), "", None, value, name in blocked) for name, value in ordered)


def _blocked(data: ReportData) -> set[str]:
    blocked = data.documents.get("blocked_licenses") or ()
    return {str(name) for name in blocked} if isinstance(blocked, list | tuple) else set()


def _shares(entries: Iterable[tuple[str, str, Any, Any, bool]]) -> list[Share]:
    known = list(entries)
    total = sum(finite(num_bytes) or 0.0 for _, _, _, num_bytes, _ in known)
    found = []
    for name, detail, documents, num_bytes, blocked in known:
        share = (finite(num_bytes) or 0.0) / total if total else 0.0
        found.append(
            Share(
                name=name,
                detail=detail,
                documents=cell(documents) if documents is not None else "",
                size=size(num_bytes),
                share=percent(share),
                percent=round(100 * share, 2),
                blocked=blocked,
            )
        )
    return found
