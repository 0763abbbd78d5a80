"""The gates that ask how good a task's answers are: `competence` and `champion`.

* `competence`: surely better than the bar (the most frequent class; a word-for-word dictionary; a
  random sentence), and, for sentiment, not surely far behind TF-IDF with logistic regression;
* `champion`: surely better than the champion on the same documents, by a margin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmcore.evaluation.config import TaskLimits
from lmcore.evaluation.gates.result import GateResult, Outcome
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.tasks.judging.metrics import Measured, mcnemar


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A model and what it is held against, on the same documents.

    Attributes:
        deciding: The metric that decides.
        bar: The same of the bar.
        bar_name: What the bar is.
        cluster: Of the documents.
        linear: The same of the linear baseline, where there is one.
    """

    deciding: Measured
    bar: Measured
    bar_name: str
    cluster: np.ndarray
    linear: Measured | None = None


def competence(
    found: Compared, *, limits: TaskLimits, required: bool, seed: int, resamples: int
) -> GateResult:
    """Is it surely better than the bar, and of use beside the linear baseline?"""
    options: dict[str, Any] = {"seed": seed, "resamples": resamples}
    own, bar = found.deciding, found.bar
    gain = own.minus(bar, found.cluster, **options)
    outcome = judge_lower(gain, 0.0)
    evidence: dict[str, Any] = {
        "metric": own.name,
        "value": own.value,
        "bar": found.bar_name,
        "bar_value": bar.value,
        "difference": gain.to_json(),
    }
    reason = (
        f"{_title(own)} is {_number(own, own.value)} against {_number(bar, bar.value)} of"
        f" {found.bar_name}, on the same {gain.n} documents"
    )
    reason += {
        "PASS": f"; better by at least {_number(own, gain.lower)}.",
        "FAIL": f"; not better: {_number(own, gain.upper)} at the very best.",
    }.get(outcome, f"; too close to call ({_range(own, gain)}).")
    if found.linear is not None:
        behind = found.linear.minus(own, found.cluster, **options)
        p = mcnemar(own.each, found.linear.each)
        evidence["linear"] = {
            "value": found.linear.value,
            "deficit": behind.to_json(),
            "mcnemar_p": p,
        }
        word = "behind" if behind.value > 0 else "ahead of"
        reason += (
            f" TF-IDF with logistic regression has {_number(own, found.linear.value)}:"
            f" {_number(own, abs(behind.value))} {word} it (McNemar's exact p {p:.2g})."
        )
        if behind.lower > limits.max_accuracy_deficit:
            outcome = "FAIL"
            reason += (
                " That is surely more than the"
                f" {_number(own, limits.max_accuracy_deficit)} that are tolerated."
            )
    return GateResult(
        gate="competence",
        required=required,
        outcome=outcome,
        value=gain.value,
        lower=gain.lower,
        upper=gain.upper,
        limit=0.0,
        unit=own.unit,
        reason=reason,
        evidence=evidence,
    )


@dataclass(frozen=True, kw_only=True)
class ChampionFacts:
    """The champion on the judged documents that it was not trained on.

    Attributes:
        version: Its number.
        theirs: Its metric; None where it cannot be compared.
        ours: The candidate's on the same documents.
        cluster: Of those documents.
        problem: Why it cannot be compared.
        seen: Documents left out because it was trained on them.
        removed: Documents that it learnt from and that were removed since.
    """

    version: int
    theirs: Measured | None = None
    ours: Measured | None = None
    cluster: np.ndarray = field(default_factory=lambda: np.zeros(0))
    problem: str = ""
    seen: int = 0
    removed: int = 0


def champion(
    facts: ChampionFacts | None,
    *,
    limits: TaskLimits,
    required: bool,
    seed: int,
    resamples: int,
) -> GateResult:
    """Is it better than the model in use?"""
    if facts is None:
        return GateResult(
            gate="champion",
            required=required,
            outcome="SKIPPED",
            reason="NO_BASELINE: this is the first version, so there is no champion to beat.",
            evidence={"code": "NO_BASELINE"},
        )
    if facts.theirs is None or facts.ours is None:
        return GateResult(
            gate="champion",
            required=required,
            outcome="INCONCLUSIVE",
            reason=(
                f"INCOMPARABLE: champion version {facts.version} cannot be scored on today's"
                f" documents ({facts.problem})."
            ),
            evidence={"code": "INCOMPARABLE", "champion": facts.version},
        )
    ours, theirs = facts.ours, facts.theirs
    margin = {
        "accuracy": limits.min_gain_accuracy,
        "bleu": limits.min_gain_bleu,
    }.get(ours.name, limits.min_gain_rouge)
    limit = -margin if facts.removed else margin
    gain = ours.minus(theirs, facts.cluster, seed=seed, resamples=resamples)
    outcome = judge_lower(gain, limit)
    evidence: dict[str, Any] = {
        "champion": facts.version,
        "metric": ours.name,
        "value": ours.value,
        "champion_value": theirs.value,
        "difference": gain.to_json(),
        "left_out_seen_by_champion": facts.seen,
        "removed_since_champion": facts.removed,
    }
    p = ""
    if ours.name == "accuracy":
        evidence["mcnemar_p"] = mcnemar(ours.each, theirs.each)
        p = f", McNemar's exact p {evidence['mcnemar_p']:.2g}"
    asked = (
        f"up to {_number(ours, margin)} less are tolerated, as {facts.removed} documents that the"
        " champion learnt from were removed since"
        if facts.removed
        else f"more than {_number(ours, margin)} are asked for"
    )
    tie = gain.value == gain.lower == gain.upper == 0.0
    return GateResult(
        gate="champion",
        required=required,
        outcome=outcome,
        value=gain.value,
        lower=gain.lower,
        upper=gain.upper,
        limit=limit,
        unit=ours.unit,
        reason=(
            f"A tie: every answer is as good as that of champion version {facts.version}, and a tie"
            " does not replace it."
            if tie and not facts.removed
            else f"{_title(ours)} is {_number(ours, ours.value)} against"
            f" {_number(ours, theirs.value)} of champion version {facts.version} on the same"
            f" {gain.n} documents ({_range(ours, gain)}{p}; {asked})."
        ),
        evidence=evidence,
    )


def judge_lower(interval: Interval, limit: float) -> Outcome:
    """PASS where the lower bound is above the limit, FAIL where the upper one is not."""
    if interval.lower > limit:
        return "PASS"
    return "FAIL" if interval.upper <= limit else "INCONCLUSIVE"


def _title(measured: Measured) -> str:
    names = {"accuracy": "Accuracy", "bleu": "BLEU", "chrf": "chrF", "rougeL": "ROUGE-L"}
    return names.get(measured.name, measured.name)


def _number(measured: Measured, value: float) -> str:
    return f"{value:.1%}" if measured.name == "accuracy" else f"{value:.3g}"


def _range(measured: Measured, interval: Interval) -> str:
    return (
        f"95 % bounds {_number(measured, interval.lower)} and {_number(measured, interval.upper)}"
    )
