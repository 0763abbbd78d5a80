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
