"""Gate `overfitting`: does the model know what it learnt from better than the language or the task?

Three statistics, all with dropout off:

* the gap between what it learnt from and what it has not seen, in a metric (bits per byte,
  nats of a target's token, accuracy), relative where the metric is a loss.  The two are different
  documents, and documents differ more in difficulty than models do in skill, so both sides of a
  language model are first corrected by what a reference finds them to cost: n-grams that have seen
  neither (`lmcore.evaluation.memory.difficulty_reference`), or the model that the candidate began
  with, which has seen both alike.  Two independent samples, bootstrapped together;
* the loss of the last weights minus that of the best ones on validation, paired; the best
  were chosen on the tune split, so validation is unused by the choice.  The best weights are kept
  and serve, so it is reported, and judged only where a limit is given; after an early stop never,
  as waiting a few looks beyond the best is how such a stop is found;
* for language models, the AUC of membership inference from the loss of passages, corrected by the
  n-grams (`lmcore.evaluation.memory.membership`): a few passages learnt by heart show here
  first.

The first and the third are asked of the weights that were kept.  PASS: all upper bounds are within
their limits.
Source: the gap is the generalisation gap of Zhang et al., arXiv:1611.03530; the
correction is the control variate of Deng et al., WSDM 2013 ("CUPED"), its coefficient the pooled
regression slope within [0, 1]; the second is the late rise of the validation curve, Prechelt 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.result import GateResult, Outcome, judge_upper, needs, worst
from lmcore.evaluation.memory.difficulty_reference import Reference
from lmcore.evaluation.memory.membership import Membership
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE, measured_bits
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.metric import Metric
from lmcore.evaluation.statistics.power import to_clear
from lmcore.evaluation.statistics.resampling import STANDARD, Resampling

NAME = "overfitting"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What was learnt from beside what was not.

    Attributes:
        seen: The metric on documents consumed in training.
        unseen: The same on validation.
        equally_hard: Both sides corrected for how hard their documents are; None: taken as alike.
        best: The loss of the weights that were kept, on validation.
        last: The loss of the last weights on the same; None where they are the best ones.
        stopped_early: Whether training ended because the tune split had stopped improving.
        membership: AUC of telling what was learnt from by its loss; None: not measured.
    """

    seen: Measured
    unseen: Measured
    equally_hard: tuple[Measured, Measured] | None = None
    best: Measured
    last: Measured | None
    stopped_early: bool
    membership: Interval | None = None

    def gap(self, *, resampling: Resampling = STANDARD) -> Interval:
        """How much better it is on what it learnt from; of a loss, as a share of the unseen one."""
        seen, unseen = self.equally_hard or (self.seen, self.unseen)
        if self.seen.metric.higher_is_better:
            return seen.minus_unpaired(unseen, resampling=resampling)
        found = unseen.minus_unpaired(seen, resampling=resampling)
        if self.unseen.value <= 0:
            raise EmptyEvaluationError("the loss on held-out text is zero")
        # The divisor is as good as known: its own uncertainty moves the bounds in the third digit.
        return found.over(self.unseen.value)


@dataclass(frozen=True, kw_only=True)
class FitLimits:
    """How far each statistic may go.

    Attributes:
        max_gap: A share, of the loss or of the documents.
        max_late_rise: Of the last weights over the best, in units of the loss; None: reported and
            not judged.
        unsure_late_rise: What a rise means that is surely neither within the limit nor beyond.
        max_membership: AUC; None: reported and not judged.
    """

    max_gap: float
    max_late_rise: float | None
    unsure_late_rise: Outcome
    max_membership: float | None = None

    @classmethod
    def of(cls, gates: GatesConfig, metric: Metric) -> FitLimits:
        """As gates.yaml has them for the metric of the gap."""
        if metric == BITS_PER_BYTE:
            return cls(
                max_gap=gates.overfitting.max_relative_gap,
                max_late_rise=gates.overfitting.max_final_minus_best_bits_per_byte,
                unsure_late_rise="INCONCLUSIVE",
                max_membership=gates.overfitting.max_membership_auc,
            )
        limits = gates.tasks
        return cls(
            max_gap=limits.max_accuracy_gap if metric.is_share else limits.max_loss_gap,
            max_late_rise=limits.max_final_minus_best_nats,
            # The best weights are kept, so only a rise that is sure counts.
            unsure_late_rise="PASS",
        )


def fit_of_language(
    validation: ScoreTable,
    train: ScoreTable,
    *,
    reference: Reference,
    final: ScoreTable | None,
    stopped_early: bool = False,
    membership: Membership | None = None,
) -> Fit:
    """The evidence of a language model.

    Args:
        validation: Scores of the best weights on validation.
        train: Scores of the best weights on documents consumed in training.
        reference: Scores of the reference on the same documents.
        final: Scores of the last weights on validation; None where they are the best ones.
        stopped_early: See `Fit`.
        membership: Passages of both kinds; None: membership is not judged.
    """
    sides = ((validation, reference.validation), (train, reference.train))
    slope = _slope(sides)
    unseen, seen = (_corrected(model, other, slope=slope) for model, other in sides)
    return Fit(
        seen=measured_bits(train),
        unseen=measured_bits(validation),
        equally_hard=(seen, unseen),
        best=measured_bits(validation),
        last=None if final is None else measured_bits(final),
        stopped_early=stopped_early,
        membership=None if membership is None else membership.auc(),
    )


