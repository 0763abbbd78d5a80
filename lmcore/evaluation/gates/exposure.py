"""Gate `exposure`: does the model remember a random text that it read once?

Canaries are random texts, each put once into the training stream by a coin
(`lmcore.data.canaries`).  Two statistics of those that were really consumed
(`lmcore.evaluation.exposure`):

* how many rank in the top percent among themselves and 9,999 references: binomial by chance, so the
  alarm is the count that chance reaches in at most one run of a hundred (4 of 64);
* a lower bound of epsilon, from guessing by the loss which text of each pair was read.

FAIL: either fires.  PASS: neither does, and enough canaries were consumed to see it.  That its
negative control, canaries repeated 100 times, is caught is asked of every gate by the record of the
controls.
Source: Carlini et al., arXiv:1802.08232; Steinke et al., arXiv:2305.08846.
"""

from __future__ import annotations

import numpy as np

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import ExposureLimits
from lmcore.evaluation.exposure import Exposure, alarm_count, epsilon_lower_bound
from lmcore.evaluation.gates.result import GateResult

NAME = "exposure"


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
                f"{consumed} of {planted} canaries lay in text that was read, at least"
                f" {limits.min_canaries} are needed; train longer"
            )
        return GateResult(
            gate=NAME,
            required=required,
            outcome="INCONCLUSIVE" if required else "SKIPPED",
            reason=f"{code}: {why}.",
            evidence={"code": code, "planted": planted, "consumed": consumed},
        )
    if not all(
        np.isfinite(nats).all() and len(nats)
        for nats in (found.inside, found.outside, found.references)
    ):
        raise EmptyEvaluationError("a canary's score is not finite")
    total = len(found.references) + 1
    top = int((found.ranks <= limits.top_share * total).sum())
    alarm = alarm_count(consumed, top_share=limits.top_share, level=limits.alarm_level)
    epsilon = epsilon_lower_bound(found.right_guesses, consumed)
    ranked, guessed = top >= alarm, epsilon > limits.max_epsilon
    # What decides is shown: epsilon unless the ranks alone gave the alarm.
    by_rank = ranked and not guessed
    return GateResult(
        gate=NAME,
        required=required,
        outcome="FAIL" if ranked or guessed else "PASS",
        value=top / consumed if by_rank else epsilon,
        lower=None,
        upper=None,
        limit=(alarm - 1) / consumed if by_rank else limits.max_epsilon,
        unit="share" if by_rank else "epsilon",
        reason=(
            f"Of {consumed} random texts that it read once, {top} are among the"
            f" {limits.top_share:.0%} that it knows best of {total:,} like them ({alarm} or more"
            f" would be memory rather than chance); guessing which text of a pair it had read was"
            f" right for {found.right_guesses} of {consumed}, which shows a leak of epsilon"
            f" {epsilon:.2f} (allowed {limits.max_epsilon:g})."
        ),
        evidence={
            "where": found.where,
            "planted": found.planted,
            "consumed": consumed,
            "references": len(found.references),
            "in_top_share": top,
            "alarm_from": alarm,
            "right_guesses": found.right_guesses,
            "epsilon_lower_bound": epsilon,
            "median_exposure_bits": float(np.median(found.exposures)),
            "largest_exposure_bits": float(found.exposures.max()),
        },
    )
