import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.gates.result import GateResult, Verdict, guarded, judge_upper, worst
from lmcore.evaluation.statistics.intervals import Interval

numbers = st.floats(-10, 10)
intervals = st.tuples(numbers, numbers, numbers).map(
    lambda t: Interval(lower=sorted(t)[0], value=sorted(t)[1], upper=sorted(t)[2], n=5)
)


def result(gate="a", outcome="PASS", required=True, **values):
    return GateResult(gate=gate, required=required, outcome=outcome, reason="because", **values)


@pytest.mark.parametrize(
    ("lower", "upper", "strict", "expected"),
    [
        (0.0, 0.9, False, "PASS"),
        (0.0, 1.0, False, "PASS"),
        (0.0, 1.0, True, "INCONCLUSIVE"),
        (0.9, 1.1, False, "INCONCLUSIVE"),
        (1.0, 1.1, False, "INCONCLUSIVE"),
        (1.0, 1.1, True, "FAIL"),
        (1.1, 1.2, False, "FAIL"),
        (math.nan, math.nan, False, "INCONCLUSIVE"),
        (0.0, math.nan, True, "INCONCLUSIVE"),
    ],
)
def test_the_bound_decides(lower, upper, strict, expected):
    interval = Interval(value=0.5, lower=lower, upper=upper, n=9)
    assert judge_upper(interval, 1.0, strict=strict) == expected


@settings(max_examples=100, deadline=None)
@given(intervals, numbers, st.floats(0, 5), st.booleans())
def test_tightening_a_limit_never_passes_more(interval, limit, tighter, strict):
    if judge_upper(interval, limit - tighter, strict=strict) == "PASS":
        assert judge_upper(interval, limit, strict=strict) == "PASS"
    if judge_upper(interval, limit, strict=strict) == "FAIL":
        assert judge_upper(interval, limit - tighter, strict=strict) == "FAIL"


def test_worst_outcome_of_a_conjunction():
    assert worst(["PASS", "INCONCLUSIVE", "FAIL"]) == "FAIL"
    assert worst(["PASS", "INCONCLUSIVE"]) == "INCONCLUSIVE"
    assert worst(["PASS", "SKIPPED"]) == "PASS"


@pytest.mark.parametrize(
    ("outcomes", "passed", "outcome"),
    [
        (["PASS", "PASS"], True, "PASS"),
        (["PASS", "SKIPPED"], True, "PASS"),
        (["SKIPPED", "SKIPPED"], False, "INCONCLUSIVE"),
        (["PASS", "INCONCLUSIVE"], False, "INCONCLUSIVE"),
        (["INCONCLUSIVE", "FAIL"], False, "FAIL"),
        ([], False, "INCONCLUSIVE"),
    ],
)
def test_verdict_is_a_conjunction(outcomes, passed, outcome):
    verdict = Verdict(results=[result(gate=str(i), outcome=o) for i, o in enumerate(outcomes)])
    assert verdict.passed is passed
    assert verdict.outcome == outcome
    assert verdict.reason


def test_gates_that_are_not_required_do_not_block_and_do_not_carry():
    failed = result(gate="b", outcome="FAIL", required=False)
    assert Verdict(results=[result(), failed]).passed
    assert not Verdict(results=[result(required=False), failed]).passed


def test_blocking_gates_are_named_worst_first():
    verdict = Verdict(results=[result("a", "INCONCLUSIVE"), result("b", "FAIL"), result("c")])
    assert [r.gate for r in verdict.blocking] == ["b", "a"]
    assert "gate b: FAIL" in verdict.reason
    assert "1 more" in verdict.reason


def test_json_is_strict_and_comes_back():
    original = result(value=math.nan, upper=math.inf, limit=1.0, evidence={"n": 3})
    text = json.dumps(original.to_json(), allow_nan=False)
    back = GateResult.from_json(json.loads(text))
    assert back.value is None
    assert back.upper is None
    assert back.limit == 1.0
    assert back.evidence == {"n": 3}
    assert set(original.to_json()) == {
        *("gate", "required", "outcome", "value", "lower", "upper", "limit", "unit", "reason"),
        "evidence",
    }


def test_missing_evidence_is_inconclusive_never_pass():
    def judge(required):
        raise EmptyEvaluationError("no documents")

    found = guarded("competence", required=True, judge=judge)
    assert found.outcome == "INCONCLUSIVE"
    assert "no documents" in found.reason
    assert not Verdict(results=[found]).passed
    with pytest.raises(ZeroDivisionError):
        guarded("competence", required=True, judge=lambda required: 1 / 0)
