import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lmcore_shell import Shell

from flows.home.environment import Home, make_home
from flows.home.prefect_database import is_unfinished
from flows.servers.prefect_server import PrefectServer, PrefectServerError
from lmcore.mending import mendings


@pytest.fixture
def parent(tmp_path: Path, begun: Callable[[Shell], Shell]) -> Iterator[subprocess.Popen[str]]:
    code = """
import time
from flows.home.environment import prepare
from flows.servers.prefect_server import PrefectServer
with PrefectServer(prepare()) as server:
    print(server.api_url, flush=True)
    time.sleep(600)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=begun(Shell(tmp_path)).environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home in which a server writes, as `prepare` has it for a command."""
    home = make_home(tmp_path / "home")
    monkeypatch.setenv("PREFECT_HOME", str(home.prefect))
    return home


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
@pytest.mark.integration
def test_a_killed_run_leaves_no_server_behind(parent: subprocess.Popen[str]) -> None:
    assert parent.stdout is not None
    port = int(parent.stdout.readline().split(":")[2].split("/")[0])
    assert accepts(port)  # the socket listens before the server runs
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 120
    while accepts(port):
        assert time.monotonic() < deadline, "the server outlived its run"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.integration
def test_a_server_that_cannot_start_says_where_to_look(
    written: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "garbage://")
    with (
        pytest.raises(PrefectServerError, match=r"ended with code \d+: .*server\.log"),
        PrefectServer(written) as server,
    ):
        server.wait()
    assert "PREFECT_API_URL" not in os.environ


@pytest.mark.slow
@pytest.mark.integration
def test_a_database_that_no_server_can_open_is_set_aside(
    written: Home, prefect_template: Path
) -> None:
    shutil.copy(prefect_template, written.prefect_database)
    with contextlib.closing(sqlite3.connect(written.prefect_database)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'nobody knows'")
    with PrefectServer(written) as server:
        server.wait()
    (mending,) = mendings(written.root)
    assert "the server ended at its start" in mending.problem
    assert "PREFECT_API_URL" not in os.environ


@pytest.mark.slow
@pytest.mark.integration
def test_one_that_is_left_before_it_answers_has_made_nothing_that_the_next_one_uses(
    written: Home,
) -> None:
    with PrefectServer(written):
        pass
    assert is_unfinished(written)
    with PrefectServer(written) as server:
        server.wait()
        assert not is_unfinished(written)
    assert written.prefect_database.stat().st_size
    assert list(mendings(written.root)) == []


def test_a_chosen_server_is_used_and_none_is_started(home: Home, tmp_path: Path) -> None:
    chosen = make_home(tmp_path / "x", environ={"PREFECT_API_URL": "http://prefect:4200/api"})
    with PrefectServer(chosen) as server:
        server.wait()
        assert server.api_url == "http://prefect:4200/api"
    assert not server.log.exists()
