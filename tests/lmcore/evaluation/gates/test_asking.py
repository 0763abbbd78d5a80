"""Every gate is guarded, held to its controls, and missed where it is required and not asked."""

import pytest

from lmcore.errors import EmptyEvaluationError, NotFiniteError
from lmcore.evaluation.budget.plan import AS_CONFIGURED, EvaluationPlan, Part, Stage
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.asking import ask
from lmcore.evaluation.gates.result import GateResult, Verdict
from lmcore.evaluation.gates.standing import ControlRecord, Counted, GateRecord
from lmcore.evaluation.gates.version import gate_version
from lmcore.evaluation.statistics.power import Need

GATES = GatesConfig.model_validate({"required": ["competence", "champion"]})


def passing(name, outcome="PASS"):
    return lambda required: GateResult(
        gate=name, required=required, outcome=outcome, reason="Measured.", value=1.0
    )


def recorded(gate, *, right, version=None):
    counted = Counted(
        **{"control": "broken case", "kind": "negative", "outcomes": {"FAIL": right}},
        **{"seeds": 20, "as_expected": right},
    )
    version = version or gate_version(gate, GATES)
    found = GateRecord(version=version, controls=[counted], machine="m", date="2026-11-24")
    return ControlRecord(gates={gate: found})


def test_gates_answer_in_their_order_and_know_whether_they_are_required():
    names = ("champion", "pii", "competence")
    found = ask({n: passing(n) for n in names}, gates=GATES, record=ControlRecord())
    assert [(r.gate, r.required, r.outcome) for r in found] == [
        ("champion", True, "PASS"),
        ("pii", False, "PASS"),
        ("competence", True, "PASS"),
    ]
    assert {r.evidence["controls"]["status"] for r in found} == {"not run"}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(EmptyEvaluationError("no text"), "INCONCLUSIVE"), (NotFiniteError("nan"), "FAIL")],
)
def test_one_gates_trouble_stops_no_other(error, outcome):
    def broken(required):
        raise error

    judges = {"competence": broken, "champion": passing("champion")}
    found = ask(judges, gates=GATES, record=ControlRecord())
    assert [r.outcome for r in found] == [outcome, "PASS"]
    assert str(error) in found[0].reason


@pytest.mark.parametrize(("right", "outcome"), [(20, "PASS"), (19, "INCONCLUSIVE")])
def test_a_gate_that_missed_a_control_cannot_vote_pass(right, outcome):
    judges = {n: passing(n) for n in ("competence", "champion")}
    record = recorded("competence", right=right)
    held, free = ask(judges, gates=GATES, record=record)
    assert (held.outcome, free.outcome) == (outcome, "PASS")
    assert held.value == 1.0
    status = "vouched" if right == 20 else "missed"
    assert held.evidence["controls"]["status"] == status
    assert Verdict(results=[held, free]).passed is (right == 20)


def test_a_miss_at_other_limits_is_about_another_gate():
    limits = GATES.champion.model_copy(update={"min_gain_bits_per_byte": 0.1})
    other = GATES.model_copy(update={"champion": limits})
    record = recorded("champion", right=0)
    judges = {"champion": passing("champion"), "competence": passing("competence")}
    assert ask(judges, gates=GATES, record=record)[0].outcome == "INCONCLUSIVE"
    assert ask(judges, gates=other, record=record)[0].outcome == "PASS"


def test_a_required_gate_that_was_not_asked_blocks_and_says_what_to_do():
    found = ask({"competence": passing("competence")}, gates=GATES, record=ControlRecord())
    assert [(r.gate, r.outcome) for r in found] == [
        ("competence", "PASS"),
        ("champion", "INCONCLUSIVE"),
    ]
    assert "take it out of gates.required" in found[1].reason
    assert found[1].evidence["code"] == "NOT_OF_THIS_TASK"
    assert not Verdict(results=found).passed


