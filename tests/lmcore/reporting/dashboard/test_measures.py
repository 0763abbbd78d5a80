"""Figures of a pipeline for Prometheus, read back by its own parser."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from lmcore.reporting.dashboard.facts import ModelHistory, PipelineData, VersionEntry
from lmcore.reporting.dashboard.measures import exposition

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)


def read(data):
    """Value of each sample by name and labels, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition(data))
        for sample in family.samples
    }


def version(number, **values):
    return VersionEntry(**{"number": number, "created": NOW, "outcome": "rejected", **values})


def test_a_pipeline_by_hand():
    bits = {"value": 1.4, "lower": 1.3, "upper": 1.5}
    gates = [
        {"gate": "overfitting", "outcome": "FAIL", "required": True},
        {"gate": "bias_lm", "outcome": "PASS", "required": False},
    ]
    events = [
        {"at": "2026-03-01T00:00:00+00:00", "action": "promote", "from": None, "to": 1},
        {"at": "2026-03-02T00:00:00+00:00", "action": "reject", "from": 1, "to": 2},
    ]
    model = ModelHistory(
        model="stories",
        versions=[
            version(1, aliases=["champion"], metrics={"val_bits_per_byte": bits}),
            version(2, gates=gates, seconds={"train": 120.5}, core_seconds=300),
        ],
        events=events,
        last_run={"outcome": "rejected", "at": "2026-03-02T00:00:00+00:00"},
        drift=[
            {
                "at": "2026-03-03T00:00:00+00:00",
                "outcome": "DRIFTED",
                "bits_per_byte": {"difference": {"value": 0.3, "lower": 0.1, "upper": None}},
            }
        ],
    )
    found = read(PipelineData(created=NOW, models=(model,)))
    assert found["lmcore_champion_version", "stories"] == 1
    assert found["lmcore_champion_created_timestamp_seconds", "stories"] == NOW.timestamp()
    since = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    assert found["lmcore_champion_since_timestamp_seconds", "stories"] == since
    assert found["lmcore_versions", "stories"] == 2
    for outcome, value in (("rejected", 1), ("promoted", 0), ("skipped", 0)):
        assert found["lmcore_last_run_outcome", "stories", outcome] == value
    for gate, outcome, value in (
        ("overfitting", "FAIL", 1),
        ("overfitting", "PASS", 0),
        ("bias_lm", "PASS", 1),
    ):
        assert found["lmcore_gate_outcome", gate, "stories", outcome] == value
    assert found["lmcore_gate_required", "bias_lm", "stories"] == 0
    for bound, value in bits.items():
        key = ("lmcore_metric", "champion", bound, "val_bits_per_byte", "stories", "1")
        assert found[key] == value
    assert found["lmcore_step_seconds", "stories", "train"] == 120.5
    assert found["lmcore_run_core_seconds", "stories"] == 300
    assert found["lmcore_drift_outcome", "stories", "DRIFTED"] == 1
    assert found["lmcore_drift_bits_per_byte", "lower", "stories"] == 0.1
    assert ("lmcore_drift_bits_per_byte", "upper", "stories") not in found
    assert found["lmcore_read_timestamp_seconds",] == NOW.timestamp()


def test_nothing_known_is_nothing_said():
    found = read(PipelineData(created=NOW, models=(ModelHistory(model="new"),)))
    assert found == {
        ("lmcore_versions", "new"): 0,
        ("lmcore_read_timestamp_seconds",): NOW.timestamp(),
    }


@given(st.text(), st.text(), st.floats())
@settings(deadline=None, max_examples=50)
def test_whatever_a_registry_holds_is_a_readable_exposition(name, metric, value):
    entry = version(3, metrics={metric: {"value": value}}, aliases=["champion"])
    found = read(PipelineData(created=NOW, models=(ModelHistory(model=name, versions=[entry]),)))
    assert 3 in found.values()
