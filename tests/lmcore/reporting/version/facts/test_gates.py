"""A gate's answer as it was written, in a file or in a tag."""

import pytest

from lmcore.reporting.version.facts.bias import BiasEvidence
from lmcore.reporting.version.facts.gates import Control, Gate, Standing

CONTROLS = {
    "status": "vouched",
    "version": "ab12",
    "date": "2026-11-24",
    "controls": [
        {"control": "noise", "kind": "negative", "seeds": 20, "as_expected": 19},
        {"control": "sound", "kind": "healthy", "seeds": "20", "as_expected": 20},
        7,
    ],
}


def test_an_answer_is_read_with_its_numbers_and_its_controls():
    gate = Gate(
        **{"gate": "competence", "required": False, "outcome": "FAIL", "reason": "worse"},
        **{"value": 0.2, "lower": 0.1, "upper": 0.3, "limit": 0.0, "unit": "bits/byte"},
        evidence={"controls": CONTROLS, "anything": [1]},
    )
    assert (gate.name, gate.required, gate.outcome, gate.reason) == (
        *("competence", False, "FAIL", "worse"),
    )
    assert (gate.shown, gate.bounds, gate.limit) == ("0.20", "0.10 to 0.30", 0.0)
    assert (gate.controls.status, gate.controls.date) == ("vouched", "2026-11-24")
    # A case whose counts are no numbers was not counted.
    assert gate.controls.controls == (
        Control(name="noise", kind="negative", as_expected=19, seeds=20),
    )
    assert gate.bias == BiasEvidence()


def test_a_tag_without_evidence_is_a_gate_that_was_asked():
    gate = Gate(gate="pii", outcome="PASS")
    assert (gate.required, gate.controls, gate.value, gate.limit) == (True, None, None, None)


@pytest.mark.parametrize("raw", [None, 3, "x", [], {"controls": 3}])
def test_evidence_of_another_shape_is_none(raw):
    assert Gate(gate="a", evidence=raw).controls is None


@pytest.mark.parametrize("raw", [None, 7, "", []])
def test_a_gate_without_name_or_outcome_has_decided_nothing(raw):
    gate = Gate(gate=raw, outcome=raw)
    assert (gate.name, gate.outcome) == ("gate", "SKIPPED")


def test_standings_of_other_releases_have_no_controls():
    assert Standing(status="vouched", controls={"a": 1}).controls == ()
    assert Standing(**{**CONTROLS, "controls": None}).controls == ()
