"""What a version was trained and judged on: documents, sources, and the account of their cleaning.

In: the summary, the account and the sources of a document set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from lmcore.reporting.tables import Table, cell, pairs
from lmcore.reporting.text import words
from lmcore.reporting.values import (
    Amounts,
    Count,
    Entries,
    Fact,
    Number,
    Text,
    Texts,
    finite,
    items,
    mapping,
    text_or,
)

SPLITS = ("train", "tune", "validation", "anchor", "excluded")


class Volume(Fact):
    """How much text: documents and bytes; None: not known."""

    documents: Count = None
    num_bytes: Count = Field(None, alias="bytes")


class Pretrained(Fact):
    """The model that the weights were made from.

    Attributes:
        name: Short.
        architecture: Of its `config.json`.
        parameters: Numbers that it consists of.
        source: As it was asked for.
        license: SPDX expression, or `unknown`.
        origin: In words.
        known_until: ISO 8601 day of the last text that it has read; empty: not known.
        weights: SHA-256 of its weights.
    """

    name: Text = ""
    architecture: Text = ""
    parameters: Count = None
    source: Text = ""
    license: Text = ""
    origin: Text = ""
    known_until: Text = ""
    weights: Text = ""


class Documents(Volume):
    """Summary of the document set.

    Attributes:
        splits: Volumes of the sides of the split.
        exact_duplicates: Left out.
        near_duplicate_clusters: Kept together.
        template_documents: Made from templates, and not kept together for what these share.
        template_share: Share of their text that the template is.
        quarantined: Not readable.
        unit: What one document is.
        licenses: Bytes by licence.
        blocked: Licences that the policy does not allow.
        languages: Bytes by language, of the documents that were looked at.
        language_remarks: What is odd about them, in sentences.
    """

    splits: dict[str, Volume] = Field(default_factory=dict)
    exact_duplicates: Count = None
    near_duplicate_clusters: Count = None
    template_documents: Count = None
    template_share: Number = None
    quarantined: Count = None
    unit: Text = ""
    licenses: Amounts = Field(default_factory=dict)
    blocked: Texts = Field((), alias="blocked_licenses")
    languages: Amounts = Field(default_factory=dict)
    language_remarks: Texts = ()

    @model_validator(mode="before")
    @classmethod
    def _sides(cls, raw: Any) -> dict[str, Any]:
        """The volumes of all sides stand side by side in the summary."""
        found = mapping(raw)
        counts = ("documents", "bytes")
        sides = {s: {key: found.get(f"{s}_{key}") for key in counts} for s in SPLITS}
        return {**found, "splits": sides}


class Source(Volume):
    """One source of text."""

    origin: Text = ""
    license: Annotated[str, text_or("unknown")] = "unknown"


class Rule(Volume):
    """What one cleaning rule did; `idle`: it found nothing."""

    name: Annotated[str, text_or("rule")] = Field("rule", alias="rule")
    action: Text = ""
    reason: Text = ""
    idle: bool

    @model_validator(mode="before")
    @classmethod
    def _counts(cls, raw: Any) -> dict[str, Any]:
        """Rules count what they change in ways of their own."""
        found = mapping(raw)
        counts = [count for value in found.values() if (count := finite(value)) is not None]
        return {**found, "idle": bool(counts) and not any(counts)}


class Account(Fact):
    """What was kept, changed and dropped.

    It grows with the cleaning and with what tasks note: only `rules` has a known shape.  All else
    is shown as what it is, a single value or a small table, so nothing recorded stays unseen.
    """

    rules: Entries[Rule] = ()
    values: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _read(cls, raw: Any) -> dict[str, Any]:
        """Mappings, lists and single values by name."""
        values: list[tuple[str, str]] = []
        tables: list[Table] = []
        found = mapping(raw)
        for key, entry in found.items():
            rows = [mapping(row) for row in items(entry) if isinstance(row, Mapping)]
            if key == "rules":
                continue
            if rows:
                columns = list(dict.fromkeys(name for row in rows for name in row))[:6]
                cells = [[cell(row.get(name)) for name in columns] for row in rows]
                tables.append(Table.cut(_heading(key), map(_heading, columns), cells))
            elif isinstance(entry, Mapping):
                if entry:
                    tables.append(Table.cut(_heading(key), ("What", "Count"), pairs(entry)))
            elif entry != [] and entry != ():
                values.append((_heading(key), cell(entry)))
        return {"rules": _rules(found.get("rules")), "values": values, "tables": tables}


def _rules(raw: object) -> object:
    """Rules as a list; by name, they have their counts or the number of documents alone."""
    by_name = (
        {"rule": name, **(entry if isinstance(entry, Mapping) else {"documents": entry})}
        for name, entry in mapping(raw).items()
    )
    return tuple(by_name) or raw


def _heading(key: str) -> str:
    name = words(key)
    return {"pii": "Personal data masked"}.get(name, name[:1].upper() + name[1:])
