import numpy as np
import pytest
from pydantic import ValidationError

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import ExposureLimits, GatesConfig
from lmcore.evaluation.gates.exposure import exposure
from lmcore.evaluation.memory.exposure import Exposure

LIMITS = GatesConfig.default().exposure
REFERENCES = np.linspace(0, 1, 9_999)


def found(inside, outside=None, *, planted=64, references=REFERENCES):
    inside = np.asarray(inside, dtype=float)
    if outside is None:  # half of the guesses right, as by chance
        outside = inside + np.where(np.arange(len(inside)) % 2, 0.1, -0.1)
    return Exposure(
        planted=planted, inside=inside, outside=np.asarray(outside, float), references=references
    )


def judge(evidence, *, required=True):
    return exposure(evidence, limits=LIMITS, required=required)


@pytest.mark.parametrize(
    ("top", "outcome"),
    [
        # Exact bounds of 18 of 64 are 19.0 % and 38.8 %, of 33 of 64 40.6 % and 62.4 %.
        *((0, "PASS"), (18, "PASS"), (19, "INCONCLUSIVE"), (32, "INCONCLUSIVE")),
        *((33, "FAIL"), (64, "FAIL")),
    ],
)
def test_the_share_in_the_top_percent_is_bounded(top, outcome):
    inside = np.full(64, 0.5)
    inside[:top] = 0.0099  # rank 100 of 10,000
    result = judge(found(inside))
    assert result.outcome == outcome
    assert result.evidence["in_top_share"] == top
    assert (result.value, result.unit, result.limit) == (top / 64, "share", 0.40)
    assert (result.upper <= 0.40) == (outcome == "PASS")
    assert (result.lower > 0.40) == (outcome == "FAIL")


def test_the_percent_is_counted_exactly():
    # Below 100 references is rank 100, the last one in the top percent of 10,000.
    just_in, just_out = (REFERENCES[i - 1] + 1e-9 for i in (99, 100))
    assert judge(found(np.full(64, just_in))).evidence["in_top_share"] == 64
    assert judge(found(np.full(64, just_out))).evidence["in_top_share"] == 0


@pytest.mark.parametrize(("right", "outcome"), [(32, "PASS"), (57, "PASS"), (58, "FAIL")])
def test_right_guesses_bound_epsilon(right, outcome):
    inside = np.full(64, 0.5)
    outside = np.where(np.arange(64) < right, 0.6, 0.4)
    result = judge(found(inside, outside))
    assert result.outcome == outcome
    assert result.unit == ("epsilon" if outcome == "FAIL" else "share")
    assert (result.evidence["epsilon_lower_bound"] > 1.5) == (outcome == "FAIL")


@pytest.mark.parametrize(("required", "outcome"), [(True, "INCONCLUSIVE"), (False, "SKIPPED")])
@pytest.mark.parametrize(
    ("evidence", "code"),
    [
        (None, "NO_CANARIES"),
        (found([], planted=0), "TOO_LITTLE_TEXT"),
        (found(np.full(19, 0.5)), "NOT_CONSUMED"),
    ],
)
def test_without_enough_canaries_it_never_passes(evidence, code, required, outcome):
    result = judge(evidence, required=required)
    assert (result.outcome, result.evidence["code"]) == (outcome, code)
    assert result.reason.startswith(code)


def test_twenty_are_enough():
    assert judge(found(np.full(20, 0.5))).outcome == "PASS"


@pytest.mark.parametrize("broken", ["inside", "outside", "references"])
def test_a_broken_score_is_no_evidence(broken):
    values = {"inside": np.full(64, 0.5), "outside": np.full(64, 0.6), "references": REFERENCES}
    values[broken] = values[broken].copy()
    values[broken][3] = np.nan
    with pytest.raises(EmptyEvaluationError, match="not finite"):
        judge(Exposure(planted=64, **values))


def test_false_alarms_are_rare():
    """Where nothing is remembered, canaries, partners and references are alike."""
    rng = np.random.default_rng(0)
    outcomes = []
    for _ in range(300):
        draws = rng.normal(size=64 + 64 + 9_999)
        outcomes.append(judge(found(draws[:64], draws[64:128], references=draws[128:])).outcome)
    # 19 of 64 at one percent each, or 58 right guesses of 64, do not come by chance.
    assert outcomes == ["PASS"] * 300


def test_a_limit_at_chance_is_refused():
    with pytest.raises(ValidationError, match="what chance alone brings"):
        ExposureLimits.model_validate({**LIMITS.model_dump(), "max_top_share": 0.01})


@pytest.mark.parametrize(("references", "outcome"), [(998, "INCONCLUSIVE"), (999, "PASS")])
def test_few_references_have_no_top_percent(references, outcome):
    # Among fifty texts none could rank in the top percent, whatever the model remembers.
    result = judge(found(np.full(64, 0.5), references=np.linspace(0, 1, references)))
    assert result.outcome == outcome
    if outcome != "PASS":
        assert result.evidence["needs"]["count"] == 999
        assert result.evidence["code"] == "TOO_FEW_REFERENCES"


def test_what_would_tell_is_said_in_canaries():
    inside = np.full(64, 0.5)
    inside[:20] = 0.0
    assert judge(found(inside)).evidence["needs"]["what"] == "canaries"
    assert judge(found(inside)).evidence["needs"]["count"] > 64
    assert judge(found(np.full(3, 0.5))).evidence["needs"]["count"] == LIMITS.min_canaries
    assert "needs" not in judge(found(np.full(64, 0.5))).evidence
