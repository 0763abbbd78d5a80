"""What a version was trained and judged on: documents, sources, and the account of their cleaning.

In: the summary, the account (`ledger.json`) and the sources of a document set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from lmcore.reporting.tables import Table, cell, pairs
from lmcore.reporting.text import words
from lmcore.reporting.values import amounts, finite, items, mapping, mappings, text, whole

SPLITS = ("train", "tune", "validation", "anchor", "excluded")


@dataclass(frozen=True, kw_only=True)
class Volume:
    """How much text: documents and bytes; None: not known."""

    documents: int | None = None
    num_bytes: int | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], prefix: str = "") -> Self:
        """Read `documents` and `bytes`, or those of a split."""
        documents, num_bytes = (whole(raw.get(f"{prefix}{key}")) for key in ("documents", "bytes"))
        return cls(documents=documents, num_bytes=num_bytes)


@dataclass(frozen=True, kw_only=True)
class Documents:
    """Summary of the document set.

    Attributes:
        volume: All of it.
        splits: Those sides of the split that are known.
        exact_duplicates: Left out.
        near_duplicate_clusters: Kept together.
        quarantined: Not readable.
        unit: What one document is.
        licenses: Bytes by licence.
        blocked: Licences that the policy does not allow.
    """

    volume: Volume = Volume()
    splits: Mapping[str, Volume] = field(default_factory=dict)
    exact_duplicates: int | None = None
    near_duplicate_clusters: int | None = None
    quarantined: int | None = None
    unit: str = ""
    licenses: Mapping[str, float] = field(default_factory=dict)
    blocked: frozenset[str] = frozenset()

    @classmethod
    def from_json(cls, raw: object) -> Self:
        """Read the summary of a document set, or what a tag of the registry holds of it."""
        found = mapping(raw)
        splits = {name: Volume.from_json(found, f"{name}_") for name in SPLITS}
        return cls(
            volume=Volume.from_json(found),
            splits={name: volume for name, volume in splits.items() if volume != Volume()},
            exact_duplicates=whole(found.get("exact_duplicates")),
            near_duplicate_clusters=whole(found.get("near_duplicate_clusters")),
            quarantined=whole(found.get("quarantined")),
            unit=text(found.get("unit")),
            licenses=amounts(found.get("licenses")),
            blocked=frozenset(text(name) for name in items(found.get("blocked_licenses"))),
        )


@dataclass(frozen=True, kw_only=True)
class Source:
    """One source of text."""

    origin: str
    license: str
    volume: Volume

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read one entry of `sources.json`."""
        license_ = text(raw.get("license")) or "unknown"
        return cls(origin=text(raw.get("origin")), license=license_, volume=Volume.from_json(raw))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one cleaning rule did; `idle`: it found nothing."""

    name: str
    action: str
    reason: str
    volume: Volume
    idle: bool

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read one rule with its counts."""
        counts = [count for value in raw.values() if (count := finite(value)) is not None]
        return cls(
            name=text(raw.get("rule")) or "rule",
            action=text(raw.get("action")),
            reason=text(raw.get("reason")),
            volume=Volume.from_json(raw),
            idle=bool(counts) and not any(counts),
        )


@dataclass(frozen=True, kw_only=True)
class Account:
    """What was kept, changed and dropped.

    It grows with the cleaning and with what tasks note: only `rules` has a known shape.  All else
    is shown as what it is, a single value or a small table, so nothing recorded stays unseen.
    """

    rules: tuple[Rule, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()

    @classmethod
    def from_json(cls, raw: object) -> Self:
        """Read an account: by name, mappings, lists and single values."""
        values: list[tuple[str, str]] = []
        tables: list[Table] = []
        found = mapping(raw)
        for key, entry in found.items():
            if key == "rules":
                continue
            if rows := mappings(entry):
                columns = list(dict.fromkeys(name for row in rows for name in row))[:6]
                cells = [[cell(row.get(name)) for name in columns] for row in rows]
                tables.append(Table.cut(_heading(key), map(_heading, columns), cells))
            elif isinstance(entry, Mapping):
                if entry:
                    tables.append(Table.cut(_heading(key), ("What", "Count"), pairs(entry)))
            elif entry != [] and entry != ():
                values.append((_heading(key), cell(entry)))
        return cls(rules=_rules(found.get("rules")), values=tuple(values), tables=tuple(tables))


def _rules(raw: object) -> tuple[Rule, ...]:
    """Rules as a list, or by name with either their counts or the number of documents."""
    entries = mappings(raw) or [
        {"rule": name, **(entry if isinstance(entry, Mapping) else {"documents": entry})}
        for name, entry in mapping(raw).items()
    ]
    return tuple(Rule.from_json(entry) for entry in entries)


def _heading(key: str) -> str:
    name = words(key)
    return {"pii": "Personal data masked"}.get(name, name[:1].upper() + name[1:])
