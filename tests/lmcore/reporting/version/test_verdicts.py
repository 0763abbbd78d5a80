"""The outcome, the gates and the key figures follow from the numbers alone."""

import pytest

from lmcore.reporting.version import verdicts
from lmcore.reporting.version.facts.gates import Gate
from lmcore.reporting.version.facts.report import ReportData


def test_the_outcome_is_a_plain_sentence(report_data):
    assert verdicts.outcome_sentence(report_data) == (
        "Promoted: this version is now the champion. Every required gate passed and version 2"
        " was beaten by 0.021 bits per byte."
    )
    bare = ReportData(model="m", outcome="rejected")
    assert verdicts.outcome_sentence(bare).endswith("it is not in use.")
    assert verdicts.gate_count(bare) == ""


def test_required_gates_are_counted_by_what_they_said(report_data):
    expected = "4 of 5 required gates passed (1 inconclusive)"
    assert verdicts.gate_count(report_data) == expected


@pytest.mark.parametrize(
    ("outcome", "value", "limit", "allowed"),
    [
        ("PASS", -0.2, 0.0, "below"),
        ("FAIL", 0.4, 0.25, "below"),
        ("PASS", 0.99, 0.98, "above"),
        ("FAIL", 0.5, 0.98, "above"),
        ("INCONCLUSIVE", 0.1, 0.2, None),
        ("PASS", 0.2, 0.2, None),
    ],
)
def test_a_clear_verdict_shows_which_side_of_the_limit_passes(outcome, value, limit, allowed):
    row = verdicts.gate_row(Gate(name="g", outcome=outcome, value=value, limit=limit))
    assert row.mark is not None
    assert row.mark.allowed == allowed
    assert (row.mark.value < row.mark.limit) == (value < limit)


def test_a_gate_without_numbers_has_no_picture():
    row = verdicts.gate_row(Gate(name="provenance", outcome="PASS", reason="All is well."))
    assert (row.value, row.interval, row.limit, row.mark) == ("", "", "", None)
    broken = verdicts.gate_row(Gate(value=float("nan"), limit=1))
    assert (broken.value, broken.limit, broken.mark) == ("", "1", None)
    assert (broken.gate, broken.outcome) == ("gate", "SKIPPED")


@pytest.mark.parametrize(
    ("deciding", "first"), [("accuracy", ("Accuracy", "81 %")), ("macro_f1", ("Macro F1", "70 %"))]
)
def test_the_metric_that_decides_is_the_result(report_of, deciding, first):
    metrics = {
        "macro_f1": {"value": 0.7, "unit": "share"},
        "accuracy": {"value": 0.81, "unit": "share"},
    }
    data = report_of(task="sentiment", metrics=metrics, deciding=deciding)
    tile = verdicts.tiles(data)[0]
    assert (tile.label, tile.value) == first
    assert next(iter(data.metrics)) == deciding


def test_tiles_lead_with_the_result(report_data):
    tiles = verdicts.tiles(report_data)
    assert [(tile.label, tile.value) for tile in tiles] == [
        ("Held-out text", "1.503"),
        ("Against the baseline", "−0.211"),
        ("Against the champion", "−0.0213"),
        ("Overfitting", "4.2 %"),
        ("Parameters", "3,412,480"),
        ("Wall clock", "2 min 56 s"),
    ]
    assert tiles[0].note == "bits/byte · 1.482 to 1.526 · 25 documents"
    assert verdicts.tiles(ReportData(model="m", outcome="skipped")) == []
