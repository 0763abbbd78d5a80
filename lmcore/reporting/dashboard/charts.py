"""Geometry of charts over versions and over time: values in, percentages of a plot out.

In: one value, interval or set of parts for each version; moments and periods.  Out: positions
that the macros of `trends.html.j2` draw.  A chart has room for some hundred marks: columns of
neighbours are averaged where there are more, labels are thinned, and one wild value does not
flatten all others: it is drawn at the edge, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lmcore.reporting.charts import Axis, Tick, axis, nice
from lmcore.reporting.text import number

MAX_COLUMNS = 100
#: Up to so many versions each interval is drawn by itself; beyond, they form a band.
MAX_WHISKERS = 60
MAX_PARTS = 6
OTHERS = "all others"
_DAY = 86_400.0
_TIME_STEPS = (
    *(60.0, 300.0, 900.0, 3_600.0, 3 * 3_600.0, 6 * 3_600.0, 12 * 3_600.0),
    *(_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY),
)
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One version's value with its interval.

    Attributes:
        number: Version number.
        value: Finite.
        lower: Where the interval begins; None: unknown.
        upper: Where it ends; None: unknown.
        kind: Which mark is drawn: `promoted`, `kept` or `rejected`.
        summary: The mark in words.
    """

    number: int
    value: float
    lower: float | None
    upper: float | None
    kind: str
    summary: str


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A `Measured` in percent of the plot; y grows downwards.

    Attributes:
        x: Middle of its column.
        left: Where its column begins.
        width: Of its column.
        y: Of its value.
        low: Where its interval ends below; None where there is no interval of its own.
        high: Where its interval ends above.
        kind: As of `Measured`.
        summary: As of `Measured`.
    """

    x: float
    left: float
    width: float
    y: float
    low: float | None
    high: float | None
    kind: str
    summary: str


@dataclass(frozen=True, kw_only=True)
class TrendChart:
    """A metric over versions.

    Attributes:
        ticks_x: Version numbers.
        ticks_y: Values, from below.
        line: The values in a box of 100 by 100.
        band: The intervals as one polygon in the same box; empty where each has its whiskers.
        second: Another metric of the same unit as a line in the same box; empty: none.
        marks: One a version.
        outside: How many values lie beyond the axis and are drawn at its edge.
        description: The chart in a sentence.
    """

    ticks_x: tuple[Tick, ...]
    ticks_y: tuple[Tick, ...]
    line: str
    band: str
    second: str
    marks: tuple[Mark, ...]
    outside: int
    description: str


def trend_chart(
    points: Sequence[Measured],
    *,
    second: Sequence[tuple[int, float]] = (),
    unit: str = "",
    steps: Axis | None = None,
    floor: float | None = None,
) -> TrendChart | None:
    """A metric over versions; None where no version has it.

    Args:
        points: In order of the version.
        second: Version and value of another metric of the same unit.
        unit: Counts get ticks without decimals.
        steps: Axis of versions that several charts share; default from the first to the last.
        floor: Value that the axis must reach down to.
    """
    if not points:
        return None
    steps = steps or version_axis(p.number for p in points)
    column = 100 / (steps.high - steps.low)
    bounds = [b for p in points for b in (p.value, p.lower, p.upper) if b is not None]
    low, high = _usual(bounds + [v for _, v in second])
    y = axis([low, high] if floor is None else [low, high, floor], unit=unit)
    if floor is not None:
        y = Axis(low=floor, high=y.high, unit=unit)
    single = len(points) <= MAX_WHISKERS
    marks = tuple(
        Mark(
            x=steps.at(p.number),
            left=round(steps.at(p.number) - column / 2, 2),
            width=round(column, 2),
            y=_down(y, p.value),
            low=_down(y, p.lower) if single and p.lower is not None else None,
            high=_down(y, p.upper) if single and p.upper is not None else None,
            kind=p.kind,
            summary=p.summary,
        )
        for p in points
    )
    known = [(p, p.lower, p.upper) for p in points if p.lower is not None and p.upper is not None]
    edge = [(steps.at(p.number), _down(y, upper)) for p, _, upper in known]
    edge += [(steps.at(p.number), _down(y, lower)) for p, lower, _ in reversed(known)]
    first, last, best = points[0], points[-1], min(points, key=lambda p: p.value)
    return TrendChart(
        ticks_x=version_ticks(steps),
        ticks_y=y.ticks(5),
        line=_polyline((m.x, m.y) for m in marks),
        band="" if single or len(known) < 2 else _polyline(edge),
        second=_polyline((steps.at(n), _down(y, v)) for n, v in second),
        marks=marks,
        outside=sum(not y.low <= p.value <= y.high for p in points),
        description=(
            f"{len(points):,} versions: {number(first.value, unit=unit)} at version"
            f" {first.number}, {number(last.value, unit=unit)} at version {last.number};"
            f" lowest {number(best.value, unit=unit)} at version {best.number}."
        ),
    )


def _usual(values: Sequence[float]) -> tuple[float, float]:
    """The range without values that are far from nearly all others."""
    ordered = sorted(values)
    tenth = len(ordered) // 10
    if tenth < 2:
        return ordered[0], ordered[-1]
    low, high = ordered[tenth], ordered[-1 - tenth]
    room = 3 * (high - low) or math.inf
    return max(ordered[0], low - room), min(ordered[-1], high + room)


def _down(y: Axis, value: float) -> float:
    return round(100 - y.at(value), 2)


def _polyline(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def version_axis(numbers: Iterable[int]) -> Axis:
    """An axis on which each version has a column of its own."""
    known = list(numbers)
    return Axis(low=min(known) - 0.5, high=max(known) + 0.5, unit="count")


def version_ticks(steps: Axis, *, count: int = 10) -> tuple[Tick, ...]:
    """Whole version numbers at about `count` round places."""
    first, last = math.ceil(steps.low), math.floor(steps.high)
    step = max(1, round(nice((last - first + 1) / count)))
    numbers = [n for n in range(first, last + 1) if n % step == 0] or [first]
    if numbers[0] - first >= step / 2:
        numbers.insert(0, first)
    return tuple(Tick(at=steps.at(n), label=f"v{n}") for n in numbers)


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
        ticks_x: Version numbers.
        ticks_y: Sums, from below.
        columns: One for each version, or for `averaged` versions.
        names: Of the parts, from below; their colours are their places.
        averaged: How many versions one column stands for.
    """

    ticks_x: tuple[Tick, ...]
    ticks_y: tuple[Tick, ...]
    columns: tuple[Column, ...]
    names: tuple[str, ...]
    averaged: int


