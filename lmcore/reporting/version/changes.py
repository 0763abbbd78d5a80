"""What is new since the last version: sentences, tables, and texts side by side."""

from __future__ import annotations

from dataclasses import dataclass

from lmcore.counted import counted
from lmcore.reporting.tables import Table
from lmcore.reporting.text import clip, one_line
from lmcore.reporting.values import whole
from lmcore.reporting.version.facts.report import ReportData
from lmcore.reporting.version.measures import label

_KEYS = 25
_TEXT_CHARACTERS = 600
#: Beside the one that decides: what a person compares first.
_METRICS = ("val_bits_per_byte", "accuracy", "macro_f1", "bleu", "chrf", "rouge1", "rougeL")
_SIZES = ("params", "train_tokens_per_second")


@dataclass(frozen=True, kw_only=True)
class ChangesView:
    """What is new."""

    title: str
    sentences: tuple[str, ...]
    metrics: Table | None
    config: Table | None
    samples: tuple[tuple[str, str, str], ...]


def changes_view(data: ReportData) -> ChangesView | None:
    """What is new since the last version; None where there is none."""
    found = data.changes
    if found.version is None:
        return None
    last = f"v{found.version}"
    known = {change.name: change for change in found.metrics}
    names = [n for n in (data.deciding, *_METRICS, *_SIZES) if n in known]
    rows = [
        (label(name), _value(known[name].before), _value(known[name].now))
        for name in dict.fromkeys(names)
    ]
    config = [(one_line(k), one_line(a) or "-", one_line(b) or "-") for k, a, b in found.config]
    more = len(config) - _KEYS
    note = f"{counted(more, 'more key')} not shown." if more > 0 else ""
    return ChangesView(
        title=f"Since version {found.version}"
        + (f" ({one_line(found.outcome, 40)})" if found.outcome else ""),
        sentences=_sentences(data),
        metrics=Table.cut("Results", ("Metric", last, "This version"), rows) if rows else None,
        config=Table.cut("Configuration", ("Key", last, "This version"), config[:_KEYS], note)
        if config
        else None,
        samples=tuple(
            (
                clip(pair.prompt, _TEXT_CHARACTERS),
                clip(pair.before, _TEXT_CHARACTERS),
                clip(pair.now, _TEXT_CHARACTERS),
            )
            for pair in found.samples
        ),
    )


def _value(estimate: object) -> str:
    shown = getattr(estimate, "shown", "")
    unit, bounds = getattr(estimate, "shown_unit", ""), getattr(estimate, "bounds", "")
    return " ".join(part for part in (shown, unit, f"({bounds})" if bounds else "") if part) or "-"


def _sentences(data: ReportData) -> tuple[str, ...]:
    found = data.changes
    counts = [whole(count) for count in found.documents]
    told = []
    if found.added or found.removed:
        of = f", now {counted(counts[1], 'document')}" if len(counts) == 2 and counts[1] else ""
        told.append(
            f"Text: {counted(found.added or 0, 'document')} new, {found.removed or 0:,} gone{of}."
        )
    else:
        told.append("Text: the same documents.")
    told.append("Configuration: see below." if found.config else "Configuration: the same.")
    told.append("Code: changed." if found.code_changed else "Code: the same.")
    return tuple(told)
