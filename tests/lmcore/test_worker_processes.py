"""Processes work, are gone afterwards, and one that is killed is told as an error of ours."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from lmcore.errors import UserError
from lmcore.worker_processes import handed_over, worker_processes


def test_work_is_done_by_others_that_are_gone_afterwards() -> None:
    with worker_processes(2, os.umask, 0o077, ended=UserError) as workers:
        found = {workers.submit(os.getpid).result() for _ in range(4)}
        assert os.getpid() not in found
        # What each does first was done; `umask` gives the mask of before.
        assert workers.submit(os.umask, 0o077).result() == 0o077
    assert not any(map(psutil.pid_exists, found))


def test_one_that_is_killed_is_told_in_a_line() -> None:
    with (
        pytest.raises(UserError, match="terminated") as error,
        worker_processes(1, os.umask, 0o077, ended=UserError) as workers,
    ):
        workers.submit(os.kill, workers.submit(os.getpid).result(), signal.SIGKILL).result()
    assert "\n" not in str(error.value)


def test_they_end_with_the_one_that_began_them() -> None:
    code = (
        "import os, time; from lmcore.worker_processes import worker_processes\n"
        "with worker_processes(1, os.umask, 0o077, ended=RuntimeError) as workers:\n"
        "    print(workers.submit(os.getpid).result(), flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as began:
        assert began.stdout is not None
        worker = psutil.Process(int(began.stdout.readline()))
        began.kill()
    worker.wait(timeout=30)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 10])
@pytest.mark.parametrize("ahead", [1, 3])
def test_a_few_are_handed_over_ahead_and_come_back_in_order(count: int, ahead: int) -> None:
    submitted: list[int] = []

    def submit(item: int) -> int:
        submitted.append(item)
        return -item

    for place, future in enumerate(handed_over(submit, iter(range(count)), ahead=ahead)):
        assert future == -place
        assert submitted == list(range(min(count, place + ahead)))
    assert len(submitted) == count
