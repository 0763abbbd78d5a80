"""What a control expects of its gate, and how often it is tried."""

import pytest

from lmcore.controls.bench import ControlBench
from lmcore.controls.control import CHEAP_SEEDS, SEEDS, Control, by_seed
from lmcore.evaluation.gates.result import GateResult


def answer(outcome, gate="pii"):
    return GateResult(gate=gate, required=True, outcome=outcome, reason="")


def control(kind="negative", **facts):
    case = by_seed(lambda seed: answer("PASS"))
    return Control(gate="pii", name="a case", kind=kind, run=case, **facts)


@pytest.mark.parametrize(
    ("kind", "expects", "right"),
    [
        ("negative", None, {"FAIL"}),
        ("healthy", None, {"PASS"}),
        ("negative", frozenset({"FAIL", "INCONCLUSIVE"}), {"FAIL", "INCONCLUSIVE"}),
        ("healthy", frozenset({"SKIPPED"}), {"SKIPPED"}),
    ],
)
def test_only_outcomes_that_were_expected_beforehand_are_right(kind, expects, right):
    tried = control(kind, expects=expects)
    outcomes = ("PASS", "FAIL", "INCONCLUSIVE", "WARN", "SKIPPED")
    assert {outcome for outcome in outcomes if tried.as_expected(answer(outcome))} == right


def test_the_answer_of_another_gate_is_a_fault_of_ours():
    with pytest.raises(AssertionError, match="champion"):
        control().as_expected(answer("FAIL", gate="champion"))


@pytest.mark.parametrize(
    ("cost", "wanted", "seeds"),
    [
        (0.1, None, CHEAP_SEEDS),
        (0.5, None, CHEAP_SEEDS),
        (0.6, None, SEEDS),
        (0.1, 7, 7),
        (30.0, 7, 7),
    ],
)
def test_what_is_cheap_is_tried_more_often_unless_a_number_is_wanted(cost, wanted, seeds):
    assert control(cost_seconds=cost, wanted_seeds=wanted).seeds == seeds


def test_a_case_of_the_seed_alone_makes_nothing_of_the_bench(tmp_path):
    folder = tmp_path / "bench"
    run = by_seed(lambda seed: answer("PASS" if seed == 5 else "FAIL"))
    assert run(ControlBench(seed=5, folder=folder)).outcome == "PASS"
    assert run(ControlBench(seed=6, folder=folder)).outcome == "FAIL"
    assert not folder.exists()
