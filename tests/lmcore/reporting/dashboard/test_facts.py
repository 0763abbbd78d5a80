"""What a registry's tags hold is read once; what does not parse is unknown."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.reporting.dashboard.facts import DriftEntry, ModelHistory, VersionEntry
from lmcore.reporting.dashboard.page import render_dashboard

ANSWER = {
    "at": "2026-04-01T00:00:00+00:00",
    "outcome": "DRIFTED",
    "reason": "far off",
    "champion": 3,
    "bits_per_byte": {"difference": {"value": 0.3, "lower": 0.1, "upper": None}},
}


def test_an_answer_of_monitoring_is_a_look():
    (look,) = ModelHistory(model="m", drift=[ANSWER]).drift
    assert (look.at, look.version) == (datetime(2026, 4, 1, tzinfo=UTC), 3)
    assert (look.difference.value, look.sentence) == (0.3, "far off")
    assert DriftEntry(**{**ANSWER, "bits_per_byte": None}).difference.value is None


@pytest.mark.parametrize("raw", [None, 3, {**ANSWER, "at": "today"}, {**ANSWER, "outcome": None}])
def test_an_answer_of_another_release_is_no_look(raw):
    assert ModelHistory(model="m", drift=[raw, ANSWER, raw]).drift == (DriftEntry(**ANSWER),)


def test_what_a_registry_holds_is_read_as_it_is():
    event = {"at": "2026-03-04T14:05:09", "action": "promote", "from": 1, "to": 2, "model": "m"}
    run = {
        **dict.fromkeys(("run_id", "experiment_id", "name", "state"), "x"),
        "started": 1_772_633_109_000,
        "ended": None,
        "tags": {"outcome": "promoted", "version": "2"},
    }
    history = ModelHistory(
        model="m",
        events=[event, {**event, "at": "never"}],
        runs=[run],
        last_run={"outcome": "promoted", "at": "never"},
    )
    (found,), (ran,) = history.events, history.runs
    assert (found.at.tzinfo, found.from_version, found.to_version) == (UTC, 1, 2)
    assert (ran.started, ran.outcome) == (datetime(2026, 3, 4, 14, 5, 9, tzinfo=UTC), "promoted")
    assert (ran.version, ran.flow_run_id) == ("2", "")
    assert (history.last_run.outcome, history.last_run.at) == ("promoted", None)


VALUES = st.none() | st.integers() | st.text() | st.floats() | st.just([]) | st.just({"a": 1})


@given(st.dictionaries(st.sampled_from([*ANSWER]), VALUES), VALUES)
@settings(deadline=None)
def test_nothing_in_a_tag_makes_a_page_fail(page_of, changes, value):
    raw = {**ANSWER, **changes}
    version = VersionEntry(
        number=1,
        created=datetime(2026, 3, 4, tzinfo=UTC),
        outcome="rejected",
        aliases=("champion",),
        **dict.fromkeys(("metrics", "gates", "documents", "seconds", "core_seconds"), value),
    )
    history = ModelHistory(model="m", drift=[raw], events=[raw], last_run=raw, versions=[version])
    render_dashboard(page_of(history)).encode("utf-8")
