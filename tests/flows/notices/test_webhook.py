import logging
from typing import Any

import pytest

from flows.notices.webhook import notify


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


def test_the_payload_is_as_documented(receiver: Any) -> None:
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
def test_a_receiver_that_fails_first_is_asked_again(receiver: Any, codes: list[int]) -> None:
    receiver.codes = list(codes)
    delivered, pauses = tell()
    assert delivered
    assert len(pauses) == len(codes) - 1
    assert pauses == sorted(pauses)
    assert len(receiver.posted) == 1


@pytest.mark.parametrize(("code", "attempts"), [(500, 4), (403, 1), (302, 1)])
def test_a_receiver_that_never_answers_well_is_logged_without_the_secret(
    receiver: Any, caplog: pytest.LogCaptureFixture, code: int, attempts: int
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
