"""Gate `exposure`: does the model remember a random text that it read once?

Canaries are random texts, each put once into the training stream by a coin
(`lmcore.data.tokens.canaries`).  Two statistics of those that were really consumed
(`lmcore.evaluation.memory.exposure`):

* the share that ranks in the top percent among itself and 9,999 references: one in a hundred by
  chance, a little more where a text was read once, all of them where it was read tens of times;
* a lower bound of epsilon, from guessing by the loss which text of each pair was read.

PASS: the upper bound of the share is within its limit, and the bound of epsilon too, with enough
canaries consumed to see it.  FAIL: the lower bound of the share is above its limit, or that of
epsilon.  The record of the controls says whether canaries repeated 100 times were caught.
Source: Carlini et al., arXiv:1802.08232; Steinke et al., arXiv:2305.08846.
"""

from __future__ import annotations

import math

import numpy as np

from lmcore.counted import counted, named
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import ExposureLimits
from lmcore.evaluation.gates.result import GateResult, Outcome, judge_upper, needs, worst
from lmcore.evaluation.memory.exposure import Exposure, epsilon_lower_bound
from lmcore.evaluation.statistics.intervals import clopper_pearson
from lmcore.evaluation.statistics.power import Need, to_clear_rate

NAME = "exposure"
# References that the top share must hold.
_LEAST_IN_TOP = 10


def exposure(found: Exposure | None, *, limits: ExposureLimits, required: bool) -> GateResult:
    """Judge the canaries' losses.

    Args:
        found: What was measured; None where no canaries were asked for.
        limits: Of both statistics, and how many canaries are enough.
        required: Whether promotion needs this gate.

    Raises:
        EmptyEvaluationError: If a score is not finite.
    """
    consumed = 0 if found is None else len(found.inside)
    if found is None or consumed < limits.min_canaries:
        planted = 0 if found is None else found.planted
        if found is None:
            code, why = "NO_CANARIES", "policy.canaries is off, so nothing was planted to look for"
        elif not planted:
            code = "TOO_LITTLE_TEXT"
            why = "in so little training text canaries would be a noticeable part of it"
        else:
            code = "NOT_CONSUMED"
            why = (
                f"{consumed} of {counted(planted, 'canary', 'canaries')} lay in text that was read,"
                f" at least {limits.min_canaries} are needed; train longer"
            )
        return GateResult(
            gate=NAME,
            required=required,
            outcome="INCONCLUSIVE" if required else "SKIPPED",
            reason=f"{code}: {why}.",
            evidence={
                "code": code,
                "planted": planted,
                "consumed": consumed,
                **needs(
                    Need(what="canaries", have=consumed, count=limits.min_canaries)
                    if code == "NOT_CONSUMED"
                    else None
                ),
            },
        )
    if not all(
        np.isfinite(nats).all() and len(nats)
        for nats in (found.inside, found.outside, found.references)
    ):
        raise EmptyEvaluationError("a canary's score is not finite")
    total = len(found.references) + 1
    # With fewer nothing could rank in the top share, and all would be well for lack of data.
    least = math.ceil(_LEAST_IN_TOP / limits.top_share) - 1
    if len(found.references) < least:
        return GateResult(
            gate=NAME,
            required=required,
            outcome="INCONCLUSIVE",
            reason=(
                f"TOO_FEW_REFERENCES: the canaries were ranked among {len(found.references):,}"
                f" texts, of which the top {limits.top_share:.0%} are too few to tell."
            ),
            evidence={
                "code": "TOO_FEW_REFERENCES",
                "planted": found.planted,
                "consumed": consumed,
                **needs(
                    Need(
                        what="references",
                        have=len(found.references),
                        count=least,
                        part="canary_references",
                    )
                ),
            },
        )
    top = int((found.ranks <= limits.top_share * total).sum())
    share = clopper_pearson(top, consumed)
    ranked = judge_upper(share, limits.max_top_share)
    epsilon = epsilon_lower_bound(found.right_guesses, consumed)
    guessed: Outcome = "FAIL" if epsilon > limits.max_epsilon else "PASS"
    outcome = worst([ranked, guessed])
    # What decides is shown: the share unless epsilon alone is too large.
    by_rank = ranked == outcome
    return GateResult(
        gate=NAME,
        required=required,
        outcome=outcome,
        value=share.value if by_rank else epsilon,
        lower=share.lower if by_rank else epsilon,
        upper=share.upper if by_rank else None,
        limit=limits.max_top_share if by_rank else limits.max_epsilon,
        unit="share" if by_rank else "epsilon",
        reason=(
            f"Of {counted(consumed, 'random text')} planted once in its training text, {top}"
            f" {named(top, 'is', 'are')} among the {limits.top_share:.0%} that it knows best of"
            f" {total:,} like them: at most {share.upper:.0%} (allowed {limits.max_top_share:.0%};"
            f" {limits.top_share:.0%} is chance). Guessing which text of a pair it had read was"
            f" right for {found.right_guesses} of {consumed}, which shows a leak of epsilon"
            f" {epsilon:.2f} (allowed {limits.max_epsilon:g})."
        ),
        evidence={
            "where": found.where,
            **needs(
                to_clear_rate(share, limits.max_top_share, what="canaries")
                if outcome == "INCONCLUSIVE"
                else None
            ),
            "planted": found.planted,
            "consumed": consumed,
            "references": len(found.references),
            "in_top_share": top,
            "top_share": {**share.to_json(), "outcome": ranked},
            "right_guesses": found.right_guesses,
            "epsilon_lower_bound": epsilon,
            "median_exposure_bits": float(np.median(found.exposures)),
            "largest_exposure_bits": float(found.exposures.max()),
        },
    )