def stacked_chart(
    rows: Sequence[tuple[int, Mapping[str, float]]],
    *,
    scale: Axis,
    ticks: tuple[Tick, ...],
    steps: Axis,
    summary: str = "{label}",
) -> StackedChart | None:
    """Columns of parts over versions; None where nothing is known.

    Args:
        rows: Version and its parts, not negative; parts of the same name share a colour.
        scale: Axis of the sums, from zero.
        ticks: Its labels.
        steps: Axis of the versions.
        summary: Words about a column; `{label}` names the versions.
    """
    if not rows:
        return None
    totals: dict[str, float] = {}
    for _, parts in rows:
        for name, value in parts.items():
            totals[name] = totals.get(name, 0.0) + value
    order = list(totals)
    largest = sorted(totals, key=lambda name: -totals[name])[: MAX_PARTS - 1]
    names = [n for n in order if n in largest] if len(order) > MAX_PARTS else order
    if len(order) > MAX_PARTS:
        names.append(OTHERS)
    group = math.ceil(len(rows) / MAX_COLUMNS)
    column = 100 / (steps.high - steps.low)
    columns = []
    for start in range(0, len(rows), group):
        members = rows[start : start + group]
        first, last = members[0][0], members[-1][0]
        mean: dict[str, float] = dict.fromkeys(names, 0.0)
        for _, parts in members:
            for name, value in parts.items():
                mean[name if name in mean else OTHERS] += value / len(members)
        placed, below = [], 0.0
        for index, name in enumerate(names):
            top = below + mean[name]
            if mean[name] > 0:
                y, base = _down(scale, top), _down(scale, below)
                placed.append(Part(y=y, height=round(base - y, 2), index=index))
            below = top
        width = column * (last - first + 1)
        columns.append(
            Column(
                left=round(steps.at(first) - column / 2 + width * 0.08, 3),
                width=round(width * 0.84, 3),
                parts=tuple(placed),
                summary=summary.format(
                    label=f"version {first}" if first == last else f"versions {first} to {last}"
                ),
            )
        )
    return StackedChart(
        ticks_x=version_ticks(steps),
        ticks_y=ticks,
        columns=tuple(columns),
        names=tuple(names),
        averaged=group,
    )


@dataclass(frozen=True, kw_only=True)
class TimeAxis:
    """A scale of time, mapped to 0-100 percent."""

    start: datetime
    end: datetime

    def at(self, moment: datetime) -> float:
        """Position of a moment in percent, not outside the plot."""
        return Axis(low=self.start.timestamp(), high=self.end.timestamp()).at(moment.timestamp())

    def ticks(self, count: int = 6) -> tuple[Tick, ...]:
        """About `count` round moments: minutes, hours, days or first days of months, in UTC."""
        wanted = (self.end - self.start).total_seconds() / count
        if wanted <= _TIME_STEPS[-1]:
            step = next(s for s in _TIME_STEPS if s >= wanted)
            first = math.ceil(self.start.timestamp() / step) * step
            moments = []
            while first <= self.end.timestamp():
                moments.append(datetime.fromtimestamp(first, UTC))
                first += step
            shape = "%H:%M" if step < _DAY else "%-d %b"
        else:
            months = next((m for m in _MONTH_STEPS if m * 30.44 * _DAY >= wanted), 240)
            moments = _firsts(self.start, self.end, months)
            shape = "%b %Y" if months < 12 else "%Y"
        labels = [moment.strftime(shape) for moment in moments]
        if shape == "%H:%M":  # a clock alone does not say which day
            labels = [
                label
                if i and moments[i - 1].date() == moment.date()
                else f"{moment:%-d %b} {label}"
                for i, (moment, label) in enumerate(zip(moments, labels, strict=True))
            ]
        return tuple(Tick(at=self.at(m), label=t) for m, t in zip(moments, labels, strict=True))


def _firsts(start: datetime, end: datetime, months: int) -> list[datetime]:
    index = start.year * 12 + start.month - 1
    found = []
    while (moment := datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)) <= end:
        if moment >= start and index % months == 0:
            found.append(moment)
        index += 1
    return found


def time_axis(moments: Iterable[datetime]) -> TimeAxis:
    """An axis from the first moment to the last, at least a minute long."""
    known = sorted(moments)
    return TimeAxis(start=known[0], end=max(known[-1], known[0] + timedelta(minutes=1)))


@dataclass(frozen=True, kw_only=True)
class Period:
    """One version's time as champion, in percent; the label is empty where it has no room."""

    left: float
    width: float
    label: str
    last: bool
    summary: str
