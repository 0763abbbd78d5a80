"""Gate `overfitting`: does the model know its training text better than the language?

Two statistics, both with dropout off:

* the relative gap (validation - train) / validation in bits per byte, where train is text that
  was really consumed; two independent samples, bootstrapped together;
* bits per byte of the last weights minus those of the best ones on validation, paired; the best
  were chosen on the tune split, so validation is unused by the choice.  After an early stop it is
  reported and not judged: waiting a few looks beyond the best is how such a stop is found.

PASS: both upper bounds are within their limits.
Source: the gap is the generalisation gap of Zhang et al., arXiv:1611.03530, in relative form;
the second is the late rise of the validation curve, Prechelt 1998.
"""

from __future__ import annotations

from lmcore.evaluation.config import OverfittingLimits
from lmcore.evaluation.gates.result import GateResult, Outcome, judge_upper, worst
from lmcore.evaluation.intervals import RESAMPLES, Interval, relative_gap_interval
from lmcore.evaluation.metrics import bits_per_byte_difference
from lmcore.evaluation.scores import ScoreTable

NAME = "overfitting"


def overfitting(
    validation: ScoreTable,
    train: ScoreTable,
    *,
    final: ScoreTable | None,
    stopped_early: bool = False,
    limits: OverfittingLimits,
    required: bool,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> GateResult:
    """Compare unseen with consumed text, and the last weights with the best.

    Args:
        validation: Scores of the best weights on validation.
        train: Scores of the best weights on documents consumed in training.
        final: Scores of the last weights on validation; None where they are the best ones.
        stopped_early: Whether training ended because the tune split had stopped improving.
        limits: Of both statistics.
        required: Whether promotion needs this gate.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Raises:
        EmptyEvaluationError: With fewer than two documents of either kind, or scores that are
            not finite.
    """
    gap = relative_gap_interval(
        (validation.nll_nats, validation.num_bytes, validation.cluster),
        (train.nll_nats, train.num_bytes, train.cluster),
        seed=seed,
        resamples=resamples,
    )
    turn = (
        Interval(value=0.0, lower=0.0, upper=0.0, n=gap.n)
        if final is None
        else bits_per_byte_difference(final, validation, seed=seed, resamples=resamples)
    )
    gap_outcome = judge_upper(gap, limits.max_relative_gap)
    turn_outcome: Outcome = (
        "SKIPPED" if stopped_early else judge_upper(turn, limits.max_final_minus_best_bits_per_byte)
    )
    outcome = worst([gap_outcome, turn_outcome])
    gap_decides = gap_outcome == outcome
    decisive = gap if gap_decides else turn
    seen, unseen = train.total_bits_per_byte(), validation.total_bits_per_byte()
    late = (
        "training stopped early and the best weights are kept"
        if stopped_early
        else f"the last weights are {turn.value:+.3f} bits per byte from the best (at most"
        f" {turn.upper:+.3f}, allowed {limits.max_final_minus_best_bits_per_byte:+.3f})"
    )
    reason = (
        f"Text it was trained on costs {seen:.3f} bits per byte and unseen text {unseen:.3f}, a gap"
        f" of {gap.value:.1%} (between {gap.lower:.1%} and {gap.upper:.1%}, allowed"
        f" {limits.max_relative_gap:.0%}); {late}."
    )
    return GateResult(
        gate=NAME,
        required=required,
        outcome=outcome,
        value=decisive.value,
        lower=decisive.lower,
        upper=decisive.upper,
        limit=(
            limits.max_relative_gap if gap_decides else limits.max_final_minus_best_bits_per_byte
        ),
        unit="share" if gap_decides else "bits/byte",
        reason=reason,
        evidence={
            "relative_gap": {**gap.to_json(), "outcome": gap_outcome},
            "final_minus_best": {**turn.to_json(), "outcome": turn_outcome},
            "final_is_best": final is None,
            "stopped_early": stopped_early,
            "train_bits_per_byte": seen,
            "validation_bits_per_byte": unseen,
            "train_documents": len(train),
        },
    )
