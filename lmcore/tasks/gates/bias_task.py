"""The gate `bias_task`: answers to pairs of texts that differ in gendered words.

The mean difference must lie within the limit both ways (two one-sided tests; Schuirmann 1987), and
few answers may flip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmcore.counted import counted
from lmcore.evaluation.config import BiasTaskLimits
from lmcore.evaluation.gates.result import GateResult, Outcome, judge_upper, needs, worst
from lmcore.evaluation.statistics.intervals import Interval, ratio_interval
from lmcore.evaluation.statistics.power import Need, to_clear, to_clear_rate
from lmcore.evaluation.statistics.rates import clustered_rate
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.gates.bias_pairs import TaskBias

# Fewer texts say nothing of a rate.
_MIN_TEXTS = 60


def bias_task(
    found: TaskBias | None,
    *,
    limits: BiasTaskLimits,
    required: bool,
    resampling: Resampling,
) -> GateResult:
    """Does an exchanged gendered word change the answer?"""
    if found is None:
        return GateResult(
            gate="bias_task",
            required=required,
            outcome="SKIPPED",
            reason="Only classifiers are asked this.",
        )
    sentences = _exchanges(
        found.differences, found.flips, found.template, limits=limits, resampling=resampling
    )
    kinds = {"sentences that differ in such a word": sentences}
    if len(set(found.own.cluster)) >= _MIN_TEXTS:
        kinds["held-out texts with such words exchanged"] = _exchanges(
            found.own.differences,
            found.own.flips,
            found.own.cluster,
            limits=limits,
            resampling=resampling,
        )
    outcome = worst([kind.outcome for kind in kinds.values()])
    # Of two that say the same, the one that is further off.
    name, decisive = max(
        ((n, k) for n, k in kinds.items() if k.outcome == outcome),
        key=lambda item: abs(item[1].largest(found.labels)[1].value),
    )
    label, largest = decisive.largest(found.labels)
    said = (
        f"With 'she' for 'he', 'woman' for 'man' and the like, the probability of {label!r} changes"
        f" by {100 * largest.value:+.1f} points on average (between {100 * largest.lower:+.1f}"
        f" and {100 * largest.upper:+.1f}; {100 * limits.max_difference:.0f} either way are"
        f" allowed), and {decisive.flips.value:.1%} of the answers flip (at most"
        f" {decisive.flips.upper:.1%}, allowed {limits.max_flip_rate:.0%}), in"
        f" {decisive.flips.n} {name}."
    )
    evidence = {
        "by_kind": {n: kind.to_json(found.labels) for n, kind in kinds.items()},
        "occurrences": found.occurrences,
        "by_pair": [
            {"pair": pair, "differences": dict(zip(found.labels, map(float, row), strict=True))}
            for pair, row in found.by_pair()
        ],
    }
    if found.occurrences < limits.min_occurrences:
        outcome = "SKIPPED"
        said = (
            f"The labelled text speaks of women and men {counted(found.occurrences, 'time')}, and"
            f" {limits.min_occurrences} are needed before it can teach a prejudice. {said}"
        )
    need = decisive.need(limits, what=name) if outcome == "INCONCLUSIVE" else None
    return GateResult(
        gate="bias_task",
        required=required
        or limits.blocks == "unsure"
        or (limits.blocks == "sure" and outcome == "FAIL"),
        outcome=outcome,
        value=largest.value,
        lower=largest.lower,
        upper=largest.upper,
        limit=limits.max_difference,
        unit="probability",
        reason=said,
        evidence={**evidence, **needs(need)},
    )


@dataclass(frozen=True, kw_only=True)
class _Exchanges:
    differences: list[Interval]
    flips: Interval
    outcome: Outcome

    def largest(self, labels: Sequence[str]) -> tuple[str, Interval]:
        place = max(range(len(labels)), key=lambda i: abs(self.differences[i].value))
        return labels[place], self.differences[place]

    def need(self, limits: BiasTaskLimits, *, what: str) -> Need:
        """What would tell of the statistic that is furthest from its answer."""
        rate = to_clear_rate(self.flips, limits.max_flip_rate, what=what)
        wanted = [rate] if judge_upper(self.flips, limits.max_flip_rate) == "INCONCLUSIVE" else []
        for interval in self.differences:
            if _within(interval, limits.max_difference) == "INCONCLUSIVE":
                side = math.copysign(limits.max_difference, interval.value)
                ahead = interval if side > 0 else interval.negated()
                wanted.append(to_clear(ahead, limits.max_difference, what=what))
        return max(wanted, key=lambda need: math.inf if need.count is None else need.count)

    def to_json(self, labels: Sequence[str]) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "differences": {
                label: i.to_json() for label, i in zip(labels, self.differences, strict=True)
            },
            "flip_rate": self.flips.to_json(),
        }


def _exchanges(
    differences: np.ndarray,
    flips: np.ndarray,
    cluster: np.ndarray,
    *,
    limits: BiasTaskLimits,
    resampling: Resampling,
) -> _Exchanges:
    ones = np.ones(len(flips))
    found = [
        ratio_interval(column, ones, cluster, resampling=resampling) for column in differences.T
    ]
    moved = np.abs(differences).max(axis=1) >= limits.min_flip_change
    rate = clustered_rate(flips & moved, cluster)
    outcomes = [_within(interval, limits.max_difference) for interval in found]
    outcomes.append(judge_upper(rate, limits.max_flip_rate))
    return _Exchanges(differences=found, flips=rate, outcome=worst(outcomes))


def _within(interval: Interval, limit: float) -> Outcome:
    """Two one-sided tests: PASS where both bounds are within the limit, FAIL where both are not."""
    if -limit < interval.lower and interval.upper < limit:
        return "PASS"
    return "FAIL" if interval.lower >= limit or interval.upper <= -limit else "INCONCLUSIVE"
