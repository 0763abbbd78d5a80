import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.champion import Incumbent, Margin, champion
from lmcore.evaluation.gates.competence import competence, ngram_bars
from lmcore.evaluation.gates.overfitting import FitLimits, fit_of_language, overfitting
from lmcore.evaluation.gates.result import GateResult, Verdict, guarded, judge_upper, worst
from lmcore.evaluation.memory.difficulty_reference import Reference
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE, measured_bits
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.resampling import Resampling

GATES = GatesConfig.default()
OPTIONS = {"required": True, "resampling": Resampling(resamples=1000)}
GOOD = np.linspace(1.2, 1.6, 20)
NAMES = ("competence", "champion", "overfitting")

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
    assert verdict.reason.index("gate b: FAIL: ") < verdict.reason.index("gate a: INCONCLUSIVE: ")


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


def ask(scores, name, ours, theirs):
    """One gate, guarded, on bits by document of the model and of what it is compared with."""
    model, other = scores(ours), scores(theirs)

    def judge(_):
        if name == "competence":
            bars = ngram_bars({5: other}, order=5)
            return competence(measured_bits(model), bars, **OPTIONS)
        if name == "champion":
            incumbent = Incumbent(version=3, measured=measured_bits(other))
            margin = Margin.of(GATES, BITS_PER_BYTE)
            return champion(
                measured_bits(model), incumbent, anchor=model.anchor, margin=margin, **OPTIONS
            )
        reference = Reference(validation=scores(ours), train=scores(theirs))
        fit = fit_of_language(model, other, reference=reference, final=None)
        return overfitting(fit, limits=FitLimits.of(GATES, BITS_PER_BYTE), **OPTIONS)

    return guarded(name, required=True, judge=judge)


def broken(value, count=20):
    bits = GOOD[:count].copy()
    bits[count // 2] = value
    return bits


# Infinity minus infinity on the way to the refusal is no fault.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", ["model", "other"])
def test_scores_that_are_not_finite_fail_and_are_shown(scores, name, value, side):
    bad, good = broken(value), GOOD + 1
    found = ask(scores, name, *((bad, good) if side == "model" else (good - 2, bad)))
    # What is wrong with an old champion is no fault of the new model.
    outcome = "INCONCLUSIVE" if (name, side) == ("champion", "other") else "FAIL"
    assert found.outcome == outcome
    assert "finite" in found.reason
    # A difference of infinities is no number either.
    assert "nan" in found.reason or "inf" in found.reason
    verdict = Verdict(results=[found])
    assert not verdict.passed
    assert verdict.outcome == outcome


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 1])
def test_no_document_and_one_document_are_inconclusive(scores, name, count):
    found = ask(scores, name, GOOD[:count], GOOD[:count] + 1)
    assert found.outcome == "INCONCLUSIVE"
    assert found.value is None
    assert "document" in found.reason


def test_a_verdict_over_nothing_is_no_pass():
    assert not Verdict(results=[]).passed
    skipped = GateResult(gate="bias_lm", required=False, outcome="SKIPPED", reason="x")
    assert not Verdict(results=[skipped]).passed
