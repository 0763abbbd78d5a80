"""Charts and tables over the versions of one model: quality, gates, drift, data, time.

In: versions, oldest first.  Out: charts, and None where nothing of it is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmcore.counted import counted
from lmcore.reporting.charts import Axis, Tick, axis
from lmcore.reporting.dashboard.decisions import REASON_CHARACTERS
from lmcore.reporting.dashboard.facts import ModelHistory, VersionEntry
from lmcore.reporting.dashboard.moments import moment
from lmcore.reporting.dashboard.stacks import StackedChart, stacked_chart
from lmcore.reporting.dashboard.trends import Measured, TrendChart, trend_chart
from lmcore.reporting.tables import Table
from lmcore.reporting.text import MISSING, duration, number, one_line, percent, size, words
from lmcore.reporting.version.facts.gates import Gate
from lmcore.reporting.version.measures import label

#: Versions whose gates are shown at once; the others are folded away.
SHOWN_GATE_ROWS = 25
_SHOWN_LOOKS = 10
_MAX_PARTS_READ, _PART_CHARACTERS = 200, 60
_ANCHOR = "anchor_bits_per_byte"

OUTCOME_KINDS = {
    "promoted": "pass",
    "overridden": "warn",
    "registered": "idle",
    "rejected": "fail",
}
#: Outcome of a gate to its letter and its class; each has a shape of its own in the style sheet.
LETTERS = {
    "PASS": ("P", "p"),
    "FAIL": ("F", "f"),
    "INCONCLUSIVE": ("I", "i"),
    "WARN": ("W", "w"),
    "SKIPPED": ("S", "s"),
}


@dataclass(frozen=True, kw_only=True)
class GateCell:
    """What one gate said of one version."""

    letter: str
    kind: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class GateMatrix:
    """Versions by gates, newest version first; a cell is None where nothing is recorded."""

    gates: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[GateCell | None, ...]], ...]


def quality_title(history: ModelHistory) -> str:
    """The metric that decides, its unit as the newest version that has it says, its direction."""
    metric, versions = history.deciding, history.versions
    units = (v.metrics[metric].shown_unit for v in reversed(versions) if metric in v.metrics)
    unit = next(filter(None, units), "").replace("bits/byte", "bits per byte")
    name = label(metric)
    better = "higher is better" if history.higher_is_better else "lower is better"
    return f"{name} ({better})" if unit in ("", name) else f"{name}, {unit} ({better})"


def quality_chart(history: ModelHistory, steps: Axis) -> TrendChart | None:
    """The metric that decides over versions, beside it the frozen part of held-out text."""
    metric, versions = history.deciding, history.versions
    points = []
    for version in versions:
        known = version.metrics.get(metric)
        if known is None or known.value is None:
            continue
        bounds = f" ({known.bounds})" if known.bounds else ""
        points.append(
            Measured(
                number=version.number,
                value=known.value,
                lower=known.lower,
                upper=known.upper,
                kind=version.outcome if version.outcome in ("promoted", "rejected") else "kept",
                summary=f"version {version.number}, {one_line(version.outcome, 40)}"
                f" {moment(version.created)}: {known.shown} {known.shown_unit}{bounds}",
            )
        )
    second = [
        (version.number, known.value)
        for version in versions
        if metric != _ANCHOR
        and (known := version.metrics.get(_ANCHOR)) is not None
        and known.value is not None
    ]
    better = history.higher_is_better
    return trend_chart(points, second=second, steps=steps, higher_is_better=better)


def gate_matrix(versions: Sequence[VersionEntry]) -> GateMatrix | None:
    """What each gate said of each version; the gates of the newest version come first."""
    found = [(v, {one_line(gate.name, 60): gate for gate in v.gates}) for v in reversed(versions)]
    names = list(dict.fromkeys(name for _, gates in found for name in gates))
    if not names:
        return None
    rows = []
    for index, (version, gates) in enumerate(found):
        cells = tuple(_gate_cell(name, gates.get(name), index) for name in names)
        rows.append((f"v{version.number}", OUTCOME_KINDS.get(version.outcome, "idle"), cells))
    return GateMatrix(gates=tuple(words(name) for name in names), rows=tuple(rows))


def _gate_cell(name: str, gate: Gate | None, age: int) -> GateCell | None:
    if gate is None:
        return None
    outcome = one_line(gate.outcome, 40)
    letter, kind = LETTERS.get(outcome, ("?", "s"))
    needed = "" if gate.required else " (advice)"
    # Of old versions that passed, the outcome is enough: a page of 500 stays a small file.
    told = age < SHOWN_GATE_ROWS or letter != "P"
    reason = one_line(gate.reason, 240) if told else ""
    text = f"{words(name)}{needed}: {outcome}"
    return GateCell(letter=letter, kind=kind, sentence=f"{text}. {reason}" if reason else text)


def drift_chart(history: ModelHistory) -> TrendChart | None:
    """The results of monitoring, one mark a look."""
    points = [
        Measured(
            number=index,
            value=known.value,
            lower=known.lower,
            upper=known.upper,
            kind={"STABLE": "promoted", "DRIFTED": "rejected"}.get(look.outcome, "kept"),
            summary=f"{moment(look.at)}: {one_line(look.sentence or look.outcome, 240)}",
        )
        for index, look in enumerate(history.drift, 1)
        if (known := look.difference).value is not None
    ]
    return trend_chart(points)


def drift_table(history: ModelHistory) -> Table | None:
    """The latest results of monitoring as text, newest first; None where nobody looked."""
    rows = tuple(
        (
            moment(look.at),
            one_line(look.outcome, 40),
            f"version {look.version}" if look.version is not None else MISSING,
            f"{number(look.difference.value)} bits/byte",
            one_line(look.sentence, REASON_CHARACTERS),
        )
        for look in reversed(history.drift[-_SHOWN_LOOKS:])
    )
    if not rows:
        return None
    header = ("When, UTC", "Outcome", "Champion", "Value", "In words")
    return Table(caption="The latest looks", header=header, rows=rows)


def size_chart(versions: Sequence[VersionEntry], steps: Axis) -> TrendChart | None:
    """Megabytes of text over versions."""
    known = [(v.number, v.documents.num_bytes) for v in versions]
    points = [_quantity(n, b / 1e6, size(b)) for n, b in known if b is not None and b >= 0]
    return trend_chart(points, steps=steps, floor=0.0)


def document_chart(versions: Sequence[VersionEntry], steps: Axis) -> TrendChart | None:
    """Documents over versions."""
    known = [(v.number, v.documents.documents) for v in versions]
    points = [_quantity(n, d, documents(d)) for n, d in known if d is not None and d >= 0]
    return trend_chart(points, steps=steps, unit="count", floor=0.0)


def _quantity(version: int, value: float, shown: str) -> Measured:
    return Measured(
        number=version,
        value=value,
        lower=None,
        upper=None,
        kind="kept",
        summary=f"version {version}: {shown}",
    )


def documents(count: int) -> str:
    """A number of documents."""
    return counted(count, "document")


def license_chart(versions: Sequence[VersionEntry], steps: Axis) -> StackedChart | None:
    """Shares of the text by licence over versions."""
    rows = []
    for version in versions:
        parts = _parts(version.documents.licenses)
        total = sum(parts.values())
        if total > 0:
            rows.append((version.number, {name: v / total for name, v in parts.items()}))
    return stacked_chart(
        rows,
        title="Licences, by their share of the text",
        summary="licences of {label}, by their share of the text",
        scale=Axis(low=0.0, high=1.0),
        ticks=tuple(Tick(at=float(p), label=f"{p} %") for p in (0, 25, 50, 75, 100)),
        steps=steps,
        shown=percent,
    )


def seconds_chart(versions: Sequence[VersionEntry], steps: Axis) -> StackedChart | None:
    """Wall-clock time by step over versions."""
    found = [
        (v.number, {words(k): s for k, s in _parts(v.seconds).items() if k != "total"})
        for v in versions
    ]
    rows = [(number, parts) for number, parts in found if parts]
    if not rows:
        return None
    sums = sorted(sum(parts.values()) for _, parts in rows)
    # One run that waited for hours must not hide what all others took.
    top = min(sums[-1], 4 * sums[len(sums) * 9 // 10]) or 1.0
    unit, scale = next(
        (unit, scale)
        for unit, scale in (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
        if top >= 2 * scale or scale == 1.0
    )
    shown = Axis(low=0.0, high=axis([0.0, top / scale]).high)
    return stacked_chart(
        rows,
        title=f"Wall-clock time by step, {unit}",
        summary="wall-clock time of {label}, by step",
        scale=Axis(low=0.0, high=shown.high * scale),
        ticks=shown.ticks(4),
        steps=steps,
        shown=duration,
    )


def _parts(amounts: Mapping[str, float]) -> dict[str, float]:
    known = list(amounts.items())[:_MAX_PARTS_READ]
    return {one_line(name, _PART_CHARACTERS): amount for name, amount in known}
