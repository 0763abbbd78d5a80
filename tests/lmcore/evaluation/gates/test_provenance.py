import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.gates.provenance import provenance
from lmcore.evaluation.inputs import BaseOwnership
from lmcore.evaluation.ownership import Ownership, manifest_mismatch


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


ALLOWED = {"licenses": {"CC0-1.0": 1000}, "blocked_licenses": []}


def test_a_denied_origin_fails():
    found = provenance({**ALLOWED, "blocked_origins": ["a forum"]}, required=True)
    assert found.outcome == "FAIL"
    assert "'a forum'" in found.reason


def test_removed_documents_in_use_fail_and_kept_out_ones_are_counted():
    used = Ownership(removals=1, kept_out=2, removed_in_use=("a.txt (123)",), num_removed_in_use=1)
    found = provenance(ALLOWED, required=True, ownership=used)
    assert found.outcome == "FAIL"
    assert "a.txt (123)" in found.reason
    clean = Ownership(removals=1, kept_out=2)
    found = provenance(ALLOWED, required=True, ownership=clean)
    assert found.outcome == "PASS"
    assert "2 texts were kept out because of 1 removal" in found.reason
    assert found.evidence["removed_documents_kept_out"] == 2


def test_what_does_not_fit_fails_and_several_problems_are_all_said():
    broken = Ownership(broken=manifest_mismatch("a" * 64, "b" * 64))
    found = provenance(
        {"licenses": {"unknown": 9}, "blocked_licenses": ["unknown"]},
        required=True,
        ownership=broken,
    )
    assert found.outcome == "FAIL"
    assert "the registry says bbbbbbbbbbbb" in found.reason
    assert "unknown licence" in found.reason


def of_base(**facts):
    made_from = BaseOwnership(**{"name": "small", "license": "Apache-2.0", **facts})
    return provenance(ALLOWED, required=True, ownership=Ownership(made_from=made_from))


def test_an_allowed_pretrained_model_passes_and_is_named():
    found = of_base()
    assert found.outcome == "PASS"
    assert "So is the pretrained model small, under Apache-2.0." in found.reason
    assert found.evidence["made_from"]["license"] == "Apache-2.0"
    assert "made_from" not in provenance(ALLOWED, required=True).evidence


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"license": "unknown", "blocked": ("license",)}, "state it as model.license"),
        ({"license": "CC-BY-NC-4.0", "blocked": ("license",)}, "start from another model"),
        ({"blocked": ("origin",)}, "small is of an origin that policy.deny_origins blocks"),
        ({"broken": ("weights differ",)}, "model small: weights differ; delete its folder"),
    ],
)
def test_a_pretrained_model_that_must_not_be_used_fails(facts, sentence):
    found = of_base(**facts)
    assert found.outcome == "FAIL"
    assert sentence in found.reason
    assert found.value == 0.0  # bytes of text
