import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.gates.provenance import provenance


def test_allowed_licences_pass_exactly():
    found = provenance(
        {"licenses": {"CC0-1.0": 900, "MIT": 100}, "blocked_licenses": []}, required=True
    )
    assert found.outcome == "PASS"
    assert found.value == 0.0
    assert "1,000 bytes" in found.reason


def test_unknown_licence_fails_and_the_sentence_says_how_to_allow_it():
    found = provenance(
        {"licenses": {"unknown": 900, "MIT": 100}, "blocked_licenses": ["unknown"]}, required=True
    )
    assert found.outcome == "FAIL"
    assert found.value == 900
    assert "policy.unknown_license: allow" in found.reason
    assert "900 of 1,000 bytes" in found.reason


def test_denied_licence_fails_with_its_own_remedy():
    found = provenance(
        {"licenses": {"CC-BY-NC-4.0": 1}, "blocked_licenses": ["CC-BY-NC-4.0"]}, required=True
    )
    assert found.outcome == "FAIL"
    assert "policy.deny" in found.reason
    assert "unknown_license" not in found.reason


@pytest.mark.parametrize("summary", [{}, {"licenses": {}}, {"blocked_licenses": []}])
def test_a_set_that_says_nothing_is_no_evidence(summary):
    with pytest.raises(EmptyEvaluationError):
        provenance(summary, required=True)
