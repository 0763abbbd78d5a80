"""Ask the gates: each one is guarded, and held to what its controls said of it.

A gate that cannot tell says what it would need, and under a budget which budget that is.  One that
the budget left with less than its least cannot tell, whatever it measured: nothing passes for lack
of data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from lmcore.evaluation.budget.plan import AS_CONFIGURED, Amount, EvaluationPlan, Stage
from lmcore.evaluation.config import GateName, GatesConfig
from lmcore.evaluation.gates.result import GateResult, guarded
from lmcore.evaluation.gates.standing import ControlRecord, subject_to_controls
from lmcore.evaluation.gates.version import gate_version
from lmcore.evaluation.statistics.power import Need

# Gates whose FAIL stands on any number: exact bounds, or the thing itself.
_EXACT = frozenset({"instrument", "pii", "contamination", "regurgitation", "exposure"})
# Gates whose evidence is asked for by nobody else: without it they do not know why there is none.
_ASKS_BY_ITSELF = frozenset({"pii", "regurgitation", "exposure", "bias_lm"})

#: Told whether promotion needs the gate.
Judge = Callable[[bool], GateResult]


def ask(
    judges: Mapping[GateName, Judge],
    *,
    gates: GatesConfig,
    record: ControlRecord,
    plan: EvaluationPlan = AS_CONFIGURED,
) -> list[GateResult]:
    """Every gate's answer; one that missed a control at its version cannot vote PASS.

    A gate that is required and not among those asked is INCONCLUSIVE.

    Args:
        judges: By gate, in the order of the answers.
        gates: Limits, and which gates are required.
        record: What the controls said of the gates.
        plan: How much was asked of the models.
    """
    results = [
        subject_to_controls(
            within_budget(guarded(name, required=name in gates.required, judge=judge), plan),
            record.standing(name, gate_version(name, gates)),
        )
        for name, judge in judges.items()
    ]
    results += [
        GateResult(
            gate=name,
            required=True,
            outcome="INCONCLUSIVE",
            reason="This task has no such gate; take it out of gates.required.",
            evidence={"code": "NOT_OF_THIS_TASK"},
        )
        for name in gates.required
        if name not in judges
    ]
    return results


def within_budget(result: GateResult, plan: EvaluationPlan) -> GateResult:
    """Add what a gate would need where it cannot tell; take its answer where it had too little.

    Args:
        result: What the gate answered.
        plan: How much was asked of the models.
    """
    lacking = plan.lacking(result.gate)
    if lacking is not None and _takes_the_answer(result, plan.amounts[lacking.part], lacking):
        amount = plan.amounts[lacking.part]
        said = f" It measured: {result.reason}" if amount.planned else ""
        return replace(
            result,
            outcome="INCONCLUSIVE",
            reason=(
                f"TOO_SMALL_A_BUDGET: {amount.planned:,} of the"
                f" {min(lacking.least, amount.most):,} {amount.title} that it needs at least fit"
                f" into {plan.budget_seconds:,.0f} seconds; a budget of about"
                f" {lacking.budget_seconds:,.0f} would do.{said}"
            ),
            evidence={**result.evidence, "code": "TOO_SMALL_A_BUDGET"},
        )
    need = result.evidence.get("needs")
    # A gate that names what is missing (its code) has said how much is needed; what it costs it
    # does not know.
    told = bool(result.evidence.get("code")) and plan.budget_seconds is None
    if result.outcome == "PASS" or not need or told:
        return result
    return replace(result, reason=f"{result.reason} {_told(Need(**need), plan)}")


def _takes_the_answer(result: GateResult, amount: Amount, lacking: Stage) -> bool:
    if result.outcome in ("PASS", "WARN"):
        return True
    if result.outcome == "FAIL":
        # Exact bounds hold for any number, and what was found is there; those over few documents
        # rest on the shape of their distribution.
        return result.gate not in _EXACT
    # Without a champion, or with too little text, more time would change nothing.
    return result.gate in _ASKS_BY_ITSELF and amount.most >= lacking.least


def _told(need: Need, plan: EvaluationPlan) -> str:
    """What would tell, and the budget for it where there is one."""
    sentence = need.sentence()
    amount = plan.amounts.get(need.part)
    if amount is None or need.count is None or need.have < 1:
        return sentence
    wanted = math.ceil(amount.planned * need.count / need.have)
    seconds = plan.budget_for(need.part, wanted)
    more = (
        f"a budget of about {seconds:,.0f} seconds brings them"
        if seconds is not None
        else f"all {amount.most:,} {amount.title} hold fewer"
    )
    return f"{sentence[:-1]}: {more}."
