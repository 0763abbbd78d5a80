"""Metrics stand beside what they are compared with."""

from lmcore.reporting.version import measures
from lmcore.reporting.version.facts.report import ReportData


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


def test_a_first_version_is_compared_with_no_champion(report_of, report_values):
    metrics = {k: v for k, v in report_values["metrics"].items() if k != "champion_bits_per_byte"}
    (comparison,) = measures.comparisons(report_of(metrics=metrics, champion=None))
    assert "champion" not in {row.role for row in comparison.rows}


def test_other_tasks_are_compared_metric_by_metric():
    metrics = {
        "accuracy": {"value": 0.81, "lower": 0.79, "upper": 0.83, "unit": "", "n": 900},
        "baseline_accuracy": {"value": 0.71, "unit": "", "n": 900},
        "macro_f1": {"value": 0.7, "unit": "", "n": 900},
        "champion_macro_f1": {"value": 0.6, "unit": "", "n": 900},
        "params": {"value": 1e6, "unit": "parameters", "n": 1},
    }
    data = ReportData(
        model="m",
        outcome="promoted",
        task="sentiment",
        deciding="macro_f1",
        metrics=metrics,
        champion=1,
    )
    f1, accuracy = measures.comparisons(data)  # the one that decides first
    assert [row.label for row in accuracy.rows] == ["This version", "Baseline: Accuracy"]
    assert [row.label for row in f1.rows] == ["This version", "Champion, version 1"]
    assert accuracy.better == "higher is better"
