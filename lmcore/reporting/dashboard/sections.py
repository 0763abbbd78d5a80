"""Charts and tables over the versions of one model: quality, gates, drift, data, time.

In: versions, oldest first.  Out: charts, and None where nothing of it is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmcore.reporting.charts import Axis, Tick, axis
from lmcore.reporting.dashboard.charts import (
    Measured,
    StackedChart,
    TrendChart,
    stacked_chart,
    trend_chart,
)
from lmcore.reporting.dashboard.decisions import REASON_CHARACTERS, moment
from lmcore.reporting.dashboard.facts import ModelHistory, VersionEntry
from lmcore.reporting.text import MISSING, duration, finite, number, one_line, percent, size, words
from lmcore.reporting.version.measures import label, metric_row

#: Versions whose gates are shown at once; the others are folded away.
SHOWN_GATE_ROWS = 25
_ANCHOR = "anchor_bits_per_byte"

OUTCOME_KINDS = {"promoted": "pass", "registered": "idle", "rejected": "fail"}
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


@dataclass(frozen=True, kw_only=True)
class Legend:
    """The parts of a stacked chart: place of the colour, name, and the newest version's value."""

    entries: tuple[tuple[int, str, str], ...]


def metric_name(metric: str, versions: Sequence[VersionEntry]) -> str:
    """A metric with its unit, as the newest version that has it says."""
    for version in reversed(versions):
        known = version.metrics.get(metric)
        if isinstance(known, Mapping) and known.get("unit"):
            unit = one_line(known["unit"], 40).replace("bits/byte", "bits per byte")
            return f"{label(metric)}, {unit}"
    return label(metric)


def quality_chart(versions: Sequence[VersionEntry], metric: str, steps: Axis) -> TrendChart | None:
    """The headline metric over versions, with the frozen part of held-out text beside it."""
    points = []
    for version in versions:
        known = version.metrics.get(metric)
        if not isinstance(known, Mapping) or (value := finite(known.get("value"))) is None:
            continue
        row = metric_row(metric, known)
        bounds = f" ({row.interval})" if row.interval else ""
        points.append(
            Measured(
                number=version.number,
                value=value,
                lower=finite(known.get("lower")),
                upper=finite(known.get("upper")),
                kind=_mark_kind(version),
                summary=f"version {version.number}, {one_line(version.outcome, 40)}"
                f" {moment(version.created)}: {row.value} {row.unit}{bounds}",
            )
        )
    second = [
        (version.number, value)
        for version in versions
        if metric != _ANCHOR
        and isinstance(known := version.metrics.get(_ANCHOR), Mapping)
        and (value := finite(known.get("value"))) is not None
    ]
    return trend_chart(points, second=second, steps=steps)


def _mark_kind(version: VersionEntry) -> str:
    return version.outcome if version.outcome in ("promoted", "rejected") else "kept"


def gate_matrix(versions: Sequence[VersionEntry]) -> GateMatrix | None:
    """What each gate said of each version; the gates of the newest version come first."""
    names: dict[str, None] = {}
    found: list[tuple[VersionEntry, dict[str, Mapping[str, Any]]]] = []
    for version in reversed(versions):
        gates = {
            one_line(gate.get("gate") or "gate", 60): gate
            for gate in version.gates
            if isinstance(gate, Mapping)
        }
        names.update(dict.fromkeys(gates))
        found.append((version, gates))
    if not names:
        return None
    rows = []
    for index, (version, gates) in enumerate(found):
        cells = tuple(_gate_cell(name, gates.get(name), index) for name in names)
        rows.append((f"v{version.number}", OUTCOME_KINDS.get(version.outcome, "idle"), cells))
    return GateMatrix(gates=tuple(words(name) for name in names), rows=tuple(rows))


def _gate_cell(name: str, gate: Mapping[str, Any] | None, age: int) -> GateCell | None:
    if gate is None:
        return None
    outcome = one_line(gate.get("outcome") or "", 40)
    letter, kind = LETTERS.get(outcome, ("?", "s"))
    needed = "" if gate.get("required", True) else " (advice)"
    # Of old versions that passed, the outcome is enough: a page of 500 stays a small file.
    told = age < SHOWN_GATE_ROWS or letter != "P"
    reason = one_line(gate.get("reason") or "", 240) if told else ""
    text = f"{words(name)}{needed}: {outcome}"
    return GateCell(letter=letter, kind=kind, sentence=f"{text}. {reason}" if reason else text)


