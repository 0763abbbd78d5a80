"""The gate `overfitting` of a task.

How much better it is on examples that it learnt from, and whether the last weights are worse than
the best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import TaskLimits
from lmcore.evaluation.gates.result import GateResult, Outcome, judge_upper, worst
from lmcore.evaluation.statistics.intervals import (
    Interval,
    Sums,
    independent_difference_interval,
    ratio_interval,
)


@dataclass(frozen=True, kw_only=True)
class FitFacts:
    """Examples that were learnt from beside held-out ones.

    Attributes:
        train: Sums by train document: what is right, or nats and tokens.
        validation: The same of held-out documents.
        relative: Whether the gap is relative to the held-out value (a loss), or absolute.
        final_minus_best: Nats on held-out documents: last weights minus best; None: the same.
        stopped_early: Whether training ended because it had stopped helping.
    """

    train: Sums
    validation: Sums
    relative: bool
    final_minus_best: Sums | None
    stopped_early: bool


def overfitting(
    facts: FitFacts, *, limits: TaskLimits, required: bool, seed: int, resamples: int
) -> GateResult:
    """Does it know its examples better than the task?"""
    options: dict[str, Any] = {"seed": seed, "resamples": resamples}
    first, second = (
        (facts.validation, facts.train) if facts.relative else (facts.train, facts.validation)
    )
    gap = independent_difference_interval(first, second, **options)
    seen, unseen = (
        float(np.sum(s.numerator) / np.sum(s.denominator)) for s in (facts.train, facts.validation)
    )
    if facts.relative:
        if unseen <= 0:
            raise EmptyEvaluationError("the loss on held-out text is zero")
        gap = Interval(
            value=gap.value / unseen, lower=gap.lower / unseen, upper=gap.upper / unseen, n=gap.n
        )
    limit = limits.max_loss_gap if facts.relative else limits.max_accuracy_gap
    outcomes: list[Outcome] = [judge_upper(gap, limit)]
    turn: Interval | None = None
    late = "the last weights are the best ones"
    if facts.final_minus_best is not None:
        sums = facts.final_minus_best
        turn = ratio_interval(sums.numerator, sums.denominator, sums.cluster, **options)
        allowed = limits.max_final_minus_best_nats
        late = f"the last weights are {turn.value:+.3f} nats from the best"
        if facts.stopped_early:
            late = "training stopped early and the best weights are kept"
        elif turn.lower > allowed:
            # It is the best weights that are kept, so only a late rise that is certain counts.
            outcomes.append("FAIL")
    what = (
        f"A token of a target that it learnt from costs {seen:.3f} nats and one of an unseen target"
        f" {unseen:.3f}"
        if facts.relative
        else f"It is right on {seen:.1%} of the texts that it learnt from and on {unseen:.1%} of"
        " the others"
    )
    return GateResult(
        gate="overfitting",
        required=required,
        outcome=worst(outcomes),
        value=gap.value,
        lower=gap.lower,
        upper=gap.upper,
        limit=limit,
        unit="share",
        reason=(
            f"{what}: a gap of {gap.value:.1%} (between {gap.lower:.1%} and {gap.upper:.1%},"
            f" allowed {limit:.0%}); {late}."
        ),
        evidence={
            "train": seen,
            "validation": unseen,
            "gap": gap.to_json(),
            "final_minus_best": turn.to_json() if turn else None,
            "stopped_early": facts.stopped_early,
        },
    )
