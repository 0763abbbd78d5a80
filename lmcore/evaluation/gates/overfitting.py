"""Gate `overfitting`: does the model know its training text better than the language?

Three statistics, all with dropout off:

* the relative gap (validation - train) / validation in bits per byte, where train is text that
  was really consumed.  The two are different documents, and documents differ more in difficulty
  than models do in skill, so both sides are first corrected by what a reference that has seen
  neither finds them to cost (`lmcore.evaluation.memory.difficulty_reference`).  Two independent
  samples, bootstrapped together;
* bits per byte of the last weights minus those of the best ones on validation, paired; the best
  were chosen on the tune split, so validation is unused by the choice.  After an early stop it is
  reported and not judged: waiting a few looks beyond the best is how such a stop is found;
* the AUC of membership inference from the loss of passages, corrected by the same reference
  (`lmcore.evaluation.memory.membership`): a few passages learnt by heart show here first.

PASS: all upper bounds are within their limits.
Source: the gap is the generalisation gap of Zhang et al., arXiv:1611.03530, in relative form; the
correction is the control variate of Deng et al., WSDM 2013 ("CUPED"), its coefficient the pooled
regression slope within [0, 1]; the second is the late rise of the validation curve, Prechelt 1998.
"""

from __future__ import annotations

from collections.abc import Sequence

from lmcore.evaluation.config import OverfittingLimits
from lmcore.evaluation.gates.result import GateResult, Outcome, judge_upper, worst
from lmcore.evaluation.memory.difficulty_reference import Reference
from lmcore.evaluation.memory.membership import Membership
from lmcore.evaluation.scores.metrics import bits_per_byte_difference
from lmcore.evaluation.scores.table import NATS_PER_BIT, ScoreTable
from lmcore.evaluation.statistics.intervals import (
    RESAMPLES,
    Interval,
    Sums,
    independent_difference_interval,
)

NAME = "overfitting"


def overfitting(
    validation: ScoreTable,
    train: ScoreTable,
    *,
    reference: Reference,
    final: ScoreTable | None,
    stopped_early: bool = False,
    membership: Membership | None = None,
    limits: OverfittingLimits,
    required: bool,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> GateResult:
    """Compare unseen with consumed text, and the last weights with the best.

    Args:
        validation: Scores of the best weights on validation.
        train: Scores of the best weights on documents consumed in training.
        reference: Scores of the reference on the same documents.
        final: Scores of the last weights on validation; None where they are the best ones.
        stopped_early: Whether training ended because the tune split had stopped improving.
        membership: Passages of both kinds; None: membership is not judged.
        limits: Of all statistics.
        required: Whether promotion needs this gate.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Raises:
        EmptyEvaluationError: With fewer than two documents of either kind, or scores that are
            not finite.
    """
    sides = ((validation, reference.validation), (train, reference.train))
    slope = _slope(sides)
    difference = independent_difference_interval(
        *(_corrected(model, other, slope=slope) for model, other in sides),
        seed=seed,
        resamples=resamples,
    )
    seen, unseen = train.total_bits_per_byte(), validation.total_bits_per_byte()
    # The divisor is as good as known: its own uncertainty moves the bounds in the third digit.
    gap = Interval(
        value=difference.value / unseen,
        lower=difference.lower / unseen,
        upper=difference.upper / unseen,
        n=difference.n,
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
    auc = membership.auc() if membership is not None else None
    statistics: list[tuple[Outcome, Interval, float, str]] = [
        (gap_outcome, gap, limits.max_relative_gap, "share"),
        (turn_outcome, turn, limits.max_final_minus_best_bits_per_byte, "bits/byte"),
    ]
    auc_outcome: Outcome = "SKIPPED"
    if auc is not None and limits.max_membership_auc is not None:
        auc_outcome = judge_upper(auc, limits.max_membership_auc)
        statistics.append((auc_outcome, auc, limits.max_membership_auc, "AUC"))
    outcome = worst([found for found, *_ in statistics])
    _, decisive, limit, unit = next(item for item in statistics if item[0] == outcome)
    late = (
        "training stopped early and the best weights are kept"
        if stopped_early
        else f"the last weights are {turn.value:+.3f} bits per byte from the best (at most"
        f" {turn.upper:+.3f}, allowed {limits.max_final_minus_best_bits_per_byte:+.3f})"
    )
    reason = (
        f"Text it was trained on costs {seen:.3f} bits per byte and unseen text {unseen:.3f}; for"
        f" equally hard text that is a gap of {gap.value:.1%} (between {gap.lower:.1%} and"
        f" {gap.upper:.1%}, allowed {limits.max_relative_gap:.0%}); {late}."
    )
    if auc is not None:
        rule = (
            "reported, not judged"
            if limits.max_membership_auc is None
            else f"allowed {limits.max_membership_auc:.0%}"
        )
        reason += (
            " By its loss one can tell which of two passages it was trained on in"
            f" {auc.value:.0%} of cases (at most {auc.upper:.0%}, {rule}; a guess is right in"
            " 50 %)."
        )
    return GateResult(
        gate=NAME,
        required=required,
        outcome=outcome,
        value=decisive.value,
        lower=decisive.lower,
        upper=decisive.upper,
        limit=limit,
        unit=unit,
        reason=reason,
        evidence={
            "relative_gap": {**gap.to_json(), "outcome": gap_outcome},
            "final_minus_best": {**turn.to_json(), "outcome": turn_outcome},
            "membership_auc": None if auc is None else {**auc.to_json(), "outcome": auc_outcome},
            "final_is_best": final is None,
            "stopped_early": stopped_early,
            "train_bits_per_byte": seen,
            "validation_bits_per_byte": unseen,
            "uncorrected_gap": 1 - seen / unseen,
            "reference_slope": slope,
            "train_documents": len(train),
        },
    )


def _slope(sides: Sequence[tuple[ScoreTable, ScoreTable]]) -> float:
    """How much of the reference's spread within each side the model shares, from 0 to 1."""
    shared, spread = 0.0, 0.0
    for model, reference in sides:
        size = model.num_bytes / model.num_bytes.sum()
        own, other = (
            (nats - size * nats.sum()) / model.num_bytes.sum()
            for nats in (model.nll_nats, model.aligned(reference).nll_nats)
        )
        shared += float(own @ other)
        spread += float(other @ other)
    # A value that is not finite is left for the interval to refuse.
    return min(1.0, max(0.0, shared / spread)) if spread > 0 else 0.0


def _corrected(model: ScoreTable, reference: ScoreTable, *, slope: float) -> Sums:
    nats = model.nll_nats - slope * model.aligned(reference).nll_nats
    return Sums(numerator=nats / NATS_PER_BIT, denominator=model.num_bytes, cluster=model.cluster)
