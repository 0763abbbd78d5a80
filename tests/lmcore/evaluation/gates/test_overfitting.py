import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.overfitting import overfitting

LIMITS = GatesConfig.default().overfitting
VAL = 1.5 + np.random.default_rng(0).normal(0, 0.1, 40)
TRAIN = 1.5 + np.random.default_rng(1).normal(0, 0.1, 40)


def judge(validation, train, final=None, limits=LIMITS):
    return overfitting(validation, train, final=final, limits=limits, required=True, resamples=2000)


@pytest.mark.parametrize(
    ("ratio", "outcome"), [(1.0, "PASS"), (1.1, "PASS"), (0.9, "INCONCLUSIVE"), (0.5, "FAIL")]
)
def test_the_gap_is_relative_and_bounded(scores, ratio, outcome):
    found = judge(scores(VAL), scores(TRAIN * ratio, start=100))
    assert found.outcome == outcome
    assert found.value == pytest.approx(1 - TRAIN.mean() * ratio / VAL.mean())
    assert found.limit == 0.10
    assert found.unit == "share"


def test_where_the_last_weights_are_the_best_the_difference_is_exactly_zero(scores):
    turn = judge(scores(VAL), scores(TRAIN, start=100)).evidence["final_minus_best"]
    assert (turn["value"], turn["lower"], turn["upper"]) == (0, 0, 0)


@pytest.mark.parametrize(("rise", "outcome"), [(0.0, "PASS"), (0.005, "PASS"), (0.05, "FAIL")])
def test_last_weights_may_be_little_worse_than_the_best(scores, rise, outcome):
    jitter = np.linspace(-1, 1, 40) * 1e-4
    found = judge(scores(VAL), scores(TRAIN, start=100), final=scores(VAL + rise + jitter))
    assert found.outcome == outcome
    if outcome == "FAIL":
        assert found.limit == LIMITS.max_final_minus_best_bits_per_byte
        assert found.unit == "bits/byte"


def test_after_an_early_stop_the_last_weights_are_reported_not_judged(scores):
    found = overfitting(
        scores(VAL),
        scores(TRAIN, start=100),
        final=scores(VAL + 0.5),
        stopped_early=True,
        limits=LIMITS,
        required=True,
        resamples=1000,
    )
    assert found.outcome == "PASS"
    assert found.evidence["final_minus_best"]["outcome"] == "SKIPPED"
    assert found.evidence["final_minus_best"]["value"] == pytest.approx(0.5)


def test_one_consumed_document_or_a_broken_score_is_no_evidence(scores):
    with pytest.raises(EmptyEvaluationError):
        judge(scores(VAL), scores(TRAIN[:1], start=100))
    with pytest.raises(EmptyEvaluationError):
        judge(scores(VAL), scores([math.nan] * 5, start=100))
    with pytest.raises(EmptyEvaluationError):
        judge(scores(VAL), scores(TRAIN, start=100), final=scores([math.inf] * 40))


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 1.2), st.floats(0.01, 0.5), st.floats(0.1, 1.0))
def test_a_tighter_limit_never_passes_more(ratio, limit, shrink):
    sums = (VAL * 100, np.full(40, 100.0), None)
    from lmcore.evaluation.gates.result import judge_upper
    from lmcore.evaluation.intervals import relative_gap_interval

    gap = relative_gap_interval(sums, (TRAIN * ratio * 100, sums[1], None), resamples=1000)
    if judge_upper(gap, limit * shrink) == "PASS":
        assert judge_upper(gap, limit) == "PASS"
