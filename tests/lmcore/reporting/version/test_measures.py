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


def test_a_pretrained_model_its_descendant_and_the_champion_are_in_one_picture(
    report_of, report_values
):
    def metric(value, n):
        bounds = {"lower": value - 0.02, "upper": value + 0.02}
        return {"value": value, **bounds, "unit": "bits/byte", "n": n}

    later = {
        "val_later_bits_per_byte": metric(0.91, 22),
        "untouched_later_bits_per_byte": metric(1.04, 22),
        "champion_later_bits_per_byte": metric(1.61, 22),
        "baseline_kn5_later_bits_per_byte": metric(1.8, 22),
    }
    beside = {"untouched_bits_per_byte": metric(0.95, 25), **later}
    data = report_of(
        metrics={**report_values["metrics"], **beside},
        pretrained={"name": "SmolLM2-135M", "known_until": "2024-11-30"},
    )
    on_all, on_later = measures.comparisons(data)
    assert [(row.label, row.role) for row in on_all.rows][:4] == [
        ("This version", "self"),
        ("SmolLM2-135M, untouched", "untouched"),
        ("Champion, version 2", "champion"),
        ("Byte 5-gram, Kneser-Ney", "baseline"),
    ]
    assert "later than 2024-11-30" in on_later.title
    assert [(row.label, row.role) for row in on_later.rows] == [
        ("This version", "self"),
        ("SmolLM2-135M, untouched", "untouched"),
        ("Champion, version 2", "champion"),
        ("Byte 5-gram, Kneser-Ney", "baseline"),
    ]
    # One axis for both.
    assert on_all.ticks == on_later.ticks
    assert on_later.rows[0].mark.value < on_all.rows[1].mark.value < on_later.rows[1].mark.value
    labels = {row[0] for row in measures.metric_table(data).rows}
    assert {
        "Pretrained model, untouched",
        "Pretrained model, untouched, later documents",
        "Held-out text, later documents",
        "Champion, later documents",
        "Byte 5-gram, Kneser-Ney, later documents",
    } <= labels


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
