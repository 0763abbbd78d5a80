import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.servers.supervisor import Service, ServiceError, Supervisor

ROOT = Path(__file__).parents[3]
# Writes its number, serves nobody, and ends with its standard input.
CHILD = """
import os, sys, subprocess
from pathlib import Path
place = Path(sys.argv[1])
place.write_text(str(os.getpid()))
if len(sys.argv) > 2:
    print("no database", flush=True)
    sys.exit(int(sys.argv[2]))
os.read(0, 1)
"""


def service(folder: Path, name: str = "child", *arguments: str, **changes: Any) -> Service:
    place = folder / f"{name}.pid"
    values: dict[str, Any] = {
        "name": name,
        "command": [sys.executable, "-c", CHILD, str(place), *arguments],
        "environ": dict(os.environ),
        "folder": folder,
        "log": folder / f"{name}.log",
        "ready": place.exists,
    }
    return Service(**{**values, **changes})


def pid(folder: Path, name: str = "child") -> int:
    return int((folder / f"{name}.pid").read_text() or 0)


def gone(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_services_start_are_restarted_and_stop(tmp_path: Path) -> None:
    supervisor = Supervisor([service(tmp_path, "a"), service(tmp_path, "b")])
    supervisor.start(timeout_seconds=60)
    first = supervisor.pids["a"]
    assert first == pid(tmp_path, "a")
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 60
    supervisor.watch(lambda: pid(tmp_path, "a") not in (first, 0) or time.monotonic() > deadline)
    second = supervisor.pids["a"]
    assert second not in (first, None)
    assert gone(first)
    other = supervisor.pids["b"]
    supervisor.stop()
    assert other is not None
    assert second is not None
    assert gone(other)
    assert gone(second)


def test_a_service_that_cannot_start_says_why_and_leaves_none(tmp_path: Path) -> None:
    supervisor = Supervisor(
        [service(tmp_path, "good"), service(tmp_path, "bad", "3", ready=lambda: False)]
    )
    with pytest.raises(ServiceError, match=r"bad ended with code 3: no database \(see .*bad\.log"):
        supervisor.start(timeout_seconds=60)
    until(lambda: not (tmp_path / "good.pid").exists() or gone(pid(tmp_path, "good")))


def test_a_service_that_never_answers_is_given_up(tmp_path: Path) -> None:
    supervisor = Supervisor([service(tmp_path, ready=lambda: False)])
    with pytest.raises(ServiceError, match="child did not answer in 0 s"):
        supervisor.start(timeout_seconds=0.2)
    with pytest.raises(KeyboardInterrupt):
        Supervisor([service(tmp_path)]).start(timeout_seconds=60, should_stop=lambda: True)


def test_a_service_that_crashes_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.servers.supervisor._LONGEST_PAUSE_SECONDS", 0.05)
    supervisor = Supervisor([service(tmp_path, "bad", "1")], most_crashes=2)
    supervisor._spawn(supervisor._children[0])
    with pytest.raises(ServiceError, match="3 times in 10 minutes"):
        supervisor.watch(lambda: False)
    supervisor.stop()


def test_a_service_that_does_not_end_by_itself_is_killed_with_its_children(tmp_path: Path) -> None:
    stubborn = (
        "import subprocess, sys, time; from pathlib import Path\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"Path({str(tmp_path / 'child.pid')!r}).write_text(str(child.pid)); time.sleep(600)"
    )
    one = service(tmp_path, command=[sys.executable, "-c", stubborn], stop_seconds=0.1)
    supervisor = Supervisor([one])
    supervisor.start(timeout_seconds=60)
    until(lambda: pid(tmp_path) > 0)
    supervisor.stop()
    until(lambda: gone(pid(tmp_path)))


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "import test_supervisor as t\n"
        "s = t.Supervisor([t.service(Path(sys.argv[1]))]); s.start(timeout_seconds=60)\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        child = pid(tmp_path)
        assert not gone(child)
        parent.kill()
    until(lambda: gone(child))


def test_a_long_log_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.servers.supervisor._LOG_BYTES", 10)
    supervisor = Supervisor([service(tmp_path)])
    supervisor.start(timeout_seconds=60)
    (tmp_path / "child.log").write_text("x" * 20)
    supervisor._look_after(supervisor._children[0])
    assert (tmp_path / "child.log").read_text() == ""
    assert (tmp_path / "child.log.1").read_text() == "x" * 20
    supervisor.stop()
