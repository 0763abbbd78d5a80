"""Tasks are done one after the other, and what one raises is raised where one waits for it."""

import threading

import pytest

from lmcore.worker_thread import WorkerThread


def test_tasks_are_done_in_order_by_another_thread() -> None:
    done: list[tuple[int, bool]] = []
    thread = WorkerThread()
    for number in range(5):
        thread.hand_over(
            lambda n: done.append((n, threading.current_thread() is threading.main_thread())),
            number,
        )
    thread.close()
    assert done == [(number, False) for number in range(5)]


def test_an_error_is_met_once_and_by_who_comes_next() -> None:
    thread = WorkerThread()
    thread.hand_over([].pop)
    with pytest.raises(IndexError):
        thread.hand_over(print)
    thread.wait()
    thread.hand_over([].pop)
    with pytest.raises(IndexError):
        thread.close()
    with pytest.raises(RuntimeError, match="shutdown"):
        thread.hand_over(print)
