import logging
from collections.abc import Callable

import pytest

from flows.home import patience
from flows.home.patience import ServerGoneError, gone, patiently, wait_seconds
from lmcore.errors import UserError


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited; nobody really waits."""
    waited: list[float] = []
    monkeypatch.setattr(patience, "_gone", {})
    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setattr("time.monotonic", lambda: sum(waited))
    return waited


def asked(call: Callable[[], int]) -> int:
    def away(error: Exception) -> str | None:
        return str(error) if isinstance(error, OSError) else None

    return patiently(call, server="Store at x", away=away, remedy="start it")


def failing(times: int) -> Callable[[], int]:
    left = iter(range(times))

    def call() -> int:
        if next(left, None) is not None:
            raise OSError("refused")
        return 7

    return call


def test_a_server_that_comes_back_is_one_line_and_no_error(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    assert asked(failing(3)) == 7
    assert len(clock) == 3
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "Store at x: refused; waiting up to 180 s for it",
        "Store at x is back",
    ]


def test_one_call_waits_as_long_as_is_stated_and_no_other_one_does(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(patience.WAIT_VARIABLE, "5")
    with pytest.raises(ServerGoneError, match=r"after 5 s \(refused\); .* kept: start it\."):
        asked(failing(100))
    assert sum(clock) == 5
    first = gone()
    with pytest.raises(ServerGoneError) as second:
        asked(failing(100))
    assert second.value is first
    assert sum(clock) == 5
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1
    assert asked(failing(0)) == 7  # it is back after all, and is waited for again
    assert gone() is None
    assert asked(failing(2)) == 7


def test_other_errors_and_our_own_are_not_waited_for(clock: list[float]) -> None:
    def broken() -> int:
        raise ValueError("no number")

    with pytest.raises(ValueError, match="no number"):
        asked(broken)

    def nested() -> int:
        return asked(failing(10_000))

    with pytest.raises(ServerGoneError):
        patiently(nested, server="y", away=lambda error: "away", remedy="start it")
    assert sum(clock) == 180


def test_who_asks_to_stop_does_not_wait(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "stop_requested", lambda: True)
    with pytest.raises(ServerGoneError):
        asked(failing(100))
    assert clock == []


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_wait_that_is_no_time_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(patience.WAIT_VARIABLE, text)
    with pytest.raises(UserError, match=rf"LMCORE_SERVER_WAIT_SECONDS='{text}'; expected a number"):
        wait_seconds()
