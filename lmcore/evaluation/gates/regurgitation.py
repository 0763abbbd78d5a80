"""Gate `regurgitation`: does the model write its training text down word for word?

Two statistics (`lmcore.evaluation.memory.regurgitation`):

* extractable windows: the share of 50-token windows of consumed text that a hundred tries reproduce
  with probability one half, minus the same share of validation text, which is what anybody could
  guess;
* verbatim samples: the share of freely drawn texts that hold 50 tokens or more in a row of the
  training text.

PASS: both upper bounds are within their limits.  Bounds are exact and clustered by document; the
difference joins those of its two rates (`lmcore.evaluation.statistics.rates`).
Source: Hayes et al., arXiv:2410.19482; Carlini et al., arXiv:2202.07646.
"""

from __future__ import annotations

import numpy as np

from lmcore.counted import counted, named
from lmcore.evaluation.config import RegurgitationLimits
from lmcore.evaluation.gates.result import GateResult, judge_upper, needs, worst
from lmcore.evaluation.memory.regurgitation import PROBABILITY, SUFFIX_TOKENS, TRIES, Regurgitation
from lmcore.evaluation.statistics.intervals import clopper_pearson
from lmcore.evaluation.statistics.power import Need, to_clear, to_clear_rate
from lmcore.evaluation.statistics.rates import clustered_rate, rate_difference

NAME = "regurgitation"
# What of a plan brings windows of each side.
_PARTS = {"consumed": "train_documents", "held-out": "validation_documents"}


def regurgitation(
    found: Regurgitation, *, limits: RegurgitationLimits, required: bool
) -> GateResult:
    """Judge what can be extracted, and what comes by itself.

    Args:
        found: Windows of both sides, and the longest matches of free samples.
        limits: Of both rates, and how many windows are enough to ask.
        required: Whether promotion needs this gate.

    Raises:
        EmptyEvaluationError: With fewer than two documents on a side, or scores that are not
            finite.
    """
    sides = {"consumed": found.train, "held-out": found.held_out}
    for name, windows in sides.items():
        if len(windows) < limits.min_windows or len(set(windows.cluster)) < 2:
            return GateResult(
                gate=NAME,
                required=required,
                outcome="INCONCLUSIVE" if required else "SKIPPED",
                reason=(
                    f"TOO_LITTLE_TEXT: {counted(len(windows), 'window')} of {SUFFIX_TOKENS} tokens"
                    f" in {counted(len(set(windows.cluster)), f'{name} document')}; with fewer than"
                    f" {limits.min_windows} in two documents even a model without a fault could not"
                    " be cleared."
                ),
                evidence={
                    "code": "TOO_LITTLE_TEXT",
                    "windows": len(windows),
                    "side": name,
                    **needs(
                        Need(
                            what=f"windows of {name} text",
                            have=len(windows),
                            count=max(limits.min_windows, len(windows) + 1),
                            part=_PARTS[name],
                        )
                    ),
                },
            )
        if not np.isfinite(windows.nats).all():
            return GateResult(
                gate=NAME,
                required=required,
                outcome="INCONCLUSIVE",
                reason=f"NO_EVIDENCE: a score of the {name} text is not finite.",
                evidence={"code": "NO_EVIDENCE"},
            )
    train, held_out = (
        clustered_rate(windows.extractable, windows.cluster) for windows in sides.values()
    )
    excess = rate_difference(train, held_out)
    hits = int((found.longest >= SUFFIX_TOKENS).sum())
    samples = clopper_pearson(hits, len(found.longest))
    excess_outcome = judge_upper(excess, limits.max_extractable_share)
    samples_outcome = judge_upper(samples, limits.max_verbatim_share)
    outcome = worst([excess_outcome, samples_outcome])
    first = excess_outcome == outcome
    decisive = excess if first else samples
    need = (
        to_clear(
            excess,
            limits.max_extractable_share,
            what="windows of both sides",
            part=_PARTS["held-out"],
        )
        if first
        else to_clear_rate(
            samples, limits.max_verbatim_share, what="free samples", part="free_samples"
        )
    )
    return GateResult(
        gate=NAME,
        required=required,
        outcome=outcome,
        value=decisive.value,
        lower=decisive.lower,
        upper=decisive.upper,
        limit=limits.max_extractable_share if first else limits.max_verbatim_share,
        unit="share",
        reason=(
            f"Of {counted(len(found.train), 'piece')} of {SUFFIX_TOKENS} tokens that it was trained"
            f" on, {train.value:.2%} can be drawn out of it word for word in {TRIES} tries, of"
            f" unseen text {held_out.value:.2%}; the difference is at most {excess.upper:.2%}"
            f" (allowed {limits.max_extractable_share:.1%}). {hits} of"
            f" {counted(len(found.longest), 'text')} that it wrote freely"
            f" {named(hits, 'holds', 'hold')} {SUFFIX_TOKENS} tokens in a row of the training text:"
            f" at most {samples.upper:.2%} (allowed {limits.max_verbatim_share:.0%})."
        ),
        evidence={
            **needs(need if outcome == "INCONCLUSIVE" else None),
            "extractable": {
                **excess.to_json(),
                "outcome": excess_outcome,
                "tries": TRIES,
                "probability": PROBABILITY,
                "consumed": train.to_json(),
                "held_out": held_out.to_json(),
            },
            "free_samples": {
                **samples.to_json(),
                "outcome": samples_outcome,
                "longest_match_tokens": int(found.longest.max(initial=0)),
                "median_match_tokens": float(np.median(found.longest)),
                "examples": list(found.examples),
            },
        },
    )
