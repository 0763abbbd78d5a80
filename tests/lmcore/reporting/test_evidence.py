"""What is said about metrics, gates, curves and data follows from the numbers alone."""

from dataclasses import replace

import pytest

from lmcore.errors import UserError
from lmcore.reporting.version import books as ledger
from lmcore.reporting.version import curves, measures, verdicts
from lmcore.reporting.version.facts import ReportData


def test_an_unknown_outcome_is_refused():
    with pytest.raises(UserError, match="outcome='lost'; expected one of passed, promoted"):
        ReportData(model="m", outcome="lost")


def test_data_survive_json(report_data):
    assert ReportData(**report_data.to_json()).to_json() == report_data.to_json()


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
    row = verdicts.gate_row({"gate": "g", "outcome": outcome, "value": value, "limit": limit})
    assert row.mark is not None
    assert row.mark.allowed == allowed
    assert (row.mark.value < row.mark.limit) == (value < limit)


def test_a_gate_without_numbers_has_no_picture():
    row = verdicts.gate_row({"gate": "provenance", "outcome": "PASS", "reason": "All is well."})
    assert (row.value, row.interval, row.limit, row.mark) == ("", "", "", None)
    broken = verdicts.gate_row({"gate": "g", "outcome": "FAIL", "value": float("nan"), "limit": 1})
    assert (broken.value, broken.mark) == ("", None)
    assert verdicts.gate_row({}).outcome == "SKIPPED"


def test_tiles_lead_with_the_metric_of_the_task(report_data):
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


def test_bits_per_byte_are_compared_on_one_axis(report_data):
    (comparison,) = measures.comparisons(report_data)
    assert [(row.label, row.role) for row in comparison.rows] == [
        ("This version", "self"),
        ("Champion, version 2", "champion"),
        ("Byte 5-gram, Kneser-Ney", "baseline"),
        ("Byte 6-gram, Kneser-Ney", "baseline"),
        ("Byte 8-gram, Kneser-Ney", "baseline"),
        ("This version on the frozen slice", "part"),
        ("This version on text it learnt from", "part"),
    ]
    places = [row.mark.value for row in comparison.rows]
    assert places[4] < places[0] < places[1] < places[3] < places[2]
    assert all(row.mark.lower < row.mark.value < row.mark.upper for row in comparison.rows)


def test_the_recorded_champion_stands_in_where_this_run_did_not_score_it(report_data):
    metrics = {k: v for k, v in report_data.metrics.items() if k != "champion_bits_per_byte"}
    recorded = {"val_bits_per_byte": {"value": 1.6, "unit": "bits/byte", "n": 25}}
    data = replace(report_data, metrics=metrics, champion_metrics=recorded)
    assert measures.comparisons(data)[0].rows[1].value == "1.6"
    first = replace(report_data, metrics=metrics, champion=None)
    assert "champion" not in {row.role for row in measures.comparisons(first)[0].rows}


def test_other_tasks_are_compared_metric_by_metric():
    metrics = {
        "accuracy": {"value": 0.81, "lower": 0.79, "upper": 0.83, "unit": "", "n": 900},
        "baseline_accuracy": {"value": 0.71, "unit": "", "n": 900},
        "macro_f1": {"value": 0.7, "unit": "", "n": 900},
        "params": {"value": 1e6, "unit": "parameters", "n": 1},
    }
    data = ReportData(
        model="m",
        outcome="promoted",
        task="sentiment",
        metrics=metrics,
        champion=1,
        champion_metrics={"macro_f1": {"value": 0.6, "unit": "", "n": 900}},
    )
    accuracy, f1 = measures.comparisons(data)
    assert [row.label for row in accuracy.rows] == ["This version", "Baseline: Accuracy"]
    assert [row.label for row in f1.rows] == ["This version", "Champion, version 1"]
    assert accuracy.better == "higher is better"
    assert verdicts.tiles(data)[0].value == "0.7"


def test_curves_share_the_planned_steps_and_mark_the_kept_one(report_data):
    charts = curves.curves(report_data)
    assert [chart.name for chart in charts] == ["loss", "tune", "rate"]
    assert charts[1].mark == (95.0, "kept: step 950")
    assert {chart.ticks_x[-1].label for chart in charts} == {"1,000"}
    chosen = replace(report_data, best_step=500)
    assert curves.curves(chosen)[1].mark == (50.0, "kept: step 500")
    table = curves.curve_table(report_data)
    assert table[0][0] == "50"
    assert table[-1][0] == "950"
    assert curves.curves(replace(report_data, curve=[{"loss_nats": float("nan"), "step": 1}])) == []


def test_rules_that_found_nothing_are_named_in_the_note(report_data):
    table = ledger.rules(report_data)
    assert table is not None
    assert [row[0] for row in table.rows] == ["normalise unicode", "exact duplicate"]
    assert table.note == "Found nothing: empty, too long."


def test_a_ledger_of_another_shape_is_still_shown():
    data = ReportData(
        model="m",
        outcome="promoted",
        ledger={
            "rules": {"too_short": {"documents": 3, "action": "dropped"}, "binary": 2},
            "pii": {"email": 1},
            "quarantine": [{"reason": "broken", "documents": 1}],
            "kept": 7,
            "nothing": [],
        },
    )
    table = ledger.rules(data)
    assert table is not None
    assert [row[:3] for row in table.rows] == [("too short", "dropped", "3"), ("binary", "", "2")]
    values, tables = ledger.other_tables(data)
    assert values == [("Kept", "7")]
    assert [(t.caption, t.rows) for t in tables] == [
        ("Personal data masked", (("email", "1"),)),
        ("Quarantine", (("broken", "1"),)),
    ]
    assert ledger.rules(ReportData(model="m", outcome="promoted", ledger={"rules": 3})) is None


def test_a_table_without_end_is_cut_and_says_so():
    rules = [{"rule": f"r{i}", "documents": 1} for i in range(1_000)]
    table = ledger.rules(ReportData(model="m", outcome="promoted", ledger={"rules": rules}))
    assert table is not None
    assert len(table.rows) == ledger.MAX_ROWS
    assert table.note == "800 more rows are in the stored ledger."


def test_shares_are_of_the_bytes_and_name_what_the_policy_blocks():
    sources = [
        {"license": "MIT", "origin": "a", "documents": 1, "bytes": 300},
        {"license": "unknown", "origin": "b", "documents": 1, "bytes": 100},
    ]
    data = ReportData(
        model="m",
        outcome="rejected",
        sources=sources,
        documents={"blocked_licenses": ["unknown"]},
    )
    shares = ledger.source_shares(data)
    assert [(s.name, s.share, s.blocked) for s in shares] == [
        ("a", "75 %", False),
        ("b", "25 %", True),
    ]
    licenses = ledger.license_shares(data)
    assert [(s.name, s.percent, s.blocked) for s in licenses] == [
        ("MIT", 75.0, False),
        ("unknown", 25.0, True),
    ]
    assert ledger.license_shares(ReportData(model="m", outcome="skipped")) == []


def test_the_split_table_gives_each_side_its_share(report_data):
    table = ledger.splits(report_data)
    assert table is not None
    assert table.rows[0] == ("train", "learnt from", "213", "10.2 MB", "85.1 %")
    assert [row[0] for row in table.rows] == ["train", "tune", "validation", "anchor", "excluded"]
