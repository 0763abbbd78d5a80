import math

import numpy as np
import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.data_sufficiency import CurvePoint, data_sufficiency
from lmcore.evaluation.statistics.measured import AlignmentError
from lmcore.evaluation.statistics.resampling import Resampling

LIMITS = GatesConfig.default().data_sufficiency
EASE = 1 + np.random.default_rng(0).normal(0, 0.1, 30)


def judge(curve, limits=LIMITS):
    return data_sufficiency(
        curve, limits=limits, required=False, resampling=Resampling(resamples=2000)
    )


@pytest.fixture
def power_law(scores):
    """Models whose bits per byte fall as a power of the amount of text."""

    def curve(exponent, *, sizes=(250_000, 500_000, 1_000_000), noise=0.0):
        rng = np.random.default_rng(1)
        return [
            CurvePoint(
                share=size / sizes[-1],
                train_bytes=size,
                table=scores(
                    2 * EASE * (size / sizes[-1]) ** -exponent * (1 + rng.normal(0, noise, 30))
                ),
            )
            for size in sizes
        ]

    return curve


@pytest.mark.parametrize(("exponent", "outcome"), [(0.0, "PASS"), (0.05, "PASS"), (0.2, "WARN")])
def test_a_power_law_is_found_again(power_law, exponent, outcome):
    found = judge(power_law(exponent))
    assert found.value == pytest.approx(1 - 2**-exponent, abs=1e-9)
    assert found.outcome == outcome
    recent = found.evidence["gain_of_last_doubling"]["value"]
    assert recent == pytest.approx(found.value, abs=1e-9)
    assert [point["share"] for point in found.evidence["curve"]] == [0.25, 0.5, 1.0]


def test_the_order_and_the_steps_of_the_curve_do_not_matter(power_law):
    value = judge(power_law(0.1)).value
    assert judge(power_law(0.1)[::-1]).value == pytest.approx(value)
    assert judge(power_law(0.1, sizes=(100_000, 1_000_000))).value == pytest.approx(value)


def test_a_gain_that_is_not_surely_small_warns(power_law):
    found = judge(power_law(0.06, noise=0.1))
    assert found.lower < LIMITS.max_predicted_gain < found.upper
    assert found.outcome == "WARN"


def test_more_text_that_did_not_help_is_no_reason_for_more(power_law):
    found = judge(power_law(-0.1))
    assert found.value < 0
    assert found.outcome == "PASS"


def test_it_never_fails_and_is_skipped_where_nothing_was_trained(power_law):
    assert judge(power_law(2.0)).outcome == "WARN"
    skipped = judge(None)
    assert skipped.outcome == "SKIPPED"
    assert "data_sufficiency.enabled" in skipped.reason


def test_missing_and_broken_scores_are_no_evidence(power_law, scores):
    with pytest.raises(EmptyEvaluationError, match="1 amounts of text"):
        judge(power_law(0.1)[:1])
    same = power_law(0.1, sizes=(10, 10))
    with pytest.raises(EmptyEvaluationError):
        judge(same)
    broken = [*power_law(0.1)[:2], CurvePoint(share=1, train_bytes=9**9, table=scores([math.nan]))]
    with pytest.raises((EmptyEvaluationError, AlignmentError)):
        judge(broken)
    nan = CurvePoint(share=1, train_bytes=9**9, table=scores([math.nan] * 30))
    with pytest.raises(EmptyEvaluationError):
        judge([*power_law(0.1)[:2], nan])