def drift_chart(history: ModelHistory) -> TrendChart | None:
    """The results of monitoring, one mark a look."""
    known = [
        (i, d, v) for i, d in enumerate(history.drift, 1) if (v := finite(d.value)) is not None
    ]
    points = [
        Measured(
            number=index,
            value=value,
            lower=finite(look.lower),
            upper=finite(look.upper),
            kind={"STABLE": "promoted", "DRIFTED": "rejected"}.get(look.outcome, "kept"),
            summary=f"{moment(look.at)}: {one_line(look.sentence or look.outcome, 240)}",
        )
        for index, look, value in known
    ]
    return trend_chart(points)


def drift_rows(history: ModelHistory) -> tuple[tuple[str, str, str, str, str], ...]:
    """The results of monitoring as text, newest first."""
    return tuple(
        (
            moment(look.at),
            one_line(look.outcome or MISSING, 40),
            f"version {look.version}" if look.version is not None else MISSING,
            f"{number(look.value)} {one_line(look.unit, 40)}".strip(),
            one_line(look.sentence, REASON_CHARACTERS),
        )
        for look in reversed(history.drift)
    )


def growth_chart(versions: Sequence[VersionEntry], what: str, steps: Axis) -> TrendChart | None:
    """`bytes` (in MB) or `documents` of the text over versions."""
    shown = size if what == "bytes" else count
    scale = 1e6 if what == "bytes" else 1.0
    points = [
        Measured(
            number=version.number,
            value=value / scale,
            lower=None,
            upper=None,
            kind="kept",
            summary=f"version {version.number}: {shown(value)}",
        )
        for version in versions
        if (value := finite(version.data.get(what))) is not None and value >= 0
    ]
    return trend_chart(points, steps=steps, unit="" if what == "bytes" else "count", floor=0.0)


def count(value: float) -> str:
    """A number of documents."""
    return f"{number(value, unit='count')} documents"


def license_chart(
    versions: Sequence[VersionEntry], steps: Axis
) -> tuple[StackedChart | None, Legend]:
    """Shares of the text by licence over versions."""
    rows: list[tuple[int, Mapping[str, float]]] = []
    for version in versions:
        parts = _parts(version.data.get("licenses"))
        total = sum(parts.values())
        if total > 0:
            rows.append((version.number, {name: v / total for name, v in parts.items()}))
    ticks = tuple(Tick(at=float(p), label=f"{p} %") for p in (0, 25, 50, 75, 100))
    chart = stacked_chart(
        rows,
        scale=Axis(low=0.0, high=1.0),
        ticks=ticks,
        steps=steps,
        summary="licences of {label}, by their share of the text",
    )
    return chart, _legend(chart, rows, percent)


def seconds_chart(
    versions: Sequence[VersionEntry], steps: Axis
) -> tuple[StackedChart | None, str, Legend]:
    """Wall-clock time by step over versions, the unit of its axis, and its legend."""
    rows: list[tuple[int, Mapping[str, float]]] = []
    for version in versions:
        parts = {words(k): v for k, v in _parts(version.seconds).items() if k != "total"}
        if parts:
            rows.append((version.number, parts))
    if not rows:
        return None, "", Legend(entries=())
    sums = sorted(sum(parts.values()) for _, parts in rows)
    # One run that waited for hours must not hide what all others took.
    top = min(sums[-1], 4 * sums[len(sums) * 9 // 10]) or 1.0
    unit, scale = next(
        (unit, scale)
        for unit, scale in (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
        if top >= 2 * scale or scale == 1.0
    )
    y = Axis(low=0.0, high=axis([0.0, top / scale]).high)
    chart = stacked_chart(
        [(n, {name: v / scale for name, v in parts.items()}) for n, parts in rows],
        scale=y,
        ticks=y.ticks(4),
        steps=steps,
        summary="wall-clock time of {label}, by step",
    )
    return chart, unit, _legend(chart, rows, duration)


def _parts(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    return {
        one_line(name, 60): known
        for name, raw in list(value.items())[:200]
        if (known := finite(raw)) is not None and known >= 0
    }


def _legend(
    chart: StackedChart | None,
    rows: Sequence[tuple[int, Mapping[str, float]]],
    shown: Callable[[float], str],
) -> Legend:
    if chart is None:
        return Legend(entries=())
    newest = rows[-1][1]
    rest = sum(value for name, value in newest.items() if name not in chart.names)
    entries = [
        (index, name, shown(newest.get(name, rest if index == len(chart.names) - 1 else 0.0)))
        for index, name in enumerate(chart.names)
    ]
    return Legend(entries=tuple(entries))
