"""A run that a killed runner left in any state does not hold the place of the next one."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import prefect
import pytest

from flows.home.environment import isolate, make_home
from flows.servers.prefect_server import PREFECT_APP

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).parents[3] / "flows" / "servers" / "serve_app.py"
#: The shortest that the server takes; its own default is five minutes.
LEASE_SECONDS = 30
SETTLED_SECONDS = 10
#: States whose silence the server itself is to notice.
AUTOMATED = ("PENDING", "RUNNING")
#: The server stores what it hears some seconds later.
SILENT_SECONDS = 20
#: What the runner does each minute, with a silence that a test can wait for.
LOOK = f"""
from datetime import UTC, datetime, timedelta
from flows.home.environment import prepare
prepare()
from flows.notices import signs_of_life
signs_of_life.SILENCE = timedelta(seconds={SILENT_SECONDS})
from flows.servers.runner_process import settle_silent
settle_silent(since=datetime.now(UTC))
settle_silent(since=datetime.now(UTC) - timedelta(hours=1))
from flows.watch_sources import _retraining
print(_retraining("silent"), _retraining("beating"))
"""
AUTOMATION = f"""
import sys
from datetime import timedelta
from flows.home.environment import prepare
prepare()
from flows.servers.automations import ensure, stranded
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    for run in sys.argv[1:]:
        ensure(client, stranded(silence=timedelta(seconds={SETTLED_SECONDS}), runs=run, name=run))
"""


class Server:
    """Prefect's own, on loopback."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {
            "Content-Type": "application/json",
            # Of others the server thinks that they cannot keep a lease, and takes it away.
            "User-Agent": f"prefect/{prefect.__version__} (API 0.8.4)",
        }
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=headers)
        for _ in range(20):
            try:
                with urllib.request.urlopen(request, timeout=180) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                with error:
                    if error.code != 503:
                        raise
            time.sleep(0.5)  # its database is busy; clients of Prefect ask again, too
        raise AssertionError(f"{path}: the server stays busy")

    def run(self, flow: str, deployment: str) -> str:
        """A new run of a deployment, scheduled for now."""
        body = {"flow_id": flow, "deployment_id": deployment, "state": {"type": "SCHEDULED"}}
        return str(self.ask("/flow_runs/", body)["id"])

    def start(self, flow: str, model: str) -> str:
        """A run that no deployment has started."""
        state = {"type": "RUNNING", "name": "Running"}
        body = {"flow_id": flow, "state": state, "parameters": {"config": {"name": model}}}
        return str(self.ask("/flow_runs/", body)["id"])

    def beat(self, run: str) -> None:
        """A sign of life."""
        event = {
            "event": "prefect.flow-run.heartbeat",
            "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "id": str(uuid.uuid4()),
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
        }
        self.ask("/events", [event])

    def move(self, run: str, state: str) -> str:
        """Ask for a state as a runner does; returns the one that the run has then."""
        found = self.ask(f"/flow_runs/{run}/set_state", {"state": {"type": state}})
        return str((found.get("state") or {}).get("type"))

    def state(self, run: str) -> str:
        return str(self.ask(f"/flow_runs/{run}")["state_type"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    home = make_home(tmp_path_factory.mktemp("stranded"))
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}
    isolate(environ, home)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        environ |= {"PREFECT_API_URL": url, "PYTHONPATH": str(SCRIPT.parents[2])}
        settings = {
            "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": str(LEASE_SECONDS),
            "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "2",
            "PREFECT_SERVER_UI_ENABLED": "false",
        }
        process = subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT), str(listener.fileno()), *PREFECT_APP],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            cwd=home.empty,
            env={**environ, **settings},
        )
    try:
        until(lambda: answers(f"{url}/health"), 180)
        yield Server(url), environ
    finally:
        process.kill()
        process.communicate()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def becomes(condition: Callable[[], Any], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := bool(condition())) and time.monotonic() < deadline:
        time.sleep(3)
    return found


