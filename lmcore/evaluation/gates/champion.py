"""Gate `champion`: is the new model better than the one in use?

Statistic: bits per byte of the challenger minus those of the champion, paired by document, both
scored in this run, each with its own tokenizer.  With m the margin of gates.yaml:

* enough validation documents that the champion has never met (*fresh*): superiority on those
  (upper bound < -m) and non-inferiority on the anchor documents it knew (upper bound < +m);
* otherwise: superiority on all of validation;
* where documents that the champion was trained on have been removed since: non-inferiority on
  the same documents.  The new model knows less and must go into use all the same, but it may not
  be worse by more than the margin.

Documents that the champion was trained on are left out: they would flatter it.  The first
version is SKIPPED (NO_BASELINE); a champion that cannot be scored is INCONCLUSIVE
(INCOMPARABLE).  An identical model is a tie, and a tie is not promoted.
Source: the margin against reuse of the held-out set is the Ladder, Blum and Hardt,
arXiv:1502.04585; the p-value beside it is a sign-flip permutation test.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import ChampionLimits
from lmcore.evaluation.gates.result import GateResult, Outcome, judge_upper, worst
from lmcore.evaluation.scores.metrics import bits_per_byte_difference
from lmcore.evaluation.scores.table import AlignmentError, BoolArray, ScoreTable
from lmcore.evaluation.statistics.intervals import RESAMPLES, Interval, sign_flip_p

NAME = "champion"
Claim = Literal["superiority", "non-inferiority"]


@dataclass(frozen=True, kw_only=True)
class ChampionScores:
    """The champion's side of the comparison.

    Attributes:
        version: Registry version.
        table: Its scores on the challenger's validation documents; None if it cannot be scored.
        problem: Why it cannot be scored.
        train_ids: Documents that it was trained or tuned on.
        known_ids: All documents of the data that it was made from, whatever their split.
        removed: How many of the documents that it was trained or tuned on were removed since.
    """

    version: int
    table: ScoreTable | None
    problem: str = ""
    train_ids: AbstractSet[str] = frozenset()
    known_ids: AbstractSet[str] = frozenset()
    removed: int = 0


@dataclass(frozen=True, kw_only=True)
class _Test:
    name: str
    claim: Claim
    interval: Interval
    limit: float
    p: float

    @property
    def outcome(self) -> Outcome:
        return judge_upper(self.interval, self.limit, strict=True)

    def to_json(self) -> dict[str, Any]:
        return {
            **self.interval.to_json(),
            "claim": self.claim,
            "limit": self.limit,
            "outcome": self.outcome,
            "sign_flip_p": self.p,
        }


def champion(
    challenger: ScoreTable,
    incumbent: ChampionScores | None,
    *,
    limits: ChampionLimits,
    required: bool,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> GateResult:
    """Compare challenger and champion.

    Args:
        challenger: Scores of the new model on validation.
        incumbent: The champion's; None where there is no champion yet.
        limits: Margin, and how many fresh documents are enough.
        required: Whether promotion needs this gate.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Raises:
        EmptyEvaluationError: If fewer than two documents are left, or scores are not finite.
    """
    if incumbent is None:
        return GateResult(
            gate=NAME,
            required=required,
            outcome="SKIPPED",
            reason="NO_BASELINE: this is the first version, so there is no champion to beat.",
            evidence={"code": "NO_BASELINE"},
        )
    if incumbent.table is None or not np.isfinite(incumbent.table.nll_nats).all():
        problem = incumbent.problem or "its scores are not finite"
        return _incomparable(incumbent, problem, required=required)
    try:
        aligned = challenger.aligned(incumbent.table)
    except AlignmentError as error:
        problem = f"the evaluation set changed under it: {error}"
        return _incomparable(incumbent, problem, required=required)
    flattered = challenger.isin(incumbent.train_ids)
    fair = challenger.select(~flattered)
    if len(fair) < 2:
        raise EmptyEvaluationError(
            f"champion version {incumbent.version} was trained on {int(flattered.sum())} of the"
            f" {len(challenger)} validation documents, so too few are left to compare on"
        )
    other = aligned.select(~flattered)
    known = fair.isin(incumbent.known_ids)
    fresh, anchor = ~known, fair.anchor & known
    margin = limits.margin_bits_per_byte
    claim: Claim = "non-inferiority" if incumbent.removed else "superiority"

    def test(name: str, rows: BoolArray, claim: Claim) -> _Test:
        ours, theirs = fair.select(rows), other.select(rows)
        return _Test(
            name=name,
            claim=claim,
            interval=bits_per_byte_difference(ours, theirs, seed=seed, resamples=resamples),
            limit=-margin if claim == "superiority" else margin,
            p=sign_flip_p(
                ours.nll_nats - theirs.nll_nats, ours.cluster, seed=seed, resamples=resamples
            ),
        )

    if len(set(fair.cluster[fresh])) >= limits.min_fresh_documents:
        tests = [test("fresh documents", fresh, claim)]
        if len(set(fair.cluster[anchor])) >= 2:
            tests.append(test("anchor documents", anchor, "non-inferiority"))
    else:
        tests = [test("validation documents", np.ones(len(fair), dtype=np.bool_), claim)]
    outcome = worst([t.outcome for t in tests])
    decisive = next(t for t in tests if t.outcome == outcome)
    tie = bool((fair.nll_nats == other.nll_nats).all())
    return GateResult(
        gate=NAME,
        required=required,
        outcome=outcome,
        value=decisive.interval.value,
        lower=decisive.interval.lower,
        upper=decisive.interval.upper,
        limit=decisive.limit,
        unit="bits/byte",
        reason=_sentence(incumbent, tests=tests, margin=margin, tie=tie),
        evidence={
            "champion": incumbent.version,
            "tie": tie,
            "removed_since_champion": incumbent.removed,
            "fresh_documents": int(fresh.sum()),
            "anchor_documents": int(anchor.sum()),
            "left_out_seen_by_champion": int(flattered.sum()),
            "tests": {t.name: t.to_json() for t in tests},
        },
    )


def _incomparable(incumbent: ChampionScores, problem: str, *, required: bool) -> GateResult:
    return GateResult(
        gate=NAME,
        required=required,
        outcome="INCONCLUSIVE",
        reason=(
            f"INCOMPARABLE: champion version {incumbent.version} cannot be scored on today's"
            f" documents ({problem})."
        ),
        evidence={"code": "INCOMPARABLE", "champion": incumbent.version},
    )


def _sentence(incumbent: ChampionScores, *, tests: list[_Test], margin: float, tie: bool) -> str:
    version = incumbent.version
    if tie and not incumbent.removed:
        return (
            f"A tie: every document scores exactly as with champion version {version}, and a tie"
            " does not replace it."
        )
    parts = []
    for t in tests:
        i = t.interval
        change = f"{abs(i.value):.4f} bits per byte {'fewer' if i.value < 0 else 'more'}"
        wanted = (
            f"{margin:.4f} fewer are asked for"
            if t.claim == "superiority"
            else f"up to {margin:.4f} more are tolerated"
        )
        parts.append(
            f"{change} on {i.n} {t.name} (95 % bounds {i.lower:+.4f} and {i.upper:+.4f}; {wanted})"
        )
    why = (
        f" ({incumbent.removed} documents that the champion learnt from were removed since, so not"
        " to be worse is enough)"
        if incumbent.removed
        else ""
    )
    return f"Against champion version {version} it needs {', and '.join(parts)}{why}."
