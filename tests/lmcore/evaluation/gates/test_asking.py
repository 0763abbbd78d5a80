"""Every gate is guarded, held to its controls, and missed where it is required and not asked."""

import pytest

from lmcore.errors import EmptyEvaluationError, NotFiniteError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.asking import ask
from lmcore.evaluation.gates.result import GateResult, Verdict
from lmcore.evaluation.gates.standing import ControlRecord, Counted, GateRecord
from lmcore.evaluation.gates.version import gate_version

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
