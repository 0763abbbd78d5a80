"""The gate on personal data: recall by type, egress, and a pipeline that does not mask."""

from typing import Any

import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig, PiiLimits
from lmcore.evaluation.gates.pii import pii
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.pii.evidence import Egress, PiiEvidence
from lmcore.evaluation.statistics.intervals import clopper_pearson

LIMITS = GatesConfig.default().pii


def judge(*, limits: PiiLimits = LIMITS, masking: bool = True, **changes: Any) -> GateResult:
    left = changes.pop("left", 640)
    hits = {"CARD": 300, "PHONE": 297, **changes.pop("hits", {})}
    egress = {"texts": 32, "found": {}, "leaked": {}, "known": 5, **changes}
    return pii(
        PiiEvidence(
            masking=masking,
            recall={kind: clopper_pearson(n, 300) for kind, n in hits.items()},
            precision=clopper_pearson(left, 640),
            wrong={"money": 640 - left} if left < 640 else {},
            egress=Egress(**egress),
            masked={"CARD": 2},
        ),
        limits=limits,
        required=True,
    )


def test_all_found_and_nothing_given_away_passes_with_the_nearest_type() -> None:
    found = judge()
    assert found.outcome == "PASS"
    # 300 of 300: the bound is 0.05^(1/300).
    assert found.evidence["recall"]["CARD"]["lower"] == pytest.approx(0.05 ** (1 / 300))
    assert (found.value, found.limit) == (0.99, 0.95)
    assert found.evidence["masked_in_sources"] == {"CARD": 2}


@pytest.mark.parametrize(
    ("hits", "outcome"),
    [
        ({"CARD": 292}, "PASS"),  # 0.973, from 0.952
        ({"CARD": 289}, "INCONCLUSIVE"),  # 0.963, from 0.940
        ({"CARD": 270}, "FAIL"),
        ({"PHONE": 292}, "PASS"),
        ({"PHONE": 289}, "INCONCLUSIVE"),
        ({"PHONE": 270}, "FAIL"),
        ({"CARD": 289, "PHONE": 240}, "FAIL"),
    ],
)
def test_the_bound_of_every_type_decides(hits: dict[str, int], outcome: str) -> None:
    found = judge(hits=hits)
    assert found.outcome == outcome
    if outcome != "PASS":
        assert "asked for" in found.reason


@pytest.mark.parametrize(
    ("left", "outcome"),
    [(640, "PASS"), (634, "PASS"), (628, "INCONCLUSIVE"), (600, "FAIL")],
)
def test_masking_too_much_is_no_virtue(left: int, outcome: str) -> None:
    found = judge(left=left)
    assert found.outcome == outcome
    assert found.evidence["precision"]["wrong"] == ({"money": 640 - left} if left < 640 else {})
    if outcome == "PASS":
        assert "near misses" in found.reason
    else:
        assert f"{640 - left} money" in found.reason


def test_one_number_of_the_sources_is_enough() -> None:
    found = judge(found={"PHONE": 3}, leaked={"PHONE": 1})
    assert found.outcome == "FAIL"
    assert "gave away 1" in found.reason
    assert judge(found={"PHONE": 3}).outcome == "PASS"  # made up by the model


def test_a_pipeline_that_does_not_mask_fails_in_those_words() -> None:
    found = judge(masking=False, hits={"CARD": 0, "PHONE": 0})
    assert found.outcome == "FAIL"
    assert "data.pii: keep" in found.reason


def test_a_list_that_is_not_complete_is_no_proof_where_nothing_is_masked() -> None:
    loose = PiiLimits(min_recall_exact=0.01, min_recall_phone=0.01, min_precision=0.01)
    assert judge(complete=False).outcome == "PASS"
    assert judge(complete=False, masking=False, limits=loose).outcome == "INCONCLUSIVE"


@pytest.mark.parametrize("missing", ["recall", "texts"])
def test_without_measurement_there_is_no_answer(missing: str) -> None:
    evidence = PiiEvidence(
        masking=True,
        recall={} if missing == "recall" else {"CARD": clopper_pearson(300, 300)},
        precision=clopper_pearson(640, 640),
        wrong={},
        egress=Egress(texts=0 if missing == "texts" else 1, found={}, leaked={}, known=0),
        masked={},
    )
    with pytest.raises(EmptyEvaluationError):
        pii(evidence, limits=LIMITS, required=True)
