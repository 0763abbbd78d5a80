"""How much more would tell: from the width of an interval to the number that a gate needs.

In: an interval that is neither surely within a limit nor surely beyond it.  Out: about how many
units like those measured would decide, were the value to stay where it is.  The half-width of a
mean goes with one over the square root of the number (that of a bootstrap nearly so), hence

    needed = n * (reach / distance)^2,

where the distance is that of the value from the limit, and the reach is that of the bound that has
to clear it.  For a rate without a single hit the exact bound is known: 1 - 0.05^(1/n).

It is an estimate for planning, and no promise: the value will move as well.
Source: the standard error of a mean; the bound of Clopper and Pearson, Biometrika 26 (1934).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.resampling import CONFIDENCE

# Beyond, the value lies on the limit as far as anybody can tell.
_MOST = 10**9


@dataclass(frozen=True, kw_only=True)
class Need:
    """What would tell.

    Attributes:
        what: Units, in the plural.
        have: How many there are.
        count: About how many are needed; None: no number would do while the value is at its limit.
        part: Of a plan of the evaluation, which brings them; empty: no plan does.
    """

    what: str
    have: int
    count: int | None
    part: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def sentence(self) -> str:
        """For a person."""
        if self.count is None:
            return (
                f"The value lies at its limit, so no number of {self.what} would tell"
                f" ({self.have:,} were there)."
            )
        return f"About {self.count:,} {self.what} would tell ({self.have:,} were there)."


def to_clear(interval: Interval, limit: float, *, what: str, part: str = "") -> Need:
    """What would bring the bound on the value's side of a limit to that side of it.

    Args:
        interval: Which holds the limit.
        limit: Of its value.
        what: Units of `interval.n`, in the plural.
        part: See `Need`.
    """
    inside = interval.value <= limit
    reach = interval.upper - interval.value if inside else interval.value - interval.lower
    distance = abs(interval.value - limit)
    count: int | None = None
    if math.isfinite(reach) and distance > 0 and reach / distance < math.sqrt(_MOST):
        count = max(interval.n + 1, math.ceil(interval.n * (reach / distance) ** 2))
    return Need(what=what, have=interval.n, count=count, part=part)


def to_clear_rate(rate: Interval, limit: float, *, what: str, part: str = "") -> Need:
    """The same for a rate; without a single hit the number is exact."""
    if rate.value > 0:
        return to_clear(rate, limit, what=what, part=part)
    count = max(rate.n + 1, trials_without_hits(limit, confidence=rate.confidence))
    return Need(what=what, have=rate.n, count=count, part=part)


def trials_without_hits(limit: float, *, confidence: float = CONFIDENCE) -> int:
    """So many trials without a single hit show a rate of at most the limit.

    Args:
        limit: Between 0 and 1.
        confidence: Of the bound.
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-limit))
