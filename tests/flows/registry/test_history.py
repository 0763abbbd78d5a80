import json
from typing import Any

import pytest

from flows.home.environment import Home
from flows.registry.alias_moves import settle
from flows.registry.connection import connect
from flows.registry.history import (
    Action,
    Event,
    History,
    history,
    read_history,
    write_abort,
    write_event,
    write_intent,
)
from flows.registry.models import Registry

NAME = "speeches"


@pytest.fixture
def registry(home: Home) -> Registry:
    """With a model that has no version yet: the history is the model's."""
    connect(home).create_registered_model(NAME)
    return Registry(home)


def test_history_keeps_its_order_when_the_clock_is_set_back(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now in (2_000_000, 1_000_000, 1_500_000):
        monkeypatch.setattr("time.time_ns", lambda now=now: now)
        write_event(
            registry,
            Event(
                **{"action": "forget", "model": NAME, "from_version": None, "to_version": None},
                who=f"a\0\udc80{now}",
                reason="x" * 10_000,
            ),
        )
    events = history(registry, NAME)
    assert [event.who for event in events] == ["a?2000000", "a?1000000", "a?1500000"]
    assert all(len(event.reason) == 4000 for event in events)


def test_a_tag_that_is_not_ours_is_no_event(registry: Registry) -> None:
    registry.add_model_tag(NAME, f"lmcore.event.{1:020d}-00000000", "edited by hand")
    registry.add_model_tag(NAME, f"lmcore.event.{2:020d}-00000000", "[]")
    registry.add_model_tag(NAME, "lmcore.event.x", "{}")
    deep = "[" * 2_450 + "]" * 2_450
    registry.add_model_tag(NAME, f"lmcore.event.{3:020d}-00000000", deep)
    event = {"action": "promote", "model": NAME, "from_version": None, "to_version": 1}
    event |= {"who": "ada", "reason": "better"}
    ours = f"lmcore.event.{4:020d}-00000000"
    registry.add_model_tag(NAME, ours, json.dumps(event))
    assert [e.to_version for e in history(registry, NAME)] == [1]
    for key, value in (
        *(("to_version", [2]), ("to_version", True), ("who", None), ("action", "burn")),
        *(("verdict", 3), ("at", {}), ("more", "x"), ("reason", None)),
    ):
        registry.add_model_tag(NAME, ours, json.dumps({**event, key: value}))
        assert history(registry, NAME) == [], key
    assert history(registry, NAME) == []


def test_a_model_that_does_not_exist_has_no_history(registry: Registry) -> None:
    settle(registry, "nobody")
    assert history(registry, "nobody") == []


class Notes:
    """A registry that keeps tags and nothing else."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    def model_tags(self, name: str) -> dict[str, str]:
        return dict(self.tags)

    def add_model_tag(self, name: str, key: str, value: str) -> None:
        assert key not in self.tags, "no key is used twice"
        self.tags[key] = value


def event(action: Action = "promote", **changes: Any) -> Event:
    values: dict[str, Any] = {
        "from_version": None,
        "to_version": 1,
        "who": "ada",
        "reason": "better",
    }
    return Event(action=action, model=NAME, **{**values, **changes})


def test_an_intent_dangles_until_it_is_done_or_undone() -> None:
    notes = Notes()
    done, undone, open_ = (write_intent(notes, event(to_version=n)) for n in (1, 2, 3))
    assert read_history(notes, NAME) == History(events=(), dangling=(done, undone, open_))
    write_event(notes, done)
    write_abort(notes, undone)
    assert read_history(notes, NAME) == History(events=(done,), dangling=(open_,))
    assert read_history(notes, NAME).champion == 1


def test_the_champion_is_what_the_last_move_made_it() -> None:
    notes = Notes()
    expected = [1, 2, 2, 1, 1, 1, None]
    told = [
        event(to_version=1),
        event(to_version=2),
        event("reject", to_version=3),
        event("rollback", to_version=1),
        event("prune", to_version=2, weights="w", quarantined="it swears"),
        event("forget", to_version=None),
        event("override", to_version=None),
    ]
    found = []
    for each in told:
        write_event(notes, each)
        found.append(read_history(notes, NAME).champion)
    assert found == expected
    assert [e.action for e in history(notes, NAME)] == [e.action for e in told]
    assert History(events=(), dangling=()).champion is None


def test_an_event_comes_back_as_it_was_written() -> None:
    notes = Notes()
    written = write_event(
        notes, event("prune", weights="w" * 64, quarantined="“bad”\n", previous=4, verdict="PASS")
    )
    assert history(notes, NAME) == [written]
    assert written.at.endswith("+00:00")
    assert (written.quarantined, written.previous, written.weights) == ("“bad”\n", 4, "w" * 64)


def test_a_key_says_which_event_it_is_whatever_its_text_says() -> None:
    notes = Notes()
    written = write_event(notes, event())
    [key] = notes.tags
    notes.tags[key] = notes.tags[key].replace(written.id, "another")
    assert history(notes, NAME) == [written]
