"""How much is asked of the models of an evaluation: a budget in seconds, turned into counts once.

In: what could be asked of them (`Part`: how many, and what so many cost), which gate needs how many
of it at least (`Stage`, in the order of need), and the seconds that there are.  Out: an
`EvaluationPlan`, which is written down before the first score.  Everything after it is a function
of its counts, so an evaluation that was killed goes on with the same ones, whatever the clock says
then.

The rule has two steps.  First every part gets its least, in the order of the stages, until one does
not fit; those behind it get nothing, so that a little money never buys what comes last.  Where all
fit, the rest is shared: each part gets the same fraction of what it still lacks.  A larger budget
therefore never gives fewer of anything, and nothing is ever more than without a budget.

It covers the time of the models alone.  Counting words and resampling documents cost the same
whatever the model is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from lmcore.settings import Section

#: In the folder of an evaluation.
PLAN_FILE = "plan.json"
# The fraction of what is lacking is found to this share.
_SHARES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that can be asked of the models more or less often.

    Attributes:
        title: In the plural, for people.
        most: How often without a budget.
        seconds: What so many cost; never falls.
        floor: So many are asked whatever it costs: without them there is no evaluation at all.
    """

    title: str
    most: int
    seconds: Callable[[int], float]
    floor: int = 0


class Amount(Section):
    """What became of one part.

    Attributes:
        title: In the plural, for people.
        planned: So many are asked.
        most: So many would be asked without a budget.
        seconds: What those planned cost by the probe.
    """

    title: str = ""
    planned: int = Field(ge=0)
    most: int = Field(ge=0)
    seconds: float


class Stage(Section):
    """What somebody needs at least.

    Attributes:
        gate: Who; empty: the report.
        part: Of what.
        least: With fewer there is no answer.
        budget_seconds: Of the smallest budget that reaches it.
    """

    gate: str
    part: str
    least: int
    budget_seconds: float = 0.0


class EvaluationPlan(Section):
    """Counts of an evaluation, resolved.

    Attributes:
        budget_seconds: As configured; None: everything is asked as often as it is configured.
        probe_seconds: Of it went into measuring how fast the models are.
        seconds: What the plan costs by its own arithmetic, the probe included.
        full_seconds: The smallest budget under which nothing is left out.
        amounts: By part; empty without a budget.
        stages: In the order of need.
        speeds: What was measured, by name.
    """

    schema_version: int = 1
    budget_seconds: float | None = None
    probe_seconds: float = 0.0
    seconds: float = 0.0
    full_seconds: float = 0.0
    amounts: dict[str, Amount] = Field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    speeds: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def of(
        cls,
        parts: Mapping[str, Part],
        stages: Sequence[Stage],
        *,
        budget_seconds: float,
        probe_seconds: float = 0.0,
        speeds: Mapping[str, float] | None = None,
    ) -> Self:
        """Share a budget.

        Args:
            parts: By name.
            stages: In the order of need; a part may come twice, with more the second time.
            budget_seconds: For all.
            probe_seconds: Were spent already.
            speeds: To be recorded.
        """
        counts = shared(parts, stages, seconds=budget_seconds - probe_seconds)
        most = {name: part.most for name, part in parts.items()}
        reached, priced = _floors(parts), []
        for stage in stages:
            reached = _raised(reached, parts, stage)
            price = probe_seconds + _cost(parts, reached)
            priced.append(stage.model_copy(update={"budget_seconds": price}))
        return cls(
            budget_seconds=budget_seconds,
            probe_seconds=probe_seconds,
            seconds=probe_seconds + _cost(parts, counts),
            full_seconds=probe_seconds + _cost(parts, most),
            amounts={
                name: Amount(
                    title=part.title,
                    planned=counts[name],
                    most=part.most,
                    seconds=part.seconds(counts[name]),
                )
                for name, part in parts.items()
            },
            stages=tuple(priced),
            speeds=dict(speeds or {}),
        )

    def count(self, part: str, configured: int) -> int:
        """How many of a part are asked; as many as configured where nothing limits it."""
        amount = self.amounts.get(part)
        return configured if amount is None else min(configured, amount.planned)

    def limit(self, part: str) -> int | None:
        """The same where nothing is configured beforehand: None is all."""
        amount = self.amounts.get(part)
        return None if amount is None else amount.planned

    def lacking(self, gate: str) -> Stage | None:
        """The last need of a gate that the budget does not reach, and the data would; or None."""
        missing = [
            stage
            for stage in self.stages
            if stage.gate == gate
            and self.amounts[stage.part].planned < min(stage.least, self.amounts[stage.part].most)
        ]
        return missing[-1] if missing else None

    def budget_for(self, part: str, count: int) -> float | None:
        """About the budget under which so many of a part are asked; None: there are not so many."""
        amount = self.amounts.get(part)
        if amount is None or count > amount.most:
            return None
        least = max((s.least for s in self.stages if s.part == part), default=0)
        start = self.stages[-1].budget_seconds if self.stages else self.probe_seconds
        if count <= least or amount.most <= least:
            return start
        share = (count - least) / (amount.most - least)
        return start + share * (self.full_seconds - start)

    def sentence(self) -> str:
        """What was asked and why, for a person; empty without a budget."""
        if self.budget_seconds is None:
            return ""
        told = ", ".join(
            f"{amount.planned:,} of {amount.most:,} {amount.title}"
            for amount in self.amounts.values()
            if amount.most
        )
        over = (
            f" (about {self.seconds:,.0f}, as what cannot be left out takes longer)"
            if self.seconds > self.budget_seconds
            else ""
        )
        return f"within {self.budget_seconds:,.0f} seconds of the models' time{over}: {told}"


#: Without a budget.
AS_CONFIGURED = EvaluationPlan()


def shared(parts: Mapping[str, Part], stages: Sequence[Stage], *, seconds: float) -> dict[str, int]:
    """How many of each part fit into so many seconds; see the module.

    Args:
        parts: By name.
        stages: In the order of need.
        seconds: For all parts together; the floors are kept even where they do not fit.
    """
    found = _floors(parts)
    for stage in stages:
        raised = _raised(found, parts, stage)
        if _cost(parts, raised) > seconds:
            return found
        found = raised
    low, high = 0, _SHARES + 1  # of the shares, `low` fits
    while high - low > 1:
        middle = (low + high) // 2
        if _cost(parts, _towards(found, parts, middle)) <= seconds:
            low = middle
        else:
            high = middle
    return _towards(found, parts, low)


def _floors(parts: Mapping[str, Part]) -> dict[str, int]:
    return {name: min(part.floor, part.most) for name, part in parts.items()}


def _raised(counts: Mapping[str, int], parts: Mapping[str, Part], stage: Stage) -> dict[str, int]:
    name = stage.part
    return {**counts, name: max(counts[name], min(stage.least, parts[name].most))}


def _cost(parts: Mapping[str, Part], counts: Mapping[str, int]) -> float:
    return sum(part.seconds(counts[name]) for name, part in parts.items())


def _towards(least: Mapping[str, int], parts: Mapping[str, Part], shares: int) -> dict[str, int]:
    """So many of `_SHARES` shares of the way from the least to the most."""
    return {
        name: least[name] + (part.most - least[name]) * shares // _SHARES
        for name, part in parts.items()
    }
