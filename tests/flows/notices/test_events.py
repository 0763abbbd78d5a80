from typing import Any

import pytest

from flows.notices import events


def test_people_are_told_of_drift(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    emitted: list[tuple[Any, ...]] = []
    monkeypatch.setattr(events, "_emit", lambda *details: emitted.append(details))
    events.emit_drift("stories", {"reason": "0.3 bits per byte worse", "version": 2})
    [post] = receiver.posted
    assert (post["event"], post["version"]) == ("drifted", 2)
    assert "0.3 bits per byte worse" in post["text"]
    assert emitted[0][:2] == ("lmcore.data.drifted", "stories")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Prefect's client was given to send."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr("prefect.events.emit_event", lambda **event: found.append(event))
    return found


def test_an_event_names_the_model_that_a_trigger_waits_for(sent: list[dict[str, Any]]) -> None:
    events.emit_arrived("stories", {"files": 2})
    assert sent == [
        {
            "event": "lmcore.data.arrived",
            "resource": {
                "prefect.resource.id": events.resource_id("stories"),
                "prefect.resource.name": "stories",
            },
            "payload": {"files": 2},
        }
    ]


def test_drift_without_details_still_has_a_sentence(
    receiver: Any, sent: list[dict[str, Any]]
) -> None:
    events.emit_drift("stories", {"version": "2"})  # no number: whoever sent it is wrong
    [post] = receiver.posted
    assert post["version"] is None
    assert post["reason"] == "the champion is worse on fresh text"
    assert sent[0]["event"] == "lmcore.data.drifted"
