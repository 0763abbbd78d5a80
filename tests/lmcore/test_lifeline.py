"""A process that ends when the one that started it ends, however that was."""

import signal
import subprocess
import sys


def exit_code(call: str) -> int:
    """Of a process that calls `end_with`, and ends by itself if it is let live."""
    script = f"import os; from lmcore.lifeline import end_with; {call}"
    return subprocess.run([sys.executable, "-c", script]).returncode


def test_a_process_whose_parent_has_gone_ends_at_once() -> None:
    assert exit_code("end_with(1 << 30)") == -signal.SIGKILL


def test_a_process_whose_parent_is_there_goes_on() -> None:
    assert exit_code("end_with(os.getppid())") == 0


def test_where_the_kernel_cannot_watch_a_thread_does() -> None:
    # What is looked for in the C library is not there on other systems.
    gone = "import ctypes; ctypes.CDLL = lambda *_, **__: object(); "
    assert exit_code(f"{gone}end_with(os.getppid())") == 0
    watched = "from lmcore import lifeline; lifeline._POLL_SECONDS = 0.01; "
    assert exit_code(f"{watched}lifeline._watch(1 << 30)") == -signal.SIGKILL
