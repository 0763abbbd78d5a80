import signal
import time
from collections.abc import Iterator

import pytest

from flows.home.signals import polite_signals
from flows.steps.stopwatch import RunStopped, Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time, to be set."""
    now = [100.0]
    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: now[0])
        yield now


@pytest.fixture
def asked_to_stop() -> Iterator[None]:
    with polite_signals():
        signal.raise_signal(signal.SIGINT)
        yield


def test_steps_and_what_lies_between_them_are_timed(clock: list[float]) -> None:
    watch = Stopwatch(started=clock[0])
    with watch.step("ingest"):
        clock[0] += 2.5
    clock[0] += 1.0
    with watch.step("train"):
        clock[0] += 10.0004
    assert watch.seconds == {"ingest": 2.5, "train": 10.0}
    assert watch.total() == {"ingest": 2.5, "train": 10.0, "total": 13.5}


def test_a_step_that_fails_is_timed_too(clock: list[float]) -> None:
    watch = Stopwatch()

    def fail() -> None:
        clock[0] += 3.0
        raise ValueError("no text")

    with pytest.raises(ValueError, match="no text"), watch.step("ingest"):
        fail()
    assert watch.seconds == {"ingest": 3.0}


def test_a_stop_takes_effect_before_the_next_step(asked_to_stop: None) -> None:
    watch = Stopwatch(seconds={"ingest": 1.0})
    with (
        pytest.raises(RunStopped, match="before the step train; finished steps are kept"),
        watch.step("train"),
    ):
        pytest.fail("the step was begun")
    assert watch.seconds == {"ingest": 1.0}


def test_a_stop_takes_effect_where_it_is_asked_about(asked_to_stop: None) -> None:
    with pytest.raises(RunStopped, match="stopped after the step ingest; finished steps are kept"):
        Stopwatch().heed("after the step ingest")


def test_without_a_stop_a_run_goes_on() -> None:
    with polite_signals():
        Stopwatch().heed("after the step ingest")


def test_a_stop_is_an_interruption_that_no_handler_of_errors_takes() -> None:
    assert issubclass(RunStopped, KeyboardInterrupt)
    assert not issubclass(RunStopped, Exception)


def test_processor_time_is_counted_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([(1.0, 2.0, 3.0, 4.0, 99.0), (1.5, 2.25, 3.0, 4.0, 500.0)])
    with monkeypatch.context() as patch:
        patch.setattr("os.times", lambda: next(times))
        assert Stopwatch().core_seconds() == 0.75
