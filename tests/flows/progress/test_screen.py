import io
import os
import pty
import sys
import threading
from collections.abc import Callable

import pytest

from flows.progress import screen
from flows.progress.job import Snapshot, current
from flows.progress.screen import PlainLines, RewrittenLine, hidden, listening, showing


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_TICK_SECONDS", 0.01)
    monkeypatch.setattr(screen, "_FIRST_SECONDS", 0.0)


def until(holds: Callable[[], bool]) -> None:
    never = threading.Event()
    for _ in range(3000):
        if holds():
            return
        never.wait(0.01)
    raise AssertionError("it did not come")


def test_what_others_write_stands_above_the_line() -> None:
    stream = io.StringIO()
    line = RewrittenLine(stream)
    line.show("half")
    line.write("a warning\n")
    line.show("more")
    line.show("")
    assert stream.getvalue() == ("\r\x1b[2Khalf\r\x1b[2Ka warning\n\r\x1b[2Kmore\r\x1b[2K")


def test_a_line_that_others_have_not_ended_is_left_alone() -> None:
    stream = io.StringIO()
    line = RewrittenLine(stream)
    line.write("Which column? ")
    line.show("half")
    assert stream.getvalue() == "Which column? "


def test_a_terminal_is_given_one_line_of_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    parent, child = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(child, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        with showing("prune"), current().step("work" * 50):
            seen = os.read(parent, 65536)
            while "…".encode() not in seen:
                seen += os.read(parent, 65536)
            assert sys.stderr is not terminal
        assert sys.stderr is terminal
    assert b"\n" not in seen
    shown = seen.decode().split("\x1b[2K")[1].split("\r")[0]
    assert len(shown) < 80
    os.close(parent)


def test_elsewhere_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    told = ""

    def has(word: str) -> bool:
        nonlocal told
        told += capsys.readouterr().err
        return word in told

    with showing("run"):
        for step in ("ingest", "train"):
            with current().step(step):
                until(lambda step=step: has(f"  {step}: "))  # type: ignore[misc]
    assert told.index("ingest") < told.index("train")


def test_plain_lines_are_two_seconds_apart_at_most_and_grow_rare_in_a_long_step() -> None:
    def lines(first: int, last: int) -> int:
        return sum(
            plain.due(Snapshot(name="run", step="train", seconds=t / 2), t / 2)
            for t in range(2 * first, 2 * last)
        )

    plain = PlainLines(0.0)
    assert lines(0, 60) == 40
    assert lines(60, 600) == 360
    assert lines(600, 7200) < 1000
    assert plain.due(Snapshot(name="run", step="evaluate"), 7200.0)


def test_nothing_is_shown_while_a_person_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    looked = threading.Event()
    with showing("init"), hidden(), current().step("ask"):
        with listening(lambda _: looked.set(), seconds=0.0):
            assert looked.wait(timeout=60)
        assert capsys.readouterr().err == ""


def test_who_listens_is_told_the_job_and_nobody_after() -> None:
    told: list[Snapshot] = []
    looked = threading.Event()

    def tell(now: Snapshot) -> None:
        told.append(now)
        looked.set()

    with showing("run", "tales"):
        with listening(tell, seconds=0.0):
            assert looked.wait(timeout=60)
        number = len(told)
        again = threading.Event()
        with listening(lambda _: again.set(), seconds=0.0):
            assert again.wait(timeout=60)
    assert len(told) == number
    assert told[0].model == "tales"
    with listening(tell, seconds=0.0):  # of a process that shows nothing
        pass
