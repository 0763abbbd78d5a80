"""What a gate answers, and how answers become a verdict.

A bound decides, never a bare number: PASS where the one-sided 95 % bound is inside the
limit, FAIL where the opposite bound is outside, INCONCLUSIVE in between.  A verdict is the
conjunction of the required gates, so no correction for many tests is needed: each of them
may be wrong in 5 % of cases, all of them together are wrong less often.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lmcore.errors import EmptyEvaluationError, NotFiniteError
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.measured import AlignmentError
from lmcore.evaluation.statistics.power import Need

Outcome = Literal["PASS", "FAIL", "INCONCLUSIVE", "WARN", "SKIPPED"]

_WORST_FIRST: tuple[Outcome, ...] = ("FAIL", "INCONCLUSIVE", "WARN", "PASS", "SKIPPED")


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """One gate's answer.

    Attributes:
        gate: Name, as in gates.yaml.
        required: Whether promotion needs it.
        outcome: PASS, FAIL, INCONCLUSIVE, WARN or SKIPPED.
        value: The statistic that decided.
        lower: Its one-sided 95 % lower bound.
        upper: Its one-sided 95 % upper bound.
        limit: What the bound is held against.
        unit: Of all four.
        reason: One sentence for a person who knows neither the statistic nor the code.
        evidence: Everything else that was measured, as JSON values.
    """

    gate: str
    required: bool
    outcome: Outcome
    reason: str
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    limit: float | None = None
    unit: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON values; a number that is not finite becomes null."""
        numbers = {name: _finite(getattr(self, name)) for name in _NUMBERS}
        return {
            "gate": self.gate,
            "required": self.required,
            "outcome": self.outcome,
            **numbers,
            "unit": self.unit,
            "reason": self.reason,
            "evidence": _plain(self.evidence),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> GateResult:
        """What `to_json` gave."""
        return cls(**raw)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All gates' answers and what they mean together."""

    results: Sequence[GateResult]

    @property
    def blocking(self) -> Sequence[GateResult]:
        """Required gates that keep the model from promotion, worst first."""
        found = [
            result
            for result in self.results
            if result.required and result.outcome in ("FAIL", "INCONCLUSIVE")
        ]
        return sorted(found, key=lambda result: _WORST_FIRST.index(result.outcome))

    @property
    def passed(self) -> bool:
        """No required gate blocks, and at least one required gate was really passed."""
        return not self.blocking and any(
            result.required and result.outcome == "PASS" for result in self.results
        )

    @property
    def outcome(self) -> Outcome:
        """Of the required gates together."""
        if self.passed:
            return "PASS"
        return self.blocking[0].outcome if self.blocking else "INCONCLUSIVE"

    @property
    def reason(self) -> str:
        """All is well, or every gate that is not, worst first."""
        if blocking := self.blocking:
            return " ".join(f"gate {one.gate}: {one.outcome}: {one.reason}" for one in blocking)
        if not self.passed:
            return "no required gate was evaluated, so nothing speaks for this model"
        required = [result for result in self.results if result.required]
        skipped = [result.gate for result in required if result.outcome == "SKIPPED"]
        if skipped:
            passed = len(required) - len(skipped)
            return f"{passed} required gates passed, {', '.join(skipped)} skipped"
        return f"all {len(required)} required gates passed"


def judge_upper(interval: Interval, limit: float, *, strict: bool = False) -> Outcome:
    """PASS where the upper bound is at most (strict: below) the limit, FAIL where the lower is not.

    Never PASS for a bound that is not a number.
    """
    if (interval.upper < limit) if strict else (interval.upper <= limit):
        return "PASS"
    if (interval.lower >= limit) if strict else (interval.lower > limit):
        return "FAIL"
    return "INCONCLUSIVE"


def judge_gain(gain: Interval, least: float) -> Outcome:
    """PASS where the gain is surely above what is asked for, FAIL where it surely is not.

    Args:
        gain: How much better, whatever the direction of the metric.
        least: Below zero, a loss that is tolerated.
    """
    return judge_upper(gain.negated(), -least, strict=True)


def needs(need: Need | None) -> dict[str, Any]:
    """What would tell, as the part of the evidence that `ask` makes a sentence of."""
    return {} if need is None else {"needs": need.to_json()}


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome of a conjunction."""
    return min(outcomes, key=_WORST_FIRST.index)


def guarded(gate: str, *, required: bool, judge: Callable[[bool], GateResult]) -> GateResult:
    """Run one gate: without evidence it is INCONCLUSIVE, with NaN it fails; neither is a PASS.

    One gate's trouble does not stop the others.
    """
    try:
        return judge(required)
    except NotFiniteError as error:
        return GateResult(
            gate=gate,
            required=required,
            outcome="FAIL",
            reason=f"Not a number: {error}.",
            evidence={"code": "NOT_FINITE"},
        )
    except (EmptyEvaluationError, AlignmentError) as error:
        return GateResult(
            gate=gate,
            required=required,
            outcome="INCONCLUSIVE",
            reason=f"Cannot be judged: {error}.",
            evidence={"code": "NO_EVIDENCE"},
        )


_NUMBERS = ("value", "lower", "upper", "limit")


def _plain(value: Any) -> Any:
    """JSON values; a number that is not finite becomes its name, as it must stay visible."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _finite(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else float(number)
