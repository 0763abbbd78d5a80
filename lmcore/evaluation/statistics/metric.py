"""A metric as a value: its name, how it is written, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what names a metric need not be able to compute one
    from lmcore.evaluation.statistics.intervals import Interval


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a number is called, how it is written, and which way is better.

    Attributes:
        name: In the contract.
        title: For people.
        unit: Of its values.
        higher_is_better: Which way.
        places: How it is written, as a format specification.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool = True
    places: str = ".3f"

    @property
    def heading(self) -> str:
        """The title at the beginning of a sentence."""
        return self.title[0].upper() + self.title[1:]

    @property
    def direction(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.higher_is_better else -1

    @property
    def is_share(self) -> bool:
        """Whether it lies between 0 and 1."""
        return self.unit == "share"

    def shown(self, value: float, *, sign: str = "") -> str:
        """A value as people read it; `+` shows the sign of a difference."""
        return f"{value:{sign}{self.places}}"

    def bounds(self, found: Interval) -> str:
        """Both bounds of a difference."""
        return f"{self.shown(found.lower, sign='+')} and {self.shown(found.upper, sign='+')}"
