"""Gate `competence`: is the model better than something simple?

Statistic: the deciding metric of the model minus that of a bar, paired by document.  The bar of a
language model is an interpolated Kneser-Ney byte n-gram (order 5 by default); that of a
classifier the most frequent class, of a translator a word-for-word dictionary, of a summarizer a
sentence at random.  PASS: surely better than the bar.  A second kind of bar may be ahead, but not
surely by more than is allowed (TF-IDF with logistic regression, for classifiers); further ones
are reported.  A language model that began with one that exists has a second bar of the first kind:
that model, untouched.
It catches a model that was registered but has learnt nothing worth its cost.
Source: the n-gram of Chen and Goodman, TR-10-98 (1998); pairing as in Miller,
arXiv:2411.00640, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmcore.counted import counted
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.baselines.baselines import ORDERS
from lmcore.evaluation.gates.result import GateResult, Outcome, judge_gain, needs, worst
from lmcore.evaluation.scores.scoring import measured_bits
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.power import to_clear
from lmcore.evaluation.statistics.resampling import STANDARD, Resampling

NAME = "competence"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a model is held against.

    Attributes:
        key: In the evidence.
        name: For people, after "of".
        measured: The deciding metric on the same documents.
        must_be_beaten: Whether the model has to be surely better.
        least_gain: By how much, in units of the metric; None: as the gate is told.
        may_be_ahead: How far it may surely be ahead; None: it is only reported.
    """

    key: str
    name: str
    measured: Measured
    must_be_beaten: bool = False
    least_gain: float | None = None
    may_be_ahead: float | None = None


def ngram_bars(scores: Mapping[int, ScoreTable], *, order: int) -> list[Bar]:
    """The byte n-grams of a language model.

    Args:
        scores: Of validation, by order.
        order: Which one has to be beaten.

    Raises:
        EmptyEvaluationError: If that one was not scored.
    """
    if order not in scores:
        raise EmptyEvaluationError(f"the byte {order}-gram was not scored")
    return [
        Bar(
            key=f"kn{k}",
            name=f"a simple byte {k}-gram",
            measured=measured_bits(scores[k]),
            must_be_beaten=k == order,
        )
        for k in ORDERS
        if k in scores
    ]


def beginning_bar(scores: ScoreTable | None) -> list[Bar]:
    """The model that a language model began with; none where that is random weights."""
    if scores is None:
        return []
    return [
        Bar(
            key="untouched",
            name="the model that it began with, untouched",
            measured=measured_bits(scores),
            must_be_beaten=True,
            least_gain=0.0,
        )
    ]


def competence(
    model: Measured,
    bars: Sequence[Bar],
    *,
    least_gain: float = 0.0,
    required: bool,
    resampling: Resampling = STANDARD,
) -> GateResult:
    """Compare with the bars on the same documents.

    Args:
        model: The deciding metric of the model on validation.
        bars: At least one of them has to be beaten.
        least_gain: By how much, in units of the metric.
        required: Whether promotion needs this gate.
        resampling: Of the bootstrap.

    Raises:
        AlignmentError: If a bar was not measured on the same documents.
        EmptyEvaluationError: With fewer than two documents, or values that are not finite.
    """
    metric = model.metric
    differences = {bar.key: model.minus(bar.measured, resampling=resampling) for bar in bars}
    gains = {
        key: found if metric.higher_is_better else found.negated()
        for key, found in differences.items()
    }
    asked = {
        bar.key: least_gain if bar.least_gain is None else bar.least_gain
        for bar in bars
        if bar.must_be_beaten
    }
    outcomes = {key: judge_gain(gains[key], least) for key, least in asked.items()}
    outcome = worst(list(outcomes.values()))
    bar = next(bar for bar in bars if outcomes.get(bar.key) == outcome)
    gain, decisive, least_gain = gains[bar.key], differences[bar.key], asked[bar.key]
    reason = f"{metric.heading} is {model.shown()} against " + ", and against ".join(
        _beside(other, outcomes[other.key], gains[other.key], differences[other.key])
        for other in bars
        if other.key in outcomes
    )
    chances: dict[str, Mapping[str, Any]] = {}
    for other in (bar for bar in bars if bar.may_be_ahead is not None):
        assert other.may_be_ahead is not None
        ahead = gains[other.key].negated()
        chances[other.key] = model.chances(other.measured, resampling=resampling)
        word = "behind" if ahead.value > 0 else "ahead of"
        reason += (
            f". {other.name[0].upper()}{other.name[1:]} has {other.measured.shown()}:"
            f" {metric.shown(abs(ahead.value))} {word} it"
        )
        if ahead.lower > other.may_be_ahead:
            outcome = "FAIL"
            reason += f", surely more than the {metric.shown(other.may_be_ahead)} that is tolerated"
    return GateResult(
        gate=NAME,
        required=required,
        outcome=outcome,
        value=decisive.value,
        lower=decisive.lower,
        upper=decisive.upper,
        # Not minus zero.
        limit=metric.direction * least_gain + 0.0,
        unit=metric.unit,
        reason=f"{reason}.",
        evidence={
            "metric": metric.name,
            "value": model.value,
            "bar": bar.key,
            "bars": {bar.key: bar.measured.value for bar in bars},
            "differences": {key: found.to_json() for key, found in differences.items()},
            "chances": chances,
            **needs(
                to_clear(gain, least_gain, what="documents", part="validation_documents")
                if outcome == "INCONCLUSIVE"
                else None
            ),
        },
    )


def _beside(bar: Bar, outcome: Outcome, gain: Interval, difference: Interval) -> str:
    metric = bar.measured.metric
    verdict = {
        "PASS": f"better by at least {metric.shown(gain.lower)}",
        "FAIL": f"not better: {metric.shown(gain.upper, sign='+')} at the very best",
    }.get(outcome, f"too close to call (95 % bounds {metric.bounds(difference)})")
    return (
        f"{bar.measured.shown()} of {bar.name}, on the same {counted(gain.n, 'document')};"
        f" {verdict}"
    )
