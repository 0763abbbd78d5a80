"""Charts and tables over versions: what each of them draws, and None where nothing is recorded."""

from datetime import UTC, datetime, timedelta

import pytest

from lmcore.reporting.charts import Axis
from lmcore.reporting.dashboard import sections
from lmcore.reporting.dashboard.facts import DriftEntry, ModelHistory, VersionEntry
from lmcore.reporting.estimates import Estimate

MARCH = datetime(2026, 3, 4, 14, 5, tzinfo=UTC)
STEPS = Axis(low=0.5, high=3.5)


def version(number, outcome="promoted", **facts):
    return VersionEntry(number=number, created=MARCH, outcome=outcome, **facts)


def bits(value, **more):
    return {"val_bits_per_byte": {"value": value, "unit": "bits/byte", **more}}


def gate(name, outcome="PASS", **facts):
    return {"gate": name, "outcome": outcome, **facts}


@pytest.mark.parametrize(
    ("deciding", "higher", "unit", "title"),
    [
        ("val_bits_per_byte", False, "bits/byte", "Held-out text, bits per byte (lower is better)"),
        ("accuracy", True, "share", "Accuracy (higher is better)"),
        ("accuracy", True, "points", "Accuracy, points (higher is better)"),
    ],
)
def test_the_title_names_metric_unit_and_direction(deciding, higher, unit, title):
    # The newest version that has the metric says its unit.
    known = version(1, metrics={deciding: {"value": 1.0, "unit": unit}})
    history = ModelHistory(
        model="m", deciding=deciding, higher_is_better=higher, versions=[known, version(2)]
    )
    assert sections.quality_title(history) == title


def test_the_title_of_a_model_without_versions_has_no_unit():
    assert sections.quality_title(ModelHistory(model="m")) == "Held-out text (lower is better)"


def test_quality_is_one_mark_a_version_that_was_measured():
    versions = [
        version(1, metrics=bits(2.0, lower=1.9, upper=2.1)),
        version(2, "rejected", metrics=bits(None)),
        version(3, "registered", metrics={**bits(1.0), "anchor_bits_per_byte": {"value": 1.5}}),
    ]
    chart = sections.quality_chart(ModelHistory(model="m", versions=versions), STEPS)
    first, last = chart.marks
    assert (first.kind, last.kind) == ("promoted", "kept")
    assert first.summary == ("version 1, promoted 2026-03-04 14:05: 2.00 bits/byte (1.90 to 2.10)")
    assert last.summary.endswith("1 bits/byte")
    # Better is lower, so nearer to the bottom, where y is larger.
    assert first.y < last.y
    assert len(chart.second.split()) == 1
    assert "lowest 1 at version 3" in chart.description
    assert sections.quality_chart(ModelHistory(model="m", versions=[version(1)]), STEPS) is None


def test_the_frozen_slice_is_not_drawn_beside_itself():
    metrics = {"anchor_bits_per_byte": {"value": 1.5}}
    history = ModelHistory(
        model="m", deciding="anchor_bits_per_byte", versions=[version(1, metrics=metrics)]
    )
    assert sections.quality_chart(history, STEPS).second == ""


def test_gates_are_letters_the_newest_version_first():
    versions = [
        version(1, "rejected", gates=[gate("old", "FAIL", reason="bad"), gate("pii", "WARN")]),
        version(2, gates=[gate("pii", required=False, reason="fine"), gate("b_c", "later")]),
    ]
    matrix = sections.gate_matrix(versions)
    assert matrix.gates == ("pii", "b c", "old")
    (name, kind, new), (other, bad, old) = matrix.rows
    assert (name, kind, other, bad) == ("v2", "pass", "v1", "fail")
    assert [cell and (cell.letter, cell.kind) for cell in new] == [("P", "p"), ("?", "s"), None]
    assert [cell and (cell.letter, cell.kind) for cell in old] == [("W", "w"), None, ("F", "f")]
    assert new[0].sentence == "pii (advice): PASS. fine"
    assert (new[1].sentence, old[2].sentence) == ("b c: later", "old: FAIL. bad")
    assert sections.gate_matrix([version(1)]) is None


def test_reasons_of_old_versions_that_passed_are_left_out():
    count = sections.SHOWN_GATE_ROWS + 1
    gates = [gate("a", reason="well"), gate("b", "FAIL", reason="ill")]
    matrix = sections.gate_matrix([version(n, gates=gates) for n in range(1, count + 1)])
    *_, (_, _, kept), (name, _, oldest) = matrix.rows
    assert name == "v1"
    assert [cell.sentence for cell in oldest] == ["a: PASS", "b: FAIL. ill"]
    assert [cell.sentence for cell in kept] == ["a: PASS. well", "b: FAIL. ill"]


