import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flows.home.environment import Home
from flows.home.publication import (
    Publication,
    adopt,
    exclusive_use,
    lasting_tracking_uri,
    publication_file,
    publish,
    published,
    shared_use,
    withdraw,
)
from lmcore.errors import UserError

SERVERS = Publication(
    pid=os.getpid(),
    prefect_api_url="http://127.0.0.1:4201/api",
    mlflow_url="http://127.0.0.1:5001",
    dashboard_url="http://127.0.0.1:8001",
    user="lmcore",
    password="secret",
)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("http://ada:secret@mlflow:5000/x", "http://mlflow:5000/x"),
        ("postgresql://ada:p@ss@db/mlflow", "postgresql://db/mlflow"),
        ("https://mlflow.example", "https://mlflow.example"),
        ("databricks", "databricks"),
    ],
)
def test_an_address_is_written_down_without_its_login(home: Home, given: str, written: str) -> None:
    assert lasting_tracking_uri(replace(home, tracking_uri=given)) == written


def test_of_the_servers_of_up_the_database_is_written_down(home: Home) -> None:
    own = f"sqlite:///{home.mlflow_database}"
    assert lasting_tracking_uri(home) == own
    served = replace(home, tracking_uri=SERVERS.mlflow_url)
    assert lasting_tracking_uri(served) == SERVERS.mlflow_url
    with exclusive_use(home.root):
        publish(home.root, SERVERS)
        assert lasting_tracking_uri(served) == own
        other = replace(home, tracking_uri="http://127.0.0.1:5999")
        assert lasting_tracking_uri(other) == "http://127.0.0.1:5999"


def test_a_published_server_is_used_while_its_process_lives(home: Home) -> None:
    assert published(home.root) is None
    with exclusive_use(home.root):
        publish(home.root, SERVERS)
        assert stat.S_IMODE(publication_file(home.root).stat().st_mode) == 0o600
        environ = {"PREFECT_API_KEY": "of another server", "HOME": "x"}
        adopt(environ, home.root)
        assert environ == {**SERVERS.settings(), "HOME": "x"}
    assert publication_file(home.root).exists()
    environ = {"HOME": "x"}
    adopt(environ, home.root)
    assert environ == {"HOME": "x"}
    withdraw(home.root)
    withdraw(home.root)


def test_servers_that_the_user_chose_stay_chosen(home: Home) -> None:
    with exclusive_use(home.root):
        publish(home.root, SERVERS)
        environ = {"PREFECT_API_URL": "http://prefect/api", "MLFLOW_TRACKING_URI": "http://mlflow"}
        adopt(environ, home.root)
        assert environ == {
            "PREFECT_API_URL": "http://prefect/api",
            "MLFLOW_TRACKING_URI": "http://mlflow",
        }


def test_one_process_has_the_home(home: Home) -> None:
    with exclusive_use(home.root):
        publish(home.root, SERVERS)
        with pytest.raises(UserError, match=r"runs already in .* \(process \d+; Prefect http"):
            exclusive_use(home.root).__enter__()
        with pytest.raises(UserError, match="has just started"):
            shared_use(home.root).__enter__()
    with shared_use(home.root), shared_use(home.root):
        with pytest.raises(UserError, match="a run with a Prefect server of its own"):
            exclusive_use(home.root).__enter__()
        assert published(home.root) is None


def test_a_killed_process_frees_the_home(home: Home) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path; from flows.home.publication import *\n"
        f"with exclusive_use(Path({str(home.root)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root})
    assert done.returncode == -9
    with exclusive_use(home.root):
        pass


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:20],
        lambda text: "[]",
        lambda text: text.replace('"user"', '"stranger"'),
        lambda text: text.replace("127.0.0.1:4201", "evil.example:4201"),
        lambda text: text.replace("http://127.0.0.1:5001", "file:///etc"),
    ],
)
def test_a_file_that_names_no_server_of_ours_is_not_believed(
    home: Home, spoil: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.home.publication._START_SECONDS", 0.0)
    with exclusive_use(home.root):
        publish(home.root, SERVERS)
        file = publication_file(home.root)
        file.write_text(spoil(file.read_text()))
        with pytest.raises(Exception, match="its servers do not answer"):
            published(home.root)
        publish(home.root, replace(SERVERS, mlflow_url="http://[::1]:5001"))
        assert published(home.root) is not None
