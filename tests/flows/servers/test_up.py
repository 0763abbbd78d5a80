"""`lmcore up` as a user runs it: one start for all tests, on a home that was used without it."""

import base64
import contextlib
import http.server
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pipeline_corpus as corpus
import pytest
from lmcore_shell import Shell, answer_of

from flows.home.environment import make_home
from flows.home.publication import adopt, publication_file, published
from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.version_folder import VersionFolder

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

CONFIG = (
    corpus.CONFIG.replace("max_steps: 150", "max_steps: 20").replace(
        "{resamples: 1000}", "{resamples: 1000, free_samples: 8}"
    )
    + 'schedule: {cron: "0 3 * * 1", timezone: Europe/Paris, watch_minutes: 600}\n'
)
# What other processes of a real day would do: new text arrives; and a run is silent too long.
ASK = """
import sys
from datetime import timedelta
from flows.home.environment import prepare
prepare()
from flows.servers.automations import ensure, zombies
from flows.notices.events import emit_arrived
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    of_one = zombies(silence=timedelta(seconds=10), runs=sys.argv[1], name="of a test")
    ensure(client, of_one)
emit_arrived("stories", {"files": 1})
from uuid import UUID
from flows.servers.runner_process import put_right
put_right([UUID(sys.argv[2])])
"""