def overfitting(
    fit: Fit, *, limits: FitLimits, required: bool, resampling: Resampling = STANDARD
) -> GateResult:
    """Compare unseen with consumed text, and the last weights with the best.

    Args:
        fit: What was measured of both.
        limits: Of all statistics.
        required: Whether promotion needs this gate.
        resampling: Of the bootstrap.

    Raises:
        EmptyEvaluationError: With fewer than two documents of either kind, or values that are
            not finite.
    """
    metric, loss = fit.seen.metric, fit.best.metric
    gap = fit.gap(resampling=resampling)
    turn = (
        Interval(value=0.0, lower=0.0, upper=0.0, n=gap.n)
        if fit.last is None
        else fit.last.minus(fit.best, resampling=resampling)
    )
    gap_outcome = judge_upper(gap, limits.max_gap)
    late = _late(turn, limits, stopped_early=fit.stopped_early)
    auc, auc_outcome = fit.membership, _membership(fit.membership, limits.max_membership)
    statistics: list[tuple[Outcome, Interval, float, str]] = [
        (gap_outcome, gap, limits.max_gap, "share")
    ]
    if limits.max_late_rise is not None:
        statistics.append((late, turn, limits.max_late_rise, loss.unit))
    if auc is not None and limits.max_membership is not None:
        statistics.append((auc_outcome, auc, limits.max_membership, "AUC"))
    outcome = worst([found for found, *_ in statistics])
    _, decisive, limit, unit = next(item for item in statistics if item[0] == outcome)
    need = to_clear(decisive, limit, what="documents", part="validation_documents")
    return GateResult(
        gate=NAME,
        required=required,
        outcome=outcome,
        value=decisive.value,
        lower=decisive.lower,
        upper=decisive.upper,
        limit=limit,
        unit=unit,
        reason=_sentence(fit, gap=gap, turn=turn, limits=limits),
        evidence={
            "metric": metric.name,
            "gap": {**gap.to_json(), "outcome": gap_outcome},
            "final_minus_best": {**turn.to_json(), "unit": loss.unit, "outcome": late},
            "membership_auc": None if auc is None else {**auc.to_json(), "outcome": auc_outcome},
            "final_is_best": fit.last is None,
            "stopped_early": fit.stopped_early,
            "train": fit.seen.value,
            "validation": fit.unseen.value,
            "train_documents": len(fit.seen),
            **needs(need if outcome == "INCONCLUSIVE" else None),
        },
    )


def _late(turn: Interval, limits: FitLimits, *, stopped_early: bool) -> Outcome:
    if stopped_early or limits.max_late_rise is None:
        return "SKIPPED"
    found = judge_upper(turn, limits.max_late_rise)
    return limits.unsure_late_rise if found == "INCONCLUSIVE" else found


def _membership(auc: Interval | None, limit: float | None) -> Outcome:
    return "SKIPPED" if auc is None or limit is None else judge_upper(auc, limit)


def _sentence(fit: Fit, *, gap: Interval, turn: Interval, limits: FitLimits) -> str:
    loss = fit.best.metric
    late = f"the last weights are {loss.shown(turn.value, sign='+')} {loss.unit} from the best"
    if fit.last is None:
        late = "the last weights are the best ones"
    elif fit.stopped_early:
        late = "training stopped early and the best weights are kept"
    elif limits.max_late_rise is None:
        late += ", which are kept and judged here"
    else:
        late += (
            f" (at most {loss.shown(turn.upper, sign='+')}, allowed"
            f" {loss.shown(limits.max_late_rise, sign='+')})"
        )
    alike = "; for equally hard text that is" if fit.equally_hard else ":"
    reason = (
        f"{fit.seen.metric.heading} is {fit.seen.shown()} on text that it learnt from and"
        f" {fit.unseen.shown()} on unseen text{alike} a gap of {gap.value:.1%} (between"
        f" {gap.lower:.1%} and {gap.upper:.1%}, allowed {limits.max_gap:.0%}); {late}."
    )
    if (auc := fit.membership) is not None:
        rule = (
            "reported, not judged"
            if limits.max_membership is None
            else f"allowed {limits.max_membership:.0%}"
        )
        reason += (
            " By its loss one can tell which of two passages it was trained on in"
            f" {auc.value:.0%} of cases (at most {auc.upper:.0%}, {rule}; a guess is right in"
            " 50 %)."
        )
    return reason


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


def _corrected(model: ScoreTable, reference: ScoreTable, *, slope: float) -> Measured:
    nats = model.nll_nats - slope * model.aligned(reference).nll_nats
    return measured_bits(replace(model, nll_nats=nats))
