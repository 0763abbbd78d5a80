import signal
import threading
from collections.abc import Iterator

import pytest

from flows.home.signals import polite_signals, still_polite, stop_requested

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Handlers are as they were, and no later test is asked to stop."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    yield
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with polite_signals():  # forgets that anything was asked
        pass
    assert not stop_requested()


@BOTH
def test_the_first_signal_asks_and_the_second_stops_at_once(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    with polite_signals():
        assert not stop_requested()
        signal.raise_signal(number)
        assert stop_requested()
        assert "saving the state first (again to stop at once)" in caplog.text
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    # Whoever asks afterwards still learns of it.
    assert stop_requested()


def test_what_was_asked_of_an_earlier_run_is_forgotten() -> None:
    with polite_signals():
        signal.raise_signal(signal.SIGINT)
    with polite_signals():
        assert not stop_requested()


@BOTH
def test_a_library_that_takes_the_signals_meanwhile_is_overruled(number: int) -> None:
    taken: list[int] = []
    with polite_signals():
        signal.signal(number, lambda *_: taken.append(1))
        with still_polite():
            signal.raise_signal(number)
        assert stop_requested()
        assert taken == []
        signal.raise_signal(number)  # and has them back afterwards
        assert taken == [1]


def test_without_polite_signals_nothing_is_taken_from_anybody() -> None:
    taken: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda *_: taken.append(1))
    try:
        with still_polite():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert taken == [1]
    assert not stop_requested()


def test_another_thread_than_the_main_one_is_left_alone() -> None:
    during: list[object] = []

    def work() -> None:
        with polite_signals(), still_polite():
            during.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [before]
