"""Moments as text, and a scale of time with round labels."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lmcore.reporting.charts import Axis, Tick

_DAY = 86_400.0
_TIME_STEPS = (
    *(60.0, 300.0, 900.0, 3_600.0, 3 * 3_600.0, 6 * 3_600.0, 12 * 3_600.0),
    *(_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY),
)
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)


def moment(value: datetime) -> str:
    """A time as `2026-03-04 14:05`."""
    return f"{value:%Y-%m-%d %H:%M}"


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
