import threading

import pytest

from flows.steps.progress import PrefectProgress
from lmcore.training.events import TrainingEvent


def event(step: int, kind: str = "done") -> TrainingEvent:
    return TrainingEvent(kind=kind, step=step, steps=10)  # type: ignore[arg-type]


def test_the_last_value_is_written_before_the_display_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[float] = []
    display = PrefectProgress("key")
    monkeypatch.setattr(display, "_write", written.append)
    display.show(event(1))
    display.show(event(10))
    display.close()
    assert written[-1] == 100.0


def test_training_neither_waits_for_a_server_nor_stops_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked, back = threading.Event(), threading.Event()

    def away(value: float) -> None:
        asked.set()
        assert back.wait(timeout=60)
        raise OSError("500 Internal Server Error")

    display = PrefectProgress("key")
    monkeypatch.setattr(display, "_write", away)
    display.show(event(1))
    assert asked.wait(timeout=60)
    display.show(event(2))  # while the first request hangs
    back.set()
    display.close()
    assert "does not show the progress of training: 500" in caplog.text


def test_a_display_that_showed_nothing_closes() -> None:
    PrefectProgress("key").close()