def until(condition: Callable[[], Any], seconds: float) -> None:
    assert becomes(condition, seconds)


def look(environ: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-c", LOOK], check=True, env=environ, capture_output=True, text=True
    ).stdout


def test_the_next_run_begins_within_the_lease_and_stranded_ones_are_settled(
    server: tuple[Server, dict[str, str]],
) -> None:
    asked, environ = server
    flow = asked.ask("/flows/", {"name": "retrain"})["id"]
    one_at_a_time = {
        "concurrency_limit": 1,
        "concurrency_options": {"collision_strategy": "CANCEL_NEW"},
    }
    # Where the runner was killed: it had taken the run, had begun it (in whichever step), was to
    # cancel it, or to try it again; and whether the server watches, or only the lease ends.
    left = {
        (last, watched): asked.ask(
            "/deployments/", {"name": f"{last} {watched}", "flow_id": flow, **one_at_a_time}
        )["id"]
        for last in ("PENDING", "RUNNING", "CANCELLING", "AWAITING_RETRY")
        for watched in (True, False)
    }
    runs = {key: asked.run(flow, deployment) for key, deployment in left.items()}
    watched = [run for (_, is_watched), run in runs.items() if is_watched]
    subprocess.run([sys.executable, "-c", AUTOMATION, *watched], check=True, env=environ)
    time.sleep(3)  # the server reads its automations some moments after they were written
    taken = time.monotonic()
    for (last, _), run in runs.items():
        assert asked.move(run, "PENDING") == "PENDING"
        assert last == "PENDING" or asked.move(run, "RUNNING") == "RUNNING"
        assert last != "CANCELLING" or asked.move(run, "CANCELLING") == "CANCELLING"
        assert last != "AWAITING_RETRY" or asked.move(run, "SCHEDULED") == "SCHEDULED"
    for (last, _), deployment in left.items():
        # So long nobody knows that it was killed; one that waits to be tried again holds no place.
        found = asked.move(asked.run(flow, deployment), "PENDING")
        assert found == ("PENDING" if last == "AWAITING_RETRY" else "CANCELLED"), last

    def begins(deployment: str) -> bool:
        return asked.move(asked.run(flow, deployment), "PENDING") == "PENDING"

    for deployment in left.values():  # after what began above was killed, too
        until(functools.partial(begins, deployment), LEASE_SECONDS + 60)
    assert time.monotonic() - taken < LEASE_SECONDS + 90
    stranded = [r for (last, is_watched), r in runs.items() if is_watched and last in AUTOMATED]

    def settled() -> bool:
        return all(asked.state(run) == "CRASHED" for run in stranded)

    if not becomes(settled, 60):
        # A busy SQLite file may refuse what the server heard, and after four tries it is lost (its
        # log says so); the look that the runner takes each minute is for these.
        look(environ)
        assert settled()


def test_a_run_that_was_killed_before_the_server_began_is_settled_and_no_other_one(
    server: tuple[Server, dict[str, str]],
) -> None:
    asked, environ = server
    flow = asked.ask("/flows/", {"name": "retrain"})["id"]
    other = asked.ask("/flows/", {"name": "of another team"})["id"]
    silent, beating = asked.start(flow, "silent"), asked.start(flow, "beating")
    theirs = asked.start(other, "silent")
    time.sleep(SILENT_SECONDS)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(1):
            asked.beat(beating)

    heart = threading.Thread(target=beat)
    heart.start()
    filter_ = {"filter": {"resource": {"id": [f"prefect.flow-run.{beating}"]}}}
    until(
        lambda: any(
            event["event"].endswith("heartbeat")
            for event in asked.ask("/events/filter", filter_)["events"]
        ),
        60,
    )
    try:
        printed = look(environ)
    finally:
        ended.set()
        heart.join()
    assert [asked.state(run) for run in (silent, beating, theirs)] == [
        "CRASHED",
        "RUNNING",
        "RUNNING",
    ]
    assert printed.split() == ["False", "True"]
