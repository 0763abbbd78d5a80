import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.home.environment import Home, isolate, make_home

ROOT = Path(__file__).parents[3]


def run_python(code: str, *, cwd: Path, **environ: str) -> str:
    """Run a program in a process whose home folder and environment are the test's."""
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def home_in(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


@pytest.mark.parametrize(
    "leak",
    [
        *("PREFECT_TASKS_DEFAULT_RETRIES", "prefect_profile", "PREFECT_API_KEY"),
        *("PREFECT_TEST_MODE", "MLFLOW_ARTIFACT_ROOT", "mlflow_run_id", "MLFLOW_TRACKING_TOKEN"),
    ],
)
def test_settings_of_the_users_do_not_reach_the_embedded_default(tmp_path: Path, leak: str) -> None:
    environ = {leak: "7", "PATH": "/bin"}
    isolate(environ, home_in(tmp_path))
    assert leak not in environ
    assert environ["PATH"] == "/bin"


def test_a_chosen_server_keeps_what_is_needed_to_reach_it(tmp_path: Path) -> None:
    environ = {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "MLFLOW_TRACKING_TOKEN": "secret",
        "MLFLOW_RUN_ID": "leak",
        "PREFECT_API_URL": "http://prefect:4200/api",
        "PREFECT_API_AUTH_STRING": "a:b",
        "PREFECT_PROFILE": "leak",
    }
    home = make_home(tmp_path / "home", environ=environ)
    isolate(environ, home)
    assert (home.tracking_uri, home.embedded) == ("http://mlflow:5000", False)
    assert home.prefect_api_url == "http://prefect:4200/api"
    assert environ["MLFLOW_TRACKING_TOKEN"] == "secret"
    assert environ["MLFLOW_REGISTRY_URI"] == "http://mlflow:5000"
    assert environ["PREFECT_API_AUTH_STRING"] == "a:b"
    assert "MLFLOW_RUN_ID" not in environ
    assert "PREFECT_PROFILE" not in environ


def test_every_location_lies_in_the_home(tmp_path: Path) -> None:
    environ = {"HF_DATASETS_CACHE": "/elsewhere", "XDG_CACHE_HOME": "/elsewhere"}
    home = home_in(tmp_path)
    isolate(environ, home)
    for name in ("HF_HOME", "HF_DATASETS_CACHE", "XDG_CACHE_HOME", "MPLCONFIGDIR", "TMPDIR"):
        assert Path(environ[name]).is_relative_to(home.root), name
    assert environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"].endswith(f"{home.prefect}/prefect.db")


def test_telemetry_is_off_in_the_words_that_each_dependency_reads(tmp_path: Path) -> None:
    environ = {"DO_NOT_TRACK": "0", "MLFLOW_DISABLE_TELEMETRY": "false"}
    isolate(environ, home_in(tmp_path))
    assert environ["DO_NOT_TRACK"] == "true"
    assert environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert environ["HF_EVALUATE_OFFLINE"] == environ["HF_HUB_OFFLINE"] == "1"


def test_paths_are_read_where_the_command_was_given(tmp_path: Path) -> None:
    code = """
import json, os, sys
from flows.home.environment import current, prepare
home = prepare()
assert prepare() is home is current()
print(json.dumps({"root": str(home.root), "file": str(home.resolve("a/b.txt")),
    "absolute": str(home.resolve("/x")), "cwd": os.getcwd(), "path": sys.path[0]}))
"""
    folder = tmp_path / "ordner mit ö"
    folder.mkdir()
    answer = json.loads(run_python(code, cwd=folder, HOME=str(tmp_path)))
    assert answer == {
        "root": f"{folder}/.lmcore",
        "file": f"{folder}/a/b.txt",
        "absolute": "/x",
        "cwd": f"{folder}/.lmcore/cwd",
        "path": str(folder),
    }


_RUN = """
import json, logging, urllib.error, urllib.request
from flows.home.environment import prepare
from flows.servers.prefect_server import PrefectServer
home = prepare()
with PrefectServer(home) as server:
    from prefect import flow, task
    from prefect.client.orchestration import get_client
    from prefect.settings import get_current_settings
    from flows.registry import tracking

    @task
    def double(x):
        logging.getLogger("lmcore.test").warning("doubling")
        return 2 * x

    @flow
    def small():
        return double(21)

    with tracking.open_run(home, model="m", run_key="k", name="n") as run:
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_text("<p>", "report.html")
        server.wait()
        answer = small()
    try:
        urllib.request.urlopen(server.api_url + "/flows/filter", data=b"{}")
        status = 200
    except urllib.error.HTTPError as error:
        status = error.code
    with get_client(sync_client=True) as client:
        states = [run.state_name for run in client.read_flow_runs()]
    retries = get_current_settings().tasks.default_retries
    print(json.dumps({"answer": answer, "states": states, "retries": retries, "status": status,
        "loss": tracking.connect(home).get_run(run.run_id).data.metrics["loss"]}))
"""


@pytest.mark.slow
@pytest.mark.integration
def test_a_hostile_folder_changes_nothing_and_nothing_is_written_outside(tmp_path: Path) -> None:
    here, user = tmp_path / "here", tmp_path / "user"
    (here / "mlruns" / "0").mkdir(parents=True)
    (here / "mlruns" / "0" / "meta.yaml").write_text("broken: [")
    (here / "prefect.toml").write_text("[tasks]\ndefault_retries = 7\n[[[broken")
    (here / "pyproject.toml").write_text("[tool.prefect.tasks]\ndefault_retries = 8\n")
    nowhere = "http://127.0.0.1:9"
    (here / ".env").write_text(f"PREFECT_API_URL={nowhere}\nMLFLOW_TRACKING_URI={nowhere}\n")
    (user / ".prefect").mkdir(parents=True)
    (user / ".prefect" / "profiles.toml").write_text(
        f'active = "x"\n[profiles.x]\nPREFECT_API_URL = "{nowhere}"\n'
    )
    before = sorted(tmp_path.rglob("*"))
    home = tmp_path / "h o m ë"
    answer = json.loads(
        run_python(
            _RUN,
            cwd=here,
            HOME=str(user),
            LMCORE_HOME=str(home),
            PREFECT_TASKS_DEFAULT_RETRIES="9",
            http_proxy=nowhere,
        )
    )
    expected = {"answer": 42, "states": ["Completed"], "retries": 0, "status": 401, "loss": 1.0}
    assert answer == expected
    assert [path for path in sorted(tmp_path.rglob("*")) if home not in (path, *path.parents)] == (
        before
    )
    assert list((home / "cwd").iterdir()) == []


LOOK = """
import os, pathlib
from flows.home.environment import prepare
home = prepare(makes_home=False)
print(home.root, home.place, tmp := pathlib.Path(os.environ["TMPDIR"]), tmp.is_dir(), sep="\\n")
"""


def test_a_look_stands_in_a_folder_that_goes_with_it(tmp_path: Path) -> None:
    wanted = tmp_path / "not" / "there"
    out = run_python(LOOK, cwd=tmp_path, LMCORE_HOME=str(wanted), TMPDIR=str(tmp_path))
    root, place, temporary, was_there = out.splitlines()
    assert (place, was_there) == (str(wanted), "True")
    assert Path(root).parent == tmp_path
    assert Path(temporary).parent == Path(root)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("why", ["is a home", "a server has the registry", "cannot be there"])
def test_a_look_uses_the_home_itself(tmp_path: Path, why: str) -> None:
    wanted, server = tmp_path / "home", {}
    if why == "is a home":
        (wanted / "kept").mkdir(parents=True)  # what is lost of it must be missed
    elif why == "cannot be there":
        wanted = tmp_path / "per%cent"
    else:
        server = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    environ = {"LMCORE_HOME": str(wanted), "TMPDIR": str(tmp_path), **server}
    if why == "cannot be there":
        with pytest.raises(AssertionError, match="contains '%'"):
            run_python(LOOK, cwd=tmp_path, **environ)
    else:
        assert run_python(LOOK, cwd=tmp_path, **environ).splitlines()[:2] == [str(wanted)] * 2
