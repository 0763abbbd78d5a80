"""What was counted, and what it does to a gate's vote."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.errors import IntegrityError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.gates.standing import (
    ControlRecord,
    Counted,
    GateRecord,
    Standing,
    shipped_record,
    standings,
    subject_to_controls,
)

GATES = GatesConfig.default()
OUTCOMES = ("PASS", "FAIL", "INCONCLUSIVE", "WARN", "SKIPPED")


def counted(seeds=20, right=20, **facts):
    values = {"control": "untrained model", "kind": "negative", "outcomes": {"FAIL": right}}
    return Counted(**{**values, "seeds": seeds, "as_expected": right, **facts})


def recorded(*controls, version="v1"):
    gate = GateRecord(version=version, controls=controls, machine="two cores", date="2026-11-24")
    return ControlRecord(gates={"competence": gate})


def answer(outcome="PASS"):
    return GateResult(
        gate="competence", required=True, outcome=outcome, reason="Better.", evidence={"a": 1}
    )


@pytest.mark.parametrize(
    ("control", "missed"),
    [
        (counted(), False),
        (counted(right=19), True),
        (counted(right=0, kind="healthy"), False),
        # Where one in twenty may go wrong by chance, exact lower bounds of 3 and 4 of 20 misses
        # are 4.2 % and 7.1 %.
        (counted(right=17, tolerated=0.05), False),
        (counted(right=16, tolerated=0.05), True),
    ],
)
def test_a_miss_is_a_fault_that_was_let_through(control, missed):
    assert control.missed == missed
    found = recorded(counted(control="another"), control).standing("competence", "v1")
    assert found.status == ("missed" if missed else "vouched")
    if control.kind == "negative":
        assert found.caught("untrained model") is not missed
    assert found.caught("no such control") is None


def test_rates_have_exact_bounds():
    control = counted(seeds=20, right=20)
    # 0.05 ** (1 / 20): twenty of twenty show at least this rate.
    assert control.rate.lower == pytest.approx(0.8609, abs=1e-4)
    assert control.wrong.upper == pytest.approx(1 - 0.8609, abs=1e-4)


def test_counts_of_another_version_or_of_healthy_controls_alone_say_nothing():
    found = recorded(counted(right=0))
    assert found.standing("competence", "v2").status == "not run"
    assert found.standing("champion", "v1").status == "not run"
    alone = recorded(counted(kind="healthy"))
    assert alone.standing("competence", "v1").status == "not run"


def test_a_missed_control_takes_the_vote_and_says_which():
    standing = recorded(counted(right=18)).standing("competence", "v1")
    found = subject_to_controls(answer(), standing)
    assert found.outcome == "INCONCLUSIVE"
    assert "2 of 20" in found.reason
    assert "untrained model" in found.reason
    assert "Better." in found.reason
    assert found.evidence["a"] == 1
    assert found.evidence["controls"]["status"] == "missed"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_gate_that_was_vouched_for_or_not_tried_keeps_its_vote(version):
    standing = recorded(counted()).standing("competence", version)
    found = subject_to_controls(answer(), standing)
    assert (found.outcome, found.reason) == ("PASS", "Better.")
    expected = "vouched" if version == "v1" else "not run"
    assert found.evidence["controls"]["status"] == expected
    json.dumps(found.to_json(), allow_nan=False)


@given(st.sampled_from(OUTCOMES), st.integers(0, 20), st.sampled_from(["v1", "v2"]))
def test_controls_never_make_a_pass(outcome, right, version):
    standing = recorded(counted(right=right)).standing("competence", version)
    found = subject_to_controls(answer(outcome), standing)
    if outcome != "PASS":
        assert found.outcome == outcome
    assert (found.outcome == "PASS") == (outcome == "PASS" and standing.status != "missed")


def test_a_record_comes_back_from_disk_and_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "results.json"
    assert ControlRecord.read(path).gates == {}
    found = recorded(counted(values=[0.5, 0.25], unit="bits/byte", limit=0.0, seconds=3.5))
    found.write(path)
    again = ControlRecord.read(path)
    assert again.standing("competence", "v1").controls[0].values == [0.5, 0.25]
    assert again.gates["competence"].machine == "two cores"
    again.write(tmp_path / "second.json")
    assert path.read_bytes() == (tmp_path / "second.json").read_bytes()
    path.write_text('{"gates": {"competence": {}}}')
    with pytest.raises(IntegrityError, match="not a record of controls"):
        ControlRecord.read(path)


def test_one_gates_counts_are_replaced_alone():
    found = recorded(counted()).with_gate(
        "champion", GateRecord(version="v9", controls=(), machine="", date="")
    )
    assert set(found.gates) == {"competence", "champion"}
    other = found.with_gate("champion", replace(found.gates["champion"], version="v10"))
    assert other.gates["champion"].version == "v10"
    assert other.gates["competence"] == found.gates["competence"]


def test_no_gate_ships_with_a_missed_control_at_its_version():
    missed = {
        name: [control.control for control in standing.missed]
        for name, standing in standings(GATES, shipped_record()).items()
        if standing.status == "missed"
    }
    assert missed == {}


def test_a_standing_without_controls_is_not_run():
    assert Standing(gate="competence", version="v", status="not run").missed == []
