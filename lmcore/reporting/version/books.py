"""The data's books as tables: what was kept, changed, dropped, and under which licence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lmcore.counted import named
from lmcore.reporting.tables import MAX_ROWS, Table
from lmcore.reporting.text import number, one_line, percent, size, words
from lmcore.reporting.version.facts.report import ReportData

_MAX_LANGUAGES = 8
_CODE = re.compile("[a-z]{2,3}")
_PURPOSES = {
    "train": "learnt from",
    "tune": "decides which weights are kept",
    "validation": "judged by the gates",
    "anchor": "part of validation, frozen for good",
    "excluded": "near-copies of documents on two sides, used by nothing",
}


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


def facts(data: ReportData) -> list[tuple[str, str]]:
    """Counts of the whole document set."""
    documents = data.documents
    counts = (
        ("Documents", documents.documents, number),
        ("Text", documents.num_bytes, size),
        ("Exact duplicates", documents.exact_duplicates, number),
        ("Clusters of near-copies", documents.near_duplicate_clusters, number),
        ("Quarantined", documents.quarantined, number),
    )
    found = [(title, shown(count)) for title, count, shown in counts if count is not None]
    if documents.template_documents:
        shared = percent(documents.template_share or 0.0)
        told = f"{number(documents.template_documents)}: {shared} of them is on both sides"
        found.append(("Letters of a template", told))
    if documents.unit:
        found.append(("Unit of a document", one_line(documents.unit)))
    if documents.languages:
        found.append(("Languages, by bytes", languages(data)))
    remarks = [("Mixture of languages", one_line(said, 600)) for said in documents.language_remarks]
    return found + remarks


def pretrained(data: ReportData) -> list[tuple[str, str]]:
    """What is known of the model that the weights were made from; nothing where there is none."""
    model = data.pretrained
    if not model.name:
        return []
    rows = (
        ("Model", model.name),
        ("Architecture", model.architecture),
        ("Weights", number(model.parameters) if model.parameters else ""),
        ("From", model.source),
        ("Origin", model.origin),
        ("Licence", model.license),
        ("Has read text until", model.known_until or "not known"),
        ("SHA-256 of its weights", model.weights),
    )
    return [(title, one_line(text)) for title, text in rows if text]


def what_is_not_recorded(data: ReportData) -> str:
    """What nobody here can know of the text that the model was made with before; or nothing."""
    model = data.pretrained
    if not model.name:
        return ""
    until = (
        f"As far as is known it has read no text later than {one_line(model.known_until, 20)}."
        if model.known_until
        else "Until when the text goes that it has read is not known."
    )
    held_out, later = (
        data.metrics[name].n if name in data.metrics else None
        for name in ("val_bits_per_byte", "val_later_bits_per_byte")
    )
    if model.known_until and held_out is not None:
        until += (
            f" Of the {number(held_out, unit='count')} held-out {named(held_out, 'document')}"
            f" {number(later, unit='count') if later else 'none'}"
            f" {'are' if (later or 0) > 1 else 'is'} later."
        )
    return (
        f"{one_line(model.name)} was trained on text that is not recorded here: it may have read"
        f" any text that this version is judged on, and any that was forgotten. {until}"
    )


def main_languages(data: ReportData) -> list[str]:
    """Codes of the languages that at least a twentieth of the text is in, most first."""
    sizes = data.documents.languages
    total = sum(sizes.values())
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    most = [code for code, size in ordered if 20 * size >= total]
    return [code for code in most if _CODE.fullmatch(code) and code != "und"]


def languages(data: ReportData) -> str:
    """Codes of ISO 639 and their shares of the bytes, most first; `und` is not told."""
    sizes = data.documents.languages
    total = sum(sizes.values())
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    named = [
        f"{'not told' if code == 'und' else one_line(code, 20)} {percent(size / total)}"
        for code, size in ordered[:_MAX_LANGUAGES]
        if total > 0
    ]
    return ", ".join([*named, *(["..."] if len(ordered) > _MAX_LANGUAGES else [])])


def splits(data: ReportData) -> Table | None:
    """Documents and bytes on each side of the split."""
    total = data.documents.num_bytes
    rows = []
    for name, volume in data.documents.splits.items():
        known = volume.num_bytes
        if known is None and volume.documents is None:
            continue
        share = percent(known / total) if known is not None and total else ""
        rows.append((name, _PURPOSES[name], number(volume.documents), size(known), share))
    header = ("Split", "What it is for", "Documents", "Text", "Share")
    return Table.cut("Split", header, rows) if rows else None


def rules(data: ReportData) -> Table | None:
    """What each cleaning rule did; rules that found nothing are named in the note."""
    idle = [words(rule.name) for rule in data.account.rules if rule.idle]
    rows = [
        (
            words(rule.name),
            words(rule.action),
            number(rule.documents),
            size(rule.num_bytes),
            one_line(rule.reason),
        )
        for rule in data.account.rules
        if not rule.idle
    ]
    note = f"Found nothing: {', '.join(idle[:50])}." if idle else ""
    header = ("Rule", "Action", "Documents", "Text", "Reason")
    return Table.cut("Cleaning", header, rows, note) if rows or idle else None


def source_shares(data: ReportData) -> list[Share]:
    """Each source with its licence and its share of the bytes."""
    return _shares(
        (
            one_line(source.origin or f"source {index}"),
            one_line(source.license),
            source.documents,
            source.num_bytes,
            source.license in data.documents.blocked,
        )
        for index, source in enumerate(data.sources[:MAX_ROWS])
    )


def license_shares(data: ReportData) -> list[Share]:
    """Each licence with its share of the bytes."""
    counts: dict[str, float] = dict(data.documents.licenses)
    if not counts:
        for source in data.sources:
            known = source.num_bytes or 0.0
            counts[source.license] = counts.get(source.license, 0.0) + known
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_ROWS]
    return _shares(
        (one_line(name), "", None, value, name in data.documents.blocked) for name, value in ordered
    )


def _shares(entries: Iterable[tuple[str, str, int | None, float | None, bool]]) -> list[Share]:
    known = list(entries)
    total = sum(num_bytes or 0.0 for _, _, _, num_bytes, _ in known)
    found = []
    for name, detail, documents, num_bytes, blocked in known:
        share = (num_bytes or 0.0) / total if total else 0.0
        found.append(
            Share(
                name=name,
                detail=detail,
                documents=number(documents) if documents is not None else "",
                size=size(num_bytes),
                share=percent(share),
                percent=round(100 * share, 2),
                blocked=blocked,
            )
        )
    return found
