"""What a registry's tags hold is read once; what does not parse is unknown."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.reporting.dashboard.facts import DriftEntry, LastRun
from lmcore.reporting.values import mapping

ANSWER = {
    "at": "2026-04-01T00:00:00+00:00",
    "outcome": "DRIFTED",
    "reason": "far off",
    "champion": 3,
    "bits_per_byte": {"difference": {"value": 0.3, "lower": 0.1, "upper": None}},
}


def test_an_answer_of_monitoring_is_a_look():
    look = DriftEntry.from_json(ANSWER)
    assert (look.at, look.version) == (datetime(2026, 4, 1, tzinfo=UTC), 3)
    assert (look.difference.value, look.difference.unit) == (0.3, "bits/byte")
    assert DriftEntry.from_json({**ANSWER, "bits_per_byte": None}).difference.value is None


@pytest.mark.parametrize("raw", [None, 3, {**ANSWER, "at": "today"}, {**ANSWER, "outcome": None}])
def test_an_answer_of_another_release_is_no_look(raw):
    assert DriftEntry.from_json(raw) is None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*ANSWER]), st.none() | st.integers() | st.text()))
def test_nothing_in_a_note_makes_it_fail(changes):
    raw = {**ANSWER, **changes}
    assert DriftEntry.from_json(raw) is None or mapping(raw)["outcome"]
    assert LastRun.from_json(raw) is None or mapping(raw)["outcome"]
