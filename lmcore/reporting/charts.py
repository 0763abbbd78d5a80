"""Geometry of the charts: values in, percentages of a plot out; the templates draw them.

No plotting library: its pictures carry fixed fonts, sizes and colours, so that they can
follow neither a dark page nor a narrow screen, it writes a font cache outside our home, and
what it draws depends on the fonts of the machine.  What remains without one is a scale and
its ticks.  Positions are rounded, so the same values always give the same bytes.  Charts over
versions and over time build on these in `dashboard`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from lmcore.reporting.estimates import Estimate
from lmcore.reporting.text import number

MAX_POINTS = 400


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A labelled position, in percent of the axis."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A linear scale from `low` to `high`, mapped to 0-100 percent."""

    low: float
    high: float
    unit: str = ""

    def at(self, value: float) -> float:
        """Position of a value in percent, not outside the plot."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 2)

    def ticks(self, count: int = 5) -> tuple[Tick, ...]:
        """About `count` round values inside the axis.

        Source: Heckbert, Nice numbers for graph labels, Graphics Gems (1990).
        """
        step = nice((self.high - self.low) / count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(
            Tick(at=self.at(k * step), label=number(k * step, unit=self.unit, width=step * 10))
            for k in range(first, last + 1)
        )


def nice(value: float) -> float:
    """The number 1, 2 or 5 times a power of ten that is nearest from above."""
    power = float(10.0 ** math.floor(math.log10(value)))
    return power * next(m for m in (1, 2, 5, 10) if m * power >= value * (1 - 1e-9))


def axis(values: Iterable[float], *, padding: float = 0.08, unit: str = "") -> Axis:
    """An axis that holds all values with some room on both sides.

    Args:
        values: At least one, all finite.
        padding: Room on each side, as a share of the range.
        unit: Counts get ticks without decimals.
    """
    known = list(values)
    low, high = min(known), max(known)
    # A range below what the labels could tell apart is no range: floats need room, too.
    room = max((high - low) * padding, abs(high) * 1e-6, 1e-12)
    if high - low <= abs(high) * 1e-9:
        room = abs(high) * 0.1 or 1.0
    return Axis(low=low - room, high=high + room, unit=unit)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A curve in a box of 100 by 100 whose y grows downwards, and dots on some of it."""

    points: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class LineChart:
    """One curve over the training steps.

    Attributes:
        name: Identifier of its elements and of its colour.
        title: What is drawn, with its unit.
        description: What it shows, in a sentence for those who cannot see it.
        ticks_x: Labels of the steps.
        ticks_y: Labels of the values, from below.
        line: The curve.
        mark: Position in percent and label of the one remarkable step.
        averaged: How many logged values one point stands for.
    """

    name: str
    title: str
    description: str
    ticks_x: tuple[Tick, ...]
    ticks_y: tuple[Tick, ...]
    line: Line
    mark: tuple[float, str] | None = None
    averaged: int = 1


def thin(points: Sequence[tuple[float, float]]) -> tuple[list[tuple[float, float]], int]:
    """At most `MAX_POINTS` points: means of equally many neighbours, and how many those are."""
    group = math.ceil(len(points) / MAX_POINTS) or 1
    groups = [points[i : i + group] for i in range(0, len(points), group)]
    means = [
        (math.fsum(x for x, _ in g) / len(g), math.fsum(y for _, y in g) / len(g)) for g in groups
    ]
    return (means if group > 1 else list(points)), group


def line_chart(
    points: Sequence[tuple[float, float]],
    *,
    name: str,
    title: str,
    steps: Axis,
    floor: float | None = None,
    mark: tuple[float, str] | None = None,
) -> LineChart | None:
    """A curve over steps; None where there is nothing to draw.

    Args:
        points: (step, value), finite, in order of the step.
        name: Identifier.
        title: What is drawn, with its unit.
        steps: Axis shared by all charts of a run.
        floor: Value that the axis must reach down to.
        mark: Remarkable step and its label.
    """
    if not points:
        return None
    drawn, averaged = thin(points)
    values = [y for _, y in drawn] + ([] if floor is None else [floor])
    y = axis(values)
    if floor is not None:
        y = Axis(low=floor, high=y.high)
    placed = [(steps.at(a), round(100 - y.at(b), 2)) for a, b in drawn]
    first, last = points[0], points[-1]
    lowest = min(points, key=lambda point: point[1])
    return LineChart(
        name=name,
        title=title,
        description=(
            f"From {number(first[1])} at step {first[0]:,.0f} to {number(last[1])} at step"
            f" {last[0]:,.0f}; lowest {number(lowest[1])} at step {lowest[0]:,.0f}."
        ),
        ticks_x=steps.ticks(6),
        ticks_y=y.ticks(6),
        line=Line(
            points=" ".join(f"{a:g},{b:g}" for a, b in placed),
            dots=tuple(placed) if len(placed) <= 30 else (),
        ),
        mark=(steps.at(mark[0]), mark[1]) if mark else None,
        averaged=averaged,
    )


@dataclass(frozen=True, kw_only=True)
class IntervalMark:
    """A value with its bounds on a horizontal axis, in percent; None: unknown.

    Attributes:
        value: The statistic.
        lower: Where the interval begins.
        upper: Where it ends.
        limit: The limit's position, where there is one.
        allowed: Side of the limit that passes, `below` or `above`; None where unknown.
        summary: The picture in words.
    """

    value: float | None
    lower: float | None
    upper: float | None
    summary: str
    limit: float | None = None
    allowed: str | None = None

    @classmethod
    def of(
        cls,
        estimate: Estimate,
        scale: Axis,
        *,
        summary: str,
        limit: float | None = None,
        allowed: str | None = None,
    ) -> Self:
        """Place an estimate, and the limit that it is held against, on a scale."""
        value, lower, upper, placed = (
            None if v is None else scale.at(v)
            for v in (estimate.value, estimate.lower, estimate.upper, limit)
        )
        return cls(
            value=value, lower=lower, upper=upper, summary=summary, limit=placed, allowed=allowed
        )
