"""A metric over versions: values in, percentages of a plot out.

In: one value with its interval for each version.  Out: positions that the macros of
`trends.html.j2` draw.  Labels are thinned, and one wild value does not flatten all others: it is
drawn at the edge, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lmcore.counted import counted
from lmcore.reporting.charts import Axis, Tick, axis, nice
from lmcore.reporting.text import number

#: Up to so many versions each interval is drawn by itself; beyond, they form a band.
MAX_WHISKERS = 60


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
    higher_is_better: bool = False,
) -> TrendChart | None:
    """A metric over versions; None where no version has it.

    Args:
        points: In order of the version.
        second: Version and value of another metric of the same unit.
        unit: Counts get ticks without decimals.
        steps: Axis of versions that several charts share; default from the first to the last.
        floor: Value that the axis must reach down to.
        higher_is_better: Whether the highest value is the remarkable one.
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
            y=down(y, p.value),
            low=down(y, p.lower) if single and p.lower is not None else None,
            high=down(y, p.upper) if single and p.upper is not None else None,
            kind=p.kind,
            summary=p.summary,
        )
        for p in points
    )
    known = [(p, p.lower, p.upper) for p in points if p.lower is not None and p.upper is not None]
    edge = [(steps.at(p.number), down(y, upper)) for p, _, upper in known]
    edge += [(steps.at(p.number), down(y, lower)) for p, lower, _ in reversed(known)]
    first, last = points[0], points[-1]
    word, best = (
        ("highest", max(points, key=lambda p: p.value))
        if higher_is_better
        else ("lowest", min(points, key=lambda p: p.value))
    )
    return TrendChart(
        ticks_x=version_ticks(steps),
        ticks_y=y.ticks(5),
        line=_polyline((m.x, m.y) for m in marks),
        band="" if single or len(known) < 2 else _polyline(edge),
        second=_polyline((steps.at(n), down(y, v)) for n, v in second),
        marks=marks,
        outside=sum(not y.low <= p.value <= y.high for p in points),
        description=(
            f"{counted(len(points), 'version')}: {number(first.value, unit=unit)} at version"
            f" {first.number}, {number(last.value, unit=unit)} at version {last.number};"
            f" {word} {number(best.value, unit=unit)} at version {best.number}."
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


def down(y: Axis, value: float) -> float:
    """Position of a value in percent from above."""
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
