"""What versions are made of: columns of parts over versions, as percentages of a plot.

A chart has room for some hundred columns: neighbours are averaged where there are more, and what
is small among many parts is put together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lmcore.reporting.charts import Axis, Tick
from lmcore.reporting.dashboard.trends import down, version_ticks

MAX_COLUMNS = 100
MAX_PARTS = 6
OTHERS = "all others"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A piece of a column, in percent of the plot; `index` chooses its colour."""

    y: float
    height: float
    index: int


@dataclass(frozen=True, kw_only=True)
class Column:
    """The parts of one version, or the mean of some neighbours."""

    left: float
    width: float
    parts: tuple[Part, ...]
    summary: str


@dataclass(frozen=True, kw_only=True)
class StackedChart:
    """What versions are made of, as columns of parts.

    Attributes:
        title: What is drawn, with its unit.
        ticks_x: Version numbers.
        ticks_y: Sums, from below.
        columns: One for each version, or for `averaged` versions.
        legend: Name of each part, from below, and its value in the newest version.
        averaged: How many versions one column stands for.
    """

    title: str
    ticks_x: tuple[Tick, ...]
    ticks_y: tuple[Tick, ...]
    columns: tuple[Column, ...]
    legend: tuple[tuple[str, str], ...]
    averaged: int


def stacked_chart(
    rows: Sequence[tuple[int, Mapping[str, float]]],
    *,
    title: str,
    summary: str,
    scale: Axis,
    ticks: tuple[Tick, ...],
    steps: Axis,
    shown: Callable[[float], str],
) -> StackedChart | None:
    """Columns of parts over versions; None where nothing is known.

    Args:
        rows: Version and its parts, not negative; parts of the same name share a colour.
        title: What is drawn, with its unit.
        summary: Words about a column; `{label}` names the versions.
        scale: Axis of the sums, from zero.
        ticks: Its labels.
        steps: Axis of the versions.
        shown: A part's value as text.
    """
    if not rows:
        return None
    names = _names(rows)
    group = math.ceil(len(rows) / MAX_COLUMNS)
    groups = [rows[start : start + group] for start in range(0, len(rows), group)]
    newest = _merged(rows[-1][1], names)
    return StackedChart(
        title=title,
        ticks_x=version_ticks(steps),
        ticks_y=ticks,
        columns=tuple(_column(members, names, scale, steps, summary) for members in groups),
        legend=tuple((name, shown(newest[name])) for name in names),
        averaged=group,
    )


def _names(rows: Sequence[tuple[int, Mapping[str, float]]]) -> list[str]:
    """The largest parts in the order in which they came, and one name for all others."""
    totals: dict[str, float] = {}
    for _, parts in rows:
        for name, value in parts.items():
            totals[name] = totals.get(name, 0.0) + value
    if len(totals) <= MAX_PARTS:
        return list(totals)
    largest = sorted((n for n in totals if n != OTHERS), key=lambda name: -totals[name])
    return [*(name for name in totals if name in largest[: MAX_PARTS - 1]), OTHERS]


def _merged(parts: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """Parts under these names; what has none of its own is among all others."""
    found = dict.fromkeys(names, 0.0)
    for name, value in parts.items():
        found[name if name in found else OTHERS] += value
    return found


def _column(
    members: Sequence[tuple[int, Mapping[str, float]]],
    names: Sequence[str],
    scale: Axis,
    steps: Axis,
    summary: str,
) -> Column:
    first, last = members[0][0], members[-1][0]
    merged = [_merged(parts, names) for _, parts in members]
    placed, below = [], 0.0
    for index, name in enumerate(names):
        mean = sum(parts[name] / len(members) for parts in merged)
        top = below + mean
        if mean > 0:
            y, base = down(scale, top), down(scale, below)
            placed.append(Part(y=y, height=round(base - y, 2), index=index))
        below = top
    one = 100 / (steps.high - steps.low)
    width = one * (last - first + 1)
    label = f"version {first}" if first == last else f"versions {first} to {last}"
    return Column(
        left=round(steps.at(first) - one / 2 + width * 0.08, 3),
        width=round(width * 0.84, 3),
        parts=tuple(placed),
        summary=summary.format(label=label),
    )
