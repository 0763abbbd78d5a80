import contextlib
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from flows.home import signals
from flows.home.signals import (
    SAVING,
    StepInterrupted,
    finishing,
    interruptible,
    polite_signals,
    still_polite,
    stop_requested,
    to_the_end,
    while_listening,
)
from lmcore.errors import IntegrityError, StorageError

EACH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Handlers are as they were, and no later test is asked to stop."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before
    with polite_signals():  # forgets that anything was asked
        pass
    assert not stop_requested()


@EACH
def test_the_first_signal_asks_and_the_second_stops_at_once(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    with polite_signals():
        assert not stop_requested()
        signal.raise_signal(number)
        assert stop_requested()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert "stopping (again to stop at once)" in caplog.text
    # Whoever asks afterwards still learns of it.
    assert stop_requested()


def test_what_is_done_before_a_stop_is_obeyed_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with polite_signals(), finishing("registering"), finishing(SAVING):
        signal.raise_signal(signal.SIGTERM)
    with polite_signals(), finishing("registering"):
        signal.raise_signal(signal.SIGTERM)
    with (
        polite_signals(),
        finishing(SAVING),
        contextlib.suppress(StepInterrupted),
        interruptible(),
    ):
        signal.raise_signal(signal.SIGTERM)
    assert [record.getMessage() for record in caplog.records] == [
        "stopping: saving the state first (again to stop at once)",
        "stopping: registering first (again to stop at once)",
        "stopping (again to stop at once)",
    ]


def test_what_was_asked_of_an_earlier_run_is_forgotten() -> None:
    with polite_signals():
        signal.raise_signal(signal.SIGINT)
    with polite_signals():
        assert not stop_requested()


@EACH
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


@EACH
def test_a_step_that_keeps_nothing_is_left_at_once(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []

    def step() -> None:
        with interruptible():
            signal.raise_signal(number)
            done.append(1)

    with polite_signals():
        with pytest.raises(StepInterrupted):
            step()
        assert done == []
        assert stop_requested()
        # Whoever comes to the next step after that does not begin with it.
        with pytest.raises(StepInterrupted):
            step()
        assert done == []
        # Outside, the second signal is a second one.
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert "stopping (again to stop at once)" in caplog.text


def test_a_stop_that_a_finalizer_swallowed_comes_again() -> None:
    class Swallows:
        def __del__(self) -> None:
            with contextlib.suppress(StepInterrupted):
                signal.raise_signal(signal.SIGTERM)

    def step() -> None:
        with interruptible():
            Swallows()
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                time.sleep(0.01)

    with polite_signals(), pytest.raises(StepInterrupted):
        step()


@EACH
def test_a_stop_is_heard_while_a_library_is_away(number: int) -> None:
    away, back = threading.Event(), threading.Event()

    def library() -> None:
        away.set()
        back.wait(60)

    def ask() -> None:
        away.wait(60)
        os.kill(os.getpid(), number)

    threading.Thread(target=ask).start()
    with polite_signals(), pytest.raises(StepInterrupted), interruptible():
        while_listening(library)
    assert not back.is_set()
    back.set()


def test_who_listens_gets_what_the_work_gives() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("of the flow run")
    assert while_listening(variable.get) == "of the flow run"

    def work() -> None:
        raise StorageError("no room")

    with pytest.raises(StorageError, match="no room"):
        while_listening(work)


class Panic(BaseException):
    """As Rust's libraries make it of any exception that comes up where they expect none."""


@pytest.mark.parametrize("made", [Panic, RuntimeError, SystemError, IntegrityError])
@pytest.mark.parametrize("told", [True, False])
def test_what_a_library_makes_of_a_stop_is_a_stop(made: type[BaseException], told: bool) -> None:
    def library() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except StepInterrupted as error:
            raise made("something came up") from (error if told else None)

    with polite_signals(), pytest.raises(StepInterrupted), interruptible():
        library()


def test_what_is_wrong_is_said_beside_a_stop_and_without_one() -> None:
    def step(error: BaseException, *, stopped: bool) -> None:
        with interruptible():
            if stopped:
                with contextlib.suppress(StepInterrupted):
                    signal.raise_signal(signal.SIGTERM)
            raise error

    with polite_signals():
        with pytest.raises(Panic):
            step(Panic(), stopped=False)
        with pytest.raises(StorageError, match="no room"):
            step(StorageError("no room"), stopped=True)
    with polite_signals(), pytest.raises(StepInterrupted):
        step(Panic(), stopped=True)


def test_what_may_not_be_left_half_done_ends_inside_of_a_step_that_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []

    def step(*, asked: str) -> None:
        with interruptible():
            for part in ("aside", "registry", "behind"):
                with to_the_end("registering") if part == "registry" else contextlib.nullcontext():
                    if part == asked:
                        signal.raise_signal(signal.SIGTERM)
                    done.append(part)

    with polite_signals(), pytest.raises(StepInterrupted):
        step(asked="aside")
    assert done == []
    with polite_signals():
        step(asked="registry")
        assert done == ["aside", "registry", "behind"]
        assert stop_requested()
        # The next step is not begun.
        with pytest.raises(StepInterrupted):
            step(asked="")
    done.clear()
    with polite_signals(), pytest.raises(StepInterrupted):
        step(asked="behind")
    assert done == ["aside", "registry"]
    assert "stopping: registering first (again to stop at once)" in caplog.text


def test_who_asks_twice_is_obeyed_at_once_whatever_may_not_be_left() -> None:
    def step() -> None:
        with interruptible(), to_the_end("registering"):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)

    with polite_signals(), pytest.raises(KeyboardInterrupt) as twice:
        step()
    assert twice.type is KeyboardInterrupt


def test_what_is_asked_by_nobody_is_left_by_nobody() -> None:
    with interruptible():
        assert not stop_requested()
    with polite_signals(), interruptible():
        assert not stop_requested()


def test_nobody_asks_again_behind_a_step_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    # The step is left just when its time is up: the wait says so, and the step is over.
    asked: list[int] = []
    monkeypatch.setattr(signals._thread, "interrupt_main", asked.append)

    class Late(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return False

    signals._insist(signal.SIGINT, Late())
    assert asked == []


HELD = """
import logging, os, signal, threading

from flows.home.signals import polite_signals, stop_requested

class Queue(logging.Handler):
    # As a queue that takes log records: its lock cannot be taken twice.
    taken = threading.Lock()

    def emit(self, record):
        with self.taken:
            if record.getMessage() == "busy":
                os.kill(os.getpid(), signal.SIGTERM)
                for _ in range(1000):
                    pass  # the handler runs between two of these
            print(record.getMessage(), flush=True)

logging.getLogger().addHandler(Queue())
with polite_signals():
    logging.getLogger("work").warning("busy")
    print(stop_requested(), flush=True)
"""


def test_a_stop_in_the_middle_of_a_log_record_does_not_wait_for_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELD],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "busy"
    assert sorted(lines[1:]) == ["True", "stopping (again to stop at once)"]