def looks(*facts):
    return ModelHistory(
        model="m",
        drift=[
            DriftEntry(
                at=MARCH + timedelta(days=day),
                difference=Estimate(value=value),
                outcome=outcome,
                sentence=f"look {day}",
                version=version,
            )
            for day, (value, outcome, version) in enumerate(facts)
        ],
    )


def test_each_look_of_monitoring_is_a_mark():
    history = looks((0.0, "STABLE", 1), (None, "INCONCLUSIVE", 1), (0.3, "DRIFTED", 1))
    chart = sections.drift_chart(history)
    assert [mark.kind for mark in chart.marks] == ["promoted", "rejected"]
    assert chart.marks[1].summary == "2026-03-06 14:05: look 2"
    unsure = sections.drift_chart(looks((0.1, "INCONCLUSIVE", 1)))
    assert [mark.kind for mark in unsure.marks] == ["kept"]
    assert sections.drift_chart(looks((None, "STABLE", 1))) is None


def test_the_latest_ten_looks_are_told_newest_first():
    history = looks(*[(i / 100, "STABLE", None if i == 11 else i) for i in range(12)])
    table = sections.drift_table(history)
    assert len(table.rows) == 10
    assert table.rows[0] == ("2026-03-15 14:05", "STABLE", "–", "0.11 bits/byte", "look 11")
    assert table.rows[-1][2] == "version 2"
    assert sections.drift_table(ModelHistory(model="m")) is None


def test_sizes_are_drawn_from_zero_and_only_where_they_are_known():
    versions = [
        version(1, documents={"documents": 10, "bytes": 1_000_000}),
        version(2, documents={"documents": -1, "bytes": -1}),
        version(3, documents={"documents": 30, "bytes": 3_000_000}),
    ]
    size, documents = (f(versions, STEPS) for f in (sections.size_chart, sections.document_chart))
    for chart in (size, documents):
        first, last = chart.marks
        # Three times as much stands three times as high above zero.
        assert 100 - last.y == pytest.approx(3 * (100 - first.y), abs=0.05)
        assert chart.ticks_y[0].label == "0"
    assert size.marks[0].summary == "version 1: 1.0 MB"
    assert documents.marks[1].summary == "version 3: 30 documents"
    assert sections.size_chart([version(1)], STEPS) is None
    assert sections.document_chart([], STEPS) is None


def test_licences_are_shares_of_the_text_of_each_version():
    versions = [
        version(1, documents={"licenses": {"MIT": 10}}),
        version(2, documents={"licenses": {}}),
        version(3, documents={"licenses": {"MIT": 100, "CC0-1.0": 300}}),
    ]
    chart = sections.license_chart(versions, STEPS)
    assert chart.legend == (("MIT", "25 %"), ("CC0-1.0", "75 %"))
    assert [[part.height for part in column.parts] for column in chart.columns] == [
        [100.0],
        [25.0, 75.0],
    ]
    assert chart.columns[0].summary == "licences of version 1, by their share of the text"
    assert sections.license_chart([version(1, documents={"licenses": {"MIT": 0}})], STEPS) is None


@pytest.mark.parametrize(
    ("seconds", "unit"), [(90.0, "seconds"), (120.0, "minutes"), (7_200.0, "hours")]
)
def test_time_by_step_has_the_unit_of_its_largest_sum(seconds, unit):
    taken = {"total": 10 * seconds, "train_model": seconds * 3 / 4, "ingest": seconds / 4}
    chart = sections.seconds_chart([version(1, seconds=taken)], STEPS)
    assert chart.title == f"Wall-clock time by step, {unit}"
    assert [name for name, _ in chart.legend] == ["train model", "ingest"]
    heights = [part.height for part in chart.columns[0].parts]
    assert heights[0] == pytest.approx(3 * heights[1], abs=0.05)


def test_one_run_that_waited_for_hours_does_not_hide_the_others():
    versions = [version(n, seconds={"train": 10.0}) for n in range(1, 21)]
    steps = Axis(low=0.5, high=21.5)
    chart = sections.seconds_chart([*versions, version(21, seconds={"train": 90_000.0})], steps)
    assert chart.title.endswith("seconds")
    assert chart.columns[0].parts[0].height > 20
    assert chart.columns[-1].parts[0].y == 0
    assert sections.seconds_chart([version(1, seconds={"total": 5.0})], STEPS) is None


def test_a_number_of_documents_has_its_thousands():
    assert sections.documents(1249) == "1,249 documents"
