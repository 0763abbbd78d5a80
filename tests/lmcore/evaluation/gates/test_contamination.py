import numpy as np
import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.contamination import contamination
from lmcore.evaluation.memory.contamination import Contamination

LIMITS = GatesConfig.default().contamination


def judge(longest, covered=None, *, words=150, documents=40, required=True, train_documents=9):
    count = len(longest)
    owner = np.array([f"d{i % documents}" for i in range(count)], dtype=object)
    return contamination(
        Contamination(
            cluster=owner,
            document=owner,
            words=np.full(count, words),
            longest=np.array(longest),
            covered=np.zeros(count) if covered is None else np.array(covered, dtype=float),
            too_short=2,
            train_documents=train_documents,
            common_documents=4,
        ),
        limits=LIMITS,
        required=required,
    )


@pytest.mark.parametrize(
    ("copied", "outcome"), [(0, "PASS"), (12, "PASS"), (24, "INCONCLUSIVE"), (60, "FAIL")]
)
def test_the_upper_bound_decides(copied, outcome):
    found = judge([150] * copied + [0] * (1_200 - copied))
    assert found.outcome == outcome
    assert found.value == pytest.approx(copied / 1_200)
    assert f"{copied} of 1,200 passages" in found.reason


def test_a_quotation_is_no_copy():
    # 29 of 150 words are less than a fifth; 30 are not.
    assert judge([29] * 1_200).evidence["copied"] == 0
    assert judge([30] * 1_200).evidence["copied"] == 1_200
    # A fifth of a short passage is fewer words than a run needs.
    assert judge([12] * 1_200, words=20).evidence["copied"] == 0


def test_an_edited_copy_counts_once():
    found = judge([150] * 30 + [0] * 1_170, [1.0] * 60 + [0.1] * 1_140)
    assert (found.evidence["copied"], found.evidence["verbatim"]) == (60, 30)
    assert found.evidence["edited"] == 30


def test_passages_of_one_document_make_no_rate_sure():
    assert judge([0] * 1_200).outcome == "PASS"
    one = judge(([150] + [0] * 39) * 30)  # all 30 in the first document
    assert one.outcome == "INCONCLUSIVE"
    assert one.upper > 0.05


def test_without_text_there_is_no_evidence():
    with pytest.raises(EmptyEvaluationError, match="at least 2"):
        judge([])
    with pytest.raises(EmptyEvaluationError, match="no training text"):
        judge([0, 0], train_documents=0)


@pytest.mark.parametrize("passages", [5, 100])
def test_few_passages_without_a_copy_are_not_enough(passages):
    found = judge([0] * passages, documents=5)
    assert found.outcome == "INCONCLUSIVE"
    # 1 - 0.05 ** (1 / 149) is below 2 %.
    assert found.evidence["needs"]["count"] == 149
    assert judge([0] * 149, documents=5).outcome == "PASS"
