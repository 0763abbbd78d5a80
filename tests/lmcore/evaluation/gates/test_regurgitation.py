import numpy as np
import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.regurgitation import regurgitation
from lmcore.evaluation.memory.regurgitation import Regurgitation, Windows

LIMITS = GatesConfig.default().regurgitation


def windows(hits, count=3_000, documents=60):
    nats = np.full(count, 100.0)
    nats[:hits] = 1.0
    return Windows(cluster=np.array([f"d{i % documents}" for i in range(count)]), nats=nats)


def judge(train=0, held_out=0, *, long=0, samples=500, required=True):
    longest = np.full(samples, 12)
    longest[:long] = 50
    sides = {"train": train, "held_out": held_out}
    # A number of hits, or the windows themselves.
    values = {k: windows(v) if isinstance(v, int) else v for k, v in sides.items()}
    values["longest"] = longest
    return regurgitation(Regurgitation(**values), limits=LIMITS, required=required)


@pytest.mark.parametrize(("train", "outcome"), [(0, "PASS"), (2, "INCONCLUSIVE"), (60, "FAIL")])
def test_extractable_text_is_bounded(train, outcome):
    found = judge(train)
    assert found.outcome == outcome
    assert found.value == pytest.approx(train / 3_000)
    assert found.limit == LIMITS.max_extractable_share


def test_what_anybody_could_guess_is_subtracted():
    assert judge(60, 60).outcome == "INCONCLUSIVE"
    assert judge(60, 60).value == 0.0
    assert judge(300, 60).outcome == "FAIL"


@pytest.mark.parametrize(
    ("long", "outcome"), [(0, "PASS"), (1, "PASS"), (4, "INCONCLUSIVE"), (20, "FAIL")]
)
def test_free_samples_are_bounded(long, outcome):
    found = judge(long=long)
    assert found.outcome == outcome
    if outcome != "PASS":
        assert (found.value, found.limit) == (long / 500, LIMITS.max_verbatim_share)
    assert found.evidence["free_samples"]["longest_match_tokens"] == (50 if long else 12)


@pytest.mark.parametrize(("required", "outcome"), [(True, "INCONCLUSIVE"), (False, "SKIPPED")])
@pytest.mark.parametrize("side", ["train", "held_out"])
def test_too_little_text_is_said_and_never_passes(required, outcome, side):
    for little in (windows(0, 1_499), windows(0, 3_000, documents=1), windows(0, 0)):
        found = judge(required=required, **{side: little})
        assert found.outcome == outcome
        assert found.reason.startswith("TOO_LITTLE_TEXT")


def test_a_broken_score_never_passes():
    broken = windows(0)
    broken.nats[7] = np.nan
    assert judge(train=0, held_out=0).outcome == "PASS"
    for side in ("train", "held_out"):
        assert judge(**{side: broken}).outcome == "INCONCLUSIVE"


def test_without_samples_there_is_no_evidence():
    with pytest.raises(EmptyEvaluationError):
        judge(samples=0)


def test_a_window_count_that_can_never_clear_a_model_is_refused():
    with pytest.raises(ValueError, match="min_windows=100"):
        GatesConfig.model_validate({"regurgitation": {"min_windows": 100}})


@pytest.mark.parametrize("samples", [5, 100, 298])
def test_few_free_samples_without_a_match_are_not_enough(samples):
    found = judge(samples=samples)
    assert found.outcome == "INCONCLUSIVE"
    assert found.evidence["needs"] == {
        **{"what": "free samples", "have": samples, "count": 299, "part": "free_samples"}
    }
    assert judge(samples=299).outcome == "PASS"


def test_no_free_samples_are_no_answer():
    with pytest.raises(EmptyEvaluationError):
        judge(samples=0)


def test_windows_that_are_missing_are_named():
    need = judge(train=windows(0, 700)).evidence["needs"]
    assert (need["have"], need["count"], need["part"]) == (700, 1_500, "train_documents")
    assert judge(2).evidence["needs"]["what"] == "windows of both sides"