@dataclass
class Up:
    """A running `lmcore up`, and what it said."""

    shell: Shell
    process: "subprocess.Popen[str]"
    answer: dict[str, Any]
    posted: list[dict[str, Any]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.shell.folder

    @property
    def home(self) -> Path:
        return self.shell.home

    def status(self, url: str, *, login: bool, **headers: str) -> int:
        request = urllib.request.Request(url, headers=headers)
        if login:
            request.add_header("Authorization", self.authorization)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    @property
    def authorization(self) -> str:
        login = f"{self.answer['user']}:{self.answer['password']}"
        return "Basic " + base64.b64encode(login.encode()).decode()

    def prefect(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"{self.answer['prefect']}/api{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": self.authorization},
        )
        deadline = time.monotonic() + 180
        while True:
            try:
                # On a busy machine a request can wait for the database for longer than a minute,
                with urllib.request.urlopen(request, timeout=180) as answer:
                    content = answer.read()
                return json.loads(content) if content else None
            except urllib.error.HTTPError as error:
                # and be told to come again: the database was locked, nothing was written.
                with error:
                    if error.code != 503 or time.monotonic() > deadline:
                        raise
                time.sleep(1)

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        return list(
            self.prefect(
                "/flow_runs/filter",
                {"flows": {"name": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"},
            )
        )


def begin(shell: Shell, **variables: str) -> Up:
    errors = shell.folder / "up.err"
    with errors.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "up", "--config", "config.yaml", "--json"],
            cwd=shell.folder,
            env={**shell.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    logs = "\n".join(log.read_text()[-2000:] for log in (shell.home / "logs").glob("*.log"))
    assert line, errors.read_text() + logs
    return Up(shell=shell, process=process, answer=json.loads(line))


def until(condition: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.3)
    return found


def alive(pid: int) -> bool:
    try:
        # A process that has ended and waits for its parent counts as gone.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook: its address, and what was posted there."""
    posted: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", posted
        server.shutdown()


@pytest.fixture(scope="module")
def up(
    tmp_path_factory: pytest.TempPathFactory,
    receiver: tuple[str, list[dict[str, Any]]],
    assemble_in: Callable[..., VersionFolder],
    register_in: Callable[..., Version],
) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    corpus.write_corpus(folder, documents=80)
    (folder / "config.yaml").write_text(CONFIG)
    home = make_home(folder / "home")
    register_in(Registry(home), assemble_in(folder))  # as the embedded default leaves it
    url, posted = receiver
    running = begin(Shell(folder), LMCORE_WEBHOOK=url)
    running.posted = posted
    yield running
    running.process.kill()
    running.process.communicate()


@dataclass
class Day:
    """Runs that others have left behind: one silent, one without its process, two that are late."""

    silent: str
    abandoned: str
    late: list[str]


@pytest.fixture(scope="module")
def day(up: Up) -> Day:
    """New text has arrived, a run has stopped sending heartbeats, a runner has been away."""
    flow = up.prefect("/flows/", {"name": "retrain"})["id"]
    state = {"type": "RUNNING", "name": "Running"}
    run = up.prefect(
        "/flow_runs/",
        {"flow_id": flow, "state": state, "parameters": {"config": {"name": "silent"}}},
    )["id"]
    other = up.prefect("/flows/", {"name": "other"})["id"]
    deployment = up.prefect("/deployments/", {"name": "left", "flow_id": other})["id"]

    def left(state: dict[str, Any]) -> str:
        body = {"flow_id": other, "deployment_id": deployment, "state": state}
        return str(up.prefect("/flow_runs/", body)["id"])

    at = [f"2026-01-0{day}T03:00:00Z" for day in (1, 2)]
    late = [
        left({"type": "SCHEDULED", "state_details": {"scheduled_time": moment}}) for moment in at
    ]
    abandoned = left(state)
    done = up.shell.python("-c", ASK, run, deployment)
    assert done.code == 0, done.err
    beat(up, run)
    return Day(silent=run, abandoned=abandoned, late=late)


def beat(up: Up, run: str) -> None:
    """A heartbeat of a flow run."""
    heartbeat = {
        "event": "prefect.flow-run.heartbeat",
        "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "id": str(uuid.uuid4()),
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
        "related": [],
        "payload": {},
    }
    up.prefect("/events", [heartbeat])


def test_everything_answers_and_asks_for_the_login(up: Up, day: Day) -> None:
    answer = up.answer
    for url, path in (
        (answer["prefect"], "/api/admin/version"),
        (answer["mlflow"], "/"),
        (answer["mlflow"], "/api/2.0/mlflow/registered-models/search"),
        (answer["dashboard"], "/"),
    ):
        assert up.status(url + path, login=False) == 401, path
        assert up.status(url + path, login=True) == 200, path
    assert up.status(answer["prefect"] + "/", login=False) == 200  # the page that asks
    search = answer["mlflow"] + "/api/2.0/mlflow/registered-models/search"
    assert up.status(search, login=True, Host="evil.example") == 403
    assert up.status(answer["dashboard"] + "/%2e%2e/splits.sqlite", login=True) == 404
    assert up.status(answer["dashboard"] + "/metrics", login=True) == 200
    # Clients of language models send a key, which is the password.
    models, key = answer["serve"] + "/models", f"Bearer {answer['password']}"
    assert up.status(models, login=False) == 401
    assert up.status(models, login=False, Authorization=key) == 200
    assert up.status(models, login=False, Authorization=key, Host="evil.example") == 421
    for name in ("prefect", "mlflow", "dashboard", "serve"):
        assert answer[name].startswith("http://127.0.0.1:")
    pages = answer["prefect"], answer["prefect"] + "/api/health", answer["mlflow"] + "/health"
    for url in (*pages, search, answer["dashboard"]):
        assert up.status(url, login=True, Host="evil.example") == 403
        assert up.status(url, login=True, Origin="http://127.0.0.1:9") == 403
        origin = "/".join(url.split("/")[:3])
        assert up.status(url, login=True, Origin=origin) == 200
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert up.status(answer["prefect"] + path, login=False) == 401
        assert up.status(answer["prefect"] + path, login=True) == 200


def test_the_addresses_are_for_the_owner_alone(up: Up) -> None:
    file = publication_file(up.home)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = published(up.home)
    assert found is not None
    assert (found.pid, found.password) == (up.process.pid, up.answer["password"])
    chosen = {"MLFLOW_TRACKING_URI": "http://mlflow:5000", "PREFECT_API_AUTH_STRING": "other"}
    adopt(chosen, up.home)
    assert chosen["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert chosen["PREFECT_API_AUTH_STRING"] == found.login
    assert "MLFLOW_TRACKING_PASSWORD" not in chosen


def test_an_embedded_version_is_used_through_the_server(up: Up) -> None:
    answer = up.shell.run("generate", "--model", "speeches", "--version", "1", "--prompt", "a")
    assert answer["version"] == 1


def test_a_second_one_is_refused(up: Up) -> None:
    error = up.shell.run("up", "--config", "config.yaml", code=2)["error"]
    assert f"runs already in {up.home} (process {up.process.pid}" in error


def test_the_schedule_is_deployed_and_makes_runs(up: Up) -> None:
    deployments = {d["entrypoint"]: d for d in up.prefect("/deployments/filter", {})}
    retrain = deployments["flows.pipeline.retrain"]
    assert not retrain["paused"]
    assert retrain["global_concurrency_limit"]["limit"] == 1
    assert retrain["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert retrain["parameters"]["config"]["name"] == "stories"
    [schedule] = retrain["schedules"]
    assert schedule["schedule"]["cron"] == "0 3 * * 1"
    assert schedule["schedule"]["timezone"] == "Europe/Paris"
    assert deployments["flows.watch_sources.watch"]["schedules"][0]["schedule"]["interval"] == 36000

    def scheduled() -> bool:
        return any(run["auto_scheduled"] for run in up.runs("retrain"))

    until(scheduled, "the scheduler makes no runs")


def test_new_text_starts_a_run_and_people_are_told(up: Up, day: Day) -> None:
    def finished() -> dict[str, Any] | None:
        done = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        found = [r for r in up.runs("retrain") if r["deployment_id"] and r["state_type"] in done]
        return found[0] if found else None

    run = until(finished, "no run was started")
    assert run["state_name"] in ("Promoted", "Rejected"), run["state"]["message"]
    assert run["name"] == "stories"
    [told] = [p for p in up.posted if p["model"] == "stories"]
    assert told["event"] == run["state_name"].lower()
    assert (told["version"], told["flow_run_id"]) == (1, run["id"])
    assert told["reason"] == run["state"]["message"]


def test_a_silent_run_is_marked_crashed_and_people_are_told(up: Up, day: Day) -> None:
    def told() -> list[dict[str, Any]]:
        return [post for post in up.posted if post["flow_run_id"] == day.silent]

    for _ in range(3):
        with contextlib.suppress(AssertionError):
            until(told, "nobody was told", seconds=60)
            break
        # On a busy machine the first one came before the server had read its automations.
        beat(up, day.silent)
    until(told, "nobody was told of the crashed run", seconds=60)
    run = next(run for run in up.runs("retrain") if run["id"] == day.silent)
    assert run["state_type"] == "CRASHED"
    [post] = told()
    assert (post["event"], post["model"]) == ("failed", "silent")
    assert "no heartbeat" in post["reason"]


def test_what_a_runner_left_behind_is_settled(up: Up, day: Day) -> None:
    runs = {run["id"]: run for run in up.runs("other")}
    assert runs[day.abandoned]["state_type"] == "CRASHED"
    first, second = (runs[late]["state"] for late in day.late)
    assert first["type"] == "CANCELLED"
    assert "a later one takes its place" in first["message"]
    assert second["type"] == "SCHEDULED"


def test_deployments_are_written_for_a_work_pool(up: Up) -> None:
    deploy = ("deploy", "--pool", "machines")
    with up.shell.opened() as lmcore:
        assert "no work pool 'machines'" in lmcore.run(*deploy, code=2)["error"]
        made = ("--type", "process", "--job-variable", "env.OMP_NUM_THREADS=1")
        answer = lmcore.run(*deploy, *made)
        assert lmcore.run(*deploy) == answer
        other = ("--type", "docker", "--job-variable", "network_mode=host")
        assert "is of type process" in lmcore.run(*deploy, *other, code=2)["error"]
    assert answer["type"] == "process"
    (pool,) = [p for p in up.prefect("/work_pools/filter", {}) if p["name"] == "machines"]
    properties = pool["base_job_template"]["variables"]["properties"]
    assert properties["env"]["default"] == {"OMP_NUM_THREADS": "1"}
    assert "retrain/annual-messages" in answer["deployments"]
    placed = [d for d in up.prefect("/deployments/filter", {}) if d["work_pool_name"]]
    assert {d["entrypoint"] for d in placed} >= {
        "flows.pipeline.retrain",
        "flows.watch_sources.watch",
    }


def test_a_killed_server_is_started_again(up: Up) -> None:
    os.kill(up.answer["processes"]["mlflow"], signal.SIGKILL)
    # The socket outlives the server, so the request waits instead of failing.
    search = up.answer["mlflow"] + "/api/2.0/mlflow/registered-models/search"
    assert up.status(search, login=True) == 200
    assert "mlflow was ended by signal 9" in (up.folder / "up.err").read_text()


def test_sigterm_stops_everything_and_keeps_everything(up: Up) -> None:
    children = [p for p in up.answer["processes"].values() if p]
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(timeout=120) == 0
    assert not any(alive(pid) for pid in children)
    assert published(up.home) is None
    assert not publication_file(up.home).exists()
    # What the server registered is opened without it.
    assert up.shell.run("show", "1", "--model", "stories")["version"] == 1


@pytest.mark.long
def test_on_a_new_home_a_killed_one_leaves_no_process_and_a_run_goes_on_without_it(
    tmp_path: Path,
) -> None:
    corpus.write_corpus(tmp_path, documents=80)
    (tmp_path / "config.yaml").write_text(CONFIG)
    shell = Shell(tmp_path)
    second = begin(shell)
    children = list(second.answer["processes"].values())
    assert len(children) == 5
    assert all(alive(pid) for pid in children)
    command = ("run", "--config", "config.yaml")
    run = Shell(tmp_path, {"LMCORE_SERVER_WAIT_SECONDS": "1"}).start(*command, "--json")
    assert run.stderr is not None
    for line in run.stderr:
        if "train:" in line:
            break
    second.process.kill()
    second.process.communicate()
    assert publication_file(shell.home).exists()
    assert published(shell.home) is None  # stale, and not believed
    until(lambda: not any(alive(pid) for pid in children), "a process outlived `lmcore up`")
    error = answer_of(run, code=1)["error"]
    assert "was not back after 1 s (it does not answer); all that was done is kept" in error
    assert "with `lmcore up` or without it" in error
    done = shell.command(*command, "--json")
    assert done.code in (0, 3), done.err
    assert "train: step" not in done.err  # it was kept
    assert done.answer["version"] == 1
