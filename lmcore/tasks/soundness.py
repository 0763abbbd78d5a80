"""The gates that ask whether a task's model is sound: `instrument`, `overfitting`.

* `instrument`: texts in a batch do not influence each other, padding changes nothing, probabilities
  sum to one, later words of a target never change what was predicted before them, no text names its
  own label, and the base model has not seen the text that is judged on;
* `overfitting`: how much better it is on examples that it learnt from, and whether the last
  weights are worse than the best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import InstrumentLimits, TaskLimits
from lmcore.evaluation.gates.result import GateResult, Outcome, judge_upper, worst
from lmcore.evaluation.intervals import (
    Interval,
    Sums,
    independent_difference_interval,
    ratio_interval,
)


@dataclass(frozen=True, kw_only=True)
class InstrumentFacts:
    """What was probed.

    Attributes:
        neighbours: Largest change of a score by the texts beside it.
        probability_sum: Largest distance of a sum of probabilities from one.
        causality: Largest change of an earlier score by a later word; None: nothing is written.
        own_label: Share of texts that hold their own label as a word; None: no labels.
        other_label: Share that holds a given other label.
        seen_by_base: Judged documents that the base model was trained on.
        documents: Judged documents.
        tokenizer_split: What the tokenizer was fitted on.
    """

    neighbours: float
    probability_sum: float
    causality: float | None
    own_label: float | None
    other_label: float | None
    seen_by_base: int
    documents: int
    tokenizer_split: str


def instrument(
    facts: InstrumentFacts, *, limits: InstrumentLimits, task: TaskLimits, required: bool
) -> GateResult:
    """Can the measurement be trusted?"""
    problems = []
    exact = {
        "the texts beside it change an answer": facts.neighbours,
        "probabilities do not sum to one": facts.probability_sum,
        "later words change earlier scores": facts.causality or 0.0,
    }
    largest = max(exact.values())
    problems += [f"{what} (by {v:.2g})" for what, v in exact.items() if not v <= limits.tolerance]
    own, other = facts.own_label, facts.other_label
    if own is not None and other is not None and own - other > task.max_own_label_share:
        problems.append(
            f"{own:.0%} of the texts hold their own label as a word and {other:.0%} another one, so"
            " the label is read off"
        )
    if facts.tokenizer_split != "train":
        problems.append(f"the tokenizer was fitted on {facts.tokenizer_split!r}")
    seen = facts.seen_by_base
    note = (
        f" {seen} of the held-out documents were training text of the base model and are left out."
        if seen
        else ""
    )
    return GateResult(
        gate="instrument",
        required=required,
        outcome="FAIL" if problems else "PASS",
        value=largest,
        limit=limits.tolerance,
        unit="nats",
        reason=(
            f"The measurement cannot be trusted: {'; '.join(problems)}.{note}"
            if problems
            else "The measurement can be trusted: a text is answered as if it were alone,"
            f" probabilities sum to one (all within {largest:.0e}), and no target is seen before"
            f" it is predicted.{note}"
        ),
        evidence=dict(facts.__dict__),
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
