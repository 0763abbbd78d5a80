"""Decisions along the time, and in words: who was in use until when, who decided and why."""

from datetime import UTC, datetime

import pytest

from lmcore.reporting.dashboard.decisions import (
    ACTIONS,
    REASON_CHARACTERS,
    event_row,
    timeline,
)
from lmcore.reporting.dashboard.facts import EventEntry, ModelHistory, PipelineData


def event(day, action, before=None, after=None, **facts):
    at = datetime(2026, 3, day, tzinfo=UTC)
    return EventEntry(at=at, action=action, from_version=before, to_version=after, **facts)


def drawn(*events):
    history = ModelHistory(model="m", events=events)
    page = PipelineData(created=datetime(2026, 3, 21, tzinfo=UTC), models=(history,))
    return timeline(history, page)


def test_each_champion_has_its_time_until_the_next_one():
    found = drawn(
        event(1, "promote", None, 1),
        event(6, "reject", 1, 2),
        event(11, "promote", 1, 3),
        event(16, "rollback", 3, 1),
    )
    # Twenty days: five of them are a quarter.
    assert [(p.left, p.width, p.label, p.last) for p in found.periods] == [
        (0.0, 50.0, "v1", False),
        (50.0, 25.0, "v3", False),
        (75.0, 25.0, "v1", True),
    ]
    assert [p.summary for p in found.periods] == [
        "version 1: champion from 2026-03-01 00:00 to 2026-03-11 00:00",
        "version 3: champion from 2026-03-11 00:00 to 2026-03-16 00:00",
        "version 1: champion from 2026-03-16 00:00 to now",
    ]
    assert [(lane.name, lane.kind, [at for at, _ in lane.marks]) for lane in found.lanes] == [
        ("Promoted", "pass", [0.0, 50.0]),
        ("Rolled back", "warn", [75.0]),
        ("Rejected", "fail", [25.0]),
    ]
    assert found.lanes[2].marks[0][1] == "2026-03-06 00:00: version 2 refused; version 1 stays"
    assert found.description == (
        "From 2026-03-01 00:00 to 2026-03-21 00:00: 2 promoted, 1 rolled back, 1 rejected."
    )


def test_a_short_time_has_no_room_for_a_label():
    found = drawn(
        event(1, "promote", None, 1), event(2, "promote", 1, 2), event(2, "promote", 2, 3)
    )
    # A twentieth has room, nothing has none.
    assert [(p.width, p.label) for p in found.periods] == [(5.0, "v1"), (0.0, ""), (95.0, "v3")]


def test_a_champion_that_was_withdrawn_leaves_a_gap():
    found = drawn(event(1, "promote", None, 1), event(11, "rollback", 1, None))
    assert [(p.left, p.width, p.last) for p in found.periods] == [(0.0, 50.0, False)]


def test_without_a_decision_there_is_no_timeline():
    assert drawn() is None
    refused = drawn(event(5, "reject", None, 1))
    assert refused.periods == ()
    assert refused.lanes[0].marks[0][1].endswith("version 1 refused")


def test_an_action_of_another_release_has_no_lane_and_still_has_a_row():
    found = drawn(event(1, "promote", None, 1), event(3, "archive", 1, 1))
    assert [lane.name for lane in found.lanes] == ["Promoted"]
    row = event_row(event(3, "archive\n", 1, 1))
    assert (row.action, row.kind) == ("archive", "idle")


@pytest.mark.parametrize(
    ("action", "before", "after", "words"),
    [
        ("promote", None, 1, "version 1, the first champion"),
        ("promote", 1, 2, "version 1 → version 2"),
        ("rollback", 2, None, "version 2 → none"),
        ("override", 2, 3, "version 2 → version 3"),
        ("reject", None, 4, "version 4 refused"),
        ("reject", 3, 4, "version 4 refused; version 3 stays"),
        ("forget", None, None, "kept out of every later version"),
    ],
)
def test_what_was_done_is_said_in_words(action, before, after, words):
    row = event_row(event(4, action, before, after, who="ines", reason="because"))
    assert (row.what, row.action, row.at) == (words, ACTIONS[action], "2026-03-04 00:00")
    assert (row.who, row.reason) == ("ines", "because")


def test_texts_of_strangers_have_a_length():
    row = event_row(event(4, "x" * 50, who="w" * 90, reason="r\n" * REASON_CHARACTERS))
    for text, limit in ((row.action, 40), (row.who, 80), (row.reason, REASON_CHARACTERS)):
        assert text.endswith(" more characters)")
        assert len(text) < limit + 30
        assert "\n" not in text
