import http.server
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from flows.notices import events
from flows.notices.webhook import notify


@dataclass
class Receiver:
    """A real server that answers with the codes it is given, the last one for ever."""

    url: str = ""
    codes: list[int] = field(default_factory=lambda: [204])
    posted: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    state = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.asked += 1
            code = state.codes.pop(0) if len(state.codes) > 1 else state.codes[0]
            if code == 0:  # no answer at all
                self.close_connection = True
                return
            if code < 300:
                assert self.headers["Content-Type"] == "application/json"
                state.posted.append(json.loads(body))
            self.send_response(code)
            if code in (301, 302, 307):
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}/secret-token"
        monkeypatch.setenv("LMCORE_WEBHOOK", state.url)
        yield state
        server.shutdown()


def tell(**changes: Any) -> tuple[bool, list[float]]:
    pauses: list[float] = []
    details: dict[str, Any] = {
        "model": "stories",
        "reason": "4 required gates passed",
        "version": 3,
        "champion": 3,
        "flow_run_id": "f",
        "sleep": pauses.append,
    }
    delivered = notify(changes.pop("event", "promoted"), **{**details, **changes})
    return delivered, pauses


def test_the_payload_is_as_documented(receiver: Receiver) -> None:
    assert tell() == (True, [])
    [post] = receiver.posted
    assert post.pop("at").endswith("+00:00")
    assert post == {
        "event": "promoted",
        "model": "stories",
        "version": 3,
        "champion": 3,
        "reason": "4 required gates passed",
        "flow_run_id": "f",
        "text": "stories version 3: promoted. 4 required gates passed",
    }


@pytest.mark.parametrize("codes", [[500, 503, 204], [0, 204], [429, 200]])
def test_a_receiver_that_fails_first_is_asked_again(receiver: Receiver, codes: list[int]) -> None:
    receiver.codes = list(codes)
    delivered, pauses = tell()
    assert delivered
    assert len(pauses) == len(codes) - 1
    assert pauses == sorted(pauses)
    assert len(receiver.posted) == 1


@pytest.mark.parametrize(("code", "attempts"), [(500, 4), (403, 1), (302, 1)])
def test_a_receiver_that_never_answers_well_is_logged_without_the_secret(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, code: int, attempts: int
) -> None:
    receiver.codes = [code]
    assert not tell()[0]
    assert receiver.asked == attempts
    assert f"it answered {code}" in caplog.text
    assert "secret-token" not in caplog.text


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://127.0.0.1/", "hook", "http://", "http://[::1/x"]
)
def test_no_other_address_is_opened(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    monkeypatch.setenv("LMCORE_WEBHOOK", address)
    assert not tell()[0]
    assert "webhook" in caplog.text.lower()


def test_without_an_address_the_log_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("LMCORE_WEBHOOK", raising=False)
    caplog.set_level(logging.INFO)
    assert not tell(event="failed", reason="the disk is full")[0]
    assert "stories version 3: failed. the disk is full" in caplog.text


def test_people_are_told_of_drift(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    emitted: list[tuple[Any, ...]] = []
    monkeypatch.setattr(events, "_emit", lambda *details: emitted.append(details))
    events.emit_drift("stories", {"reason": "0.3 bits per byte worse", "version": 2})
    [post] = receiver.posted
    assert (post["event"], post["version"]) == ("drifted", 2)
    assert "0.3 bits per byte worse" in post["text"]
    assert emitted[0][:2] == ("lmcore.data.drifted", "stories")
