"""A number with its bounds, its unit and how many it rests on: the shape of metrics and gates."""

from __future__ import annotations

from lmcore.reporting.text import SHARE, interval, number, one_line
from lmcore.reporting.values import Fact, Number, Text


class Estimate(Fact):
    """What was measured; None: unknown.

    Attributes:
        value: The statistic.
        lower: One-sided 95 % bound from below.
        upper: One-sided 95 % bound from above.
        unit: Of all three; `share` is shown in percent.
        n: How many it rests on.
    """

    value: Number = None
    lower: Number = None
    upper: Number = None
    unit: Text = ""
    n: Number = None

    @property
    def known(self) -> list[float]:
        """Those of value and bounds that are known."""
        return [v for v in (self.value, self.lower, self.upper) if v is not None]

    @property
    def width(self) -> float | None:
        """Of the interval."""
        if self.lower is None or self.upper is None:
            return None
        return self.upper - self.lower

    @property
    def shown(self) -> str:
        """The value, with the digits that its interval supports."""
        return number(self.value, unit=self.unit, width=self.width)

    @property
    def bounds(self) -> str:
        """`1.47 to 1.55`; empty where neither is known."""
        return interval(self.lower, self.upper, unit=self.unit)

    @property
    def shown_unit(self) -> str:
        """Empty for a share, whose value has its percent sign."""
        return "" if self.unit == SHARE else one_line(self.unit, 60)