def plan_of(gate, part, *, budget, least, most, price=1.0):
    parts = {part: Part(title="things", most=most, seconds=lambda n: price * n, floor=2)}
    stages = [Stage(gate=gate, part=part, least=least)]
    return EvaluationPlan.of(parts, stages, budget_seconds=budget)


def asked(gate, outcome, plan, *, need=None, code=""):
    evidence = {"code": code, **({} if need is None else {"needs": need.to_json()})}

    def judge(required):
        return GateResult(
            gate=gate, required=required, outcome=outcome, reason="Measured.", evidence=evidence
        )

    (found,) = (
        r
        for r in ask({gate: judge}, gates=GATES, record=ControlRecord(), plan=plan)
        if r.gate == gate
    )
    return found


@pytest.mark.parametrize(
    ("gate", "part", "outcome", "said"),
    [
        # Nothing passes for lack of data.
        ("competence", "validation_documents", "PASS", "INCONCLUSIVE"),
        ("exposure", "canary_references", "PASS", "INCONCLUSIVE"),
        ("regurgitation", "free_samples", "PASS", "INCONCLUSIVE"),
        ("data_sufficiency", "validation_documents", "WARN", "INCONCLUSIVE"),
        # An interval over two documents may be wrong either way; an exact bound is not.
        ("overfitting", "validation_documents", "FAIL", "INCONCLUSIVE"),
        ("regurgitation", "free_samples", "FAIL", "FAIL"),
        ("pii", "elicited_texts", "FAIL", "FAIL"),
        # What has nothing to do with the budget stays.
        ("champion", "validation_documents", "SKIPPED", "SKIPPED"),
        ("exposure", "canary_references", "SKIPPED", "INCONCLUSIVE"),
    ],
)
def test_less_than_the_least_is_no_answer(gate, part, outcome, said):
    found = asked(gate, outcome, plan_of(gate, part, budget=5, least=10, most=40))
    assert found.outcome == said
    if said != outcome:
        assert found.evidence["code"] == "TOO_SMALL_A_BUDGET"
        assert "2 of the 10 things that it needs at least fit into 5 seconds" in found.reason
        assert "a budget of about 10 would do" in found.reason
        assert found.reason.endswith("It measured: Measured.")
    enough = plan_of(gate, part, budget=10, least=10, most=40)
    assert asked(gate, outcome, enough).outcome == outcome


def test_too_little_text_is_not_blamed_on_the_budget():
    few = plan_of("bias_lm", "bias_words", budget=1, least=20, most=4)
    assert asked("bias_lm", "SKIPPED", few, code="PRECONDITION").outcome == "SKIPPED"


def test_a_gate_that_cannot_tell_says_what_would_tell_and_what_it_costs():
    need = Need(what="documents", have=20, count=30, part="validation_documents")
    plan = plan_of("competence", "validation_documents", budget=20, least=10, most=40)
    free = asked("competence", "INCONCLUSIVE", AS_CONFIGURED, need=need)
    assert free.reason == "Measured. About 30 documents would tell (20 were there)."
    bound = asked("competence", "INCONCLUSIVE", plan, need=need)
    assert bound.reason.endswith(": a budget of about 30 seconds brings them.")
    more = Need(what="documents", have=20, count=300, part="validation_documents")
    out = asked("competence", "INCONCLUSIVE", plan, need=more)
    assert out.reason.endswith(": all 40 things hold fewer.")
    assert asked("competence", "PASS", plan, need=need).reason == "Measured."


def test_what_a_gate_said_itself_is_not_said_twice():
    need = Need(what="windows", have=20, count=30, part="validation_documents")
    plan = plan_of("regurgitation", "validation_documents", budget=20, least=10, most=40)
    free, bound = (
        asked("regurgitation", "SKIPPED", p, need=need, code="TOO_LITTLE_TEXT")
        for p in (AS_CONFIGURED, plan)
    )
    assert free.reason == "Measured."
    assert "About 30 windows would tell" in bound.reason
