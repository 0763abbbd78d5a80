import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from filelock import FileLock
from prefect.client.schemas.objects import State, StateType

from flows.home.environment import make_home
from flows.servers import runner_process
from flows.servers.runner_process import put_right

ROOT = Path(__file__).parents[3]


class Server:
    """Flow runs as Prefect's server keeps them, asked as its client asks."""

    def __init__(self) -> None:
        self.runs: dict[UUID, SimpleNamespace] = {}

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(self, deployment: UUID, state: StateType, *, hours: float = 0.0) -> UUID:
        due = datetime.now(UTC) + timedelta(hours=hours)
        run = SimpleNamespace(
            id=uuid4(), name=f"run {len(self.runs)}", state=State(type=state), due=due
        )
        run.parameters, run.tags = {"config": run.name}, []
        run.deployment = deployment
        self.runs[run.id] = run
        return run.id

    def read_flow_runs(
        self, *, deployment_filter: Any, flow_run_filter: Any, limit: int, sort: Any = None
    ) -> list[SimpleNamespace]:
        due = flow_run_filter.expected_start_time
        found = [
            run
            for run in self.runs.values()
            if run.deployment in deployment_filter.id.any_
            and run.state.type in flow_run_filter.state.type.any_
            and (due is None or run.due <= due.before_)
        ]
        if sort is not None:
            assert sort.value == "EXPECTED_START_TIME_DESC"
            found.sort(key=lambda run: run.due, reverse=True)
        return found[:limit]

    def set_flow_run_state(self, identity: UUID, state: State[Any], *, force: bool) -> None:
        assert force
        self.runs[identity].state = state

    def create_flow_run_from_deployment(
        self, deployment: UUID, *, parameters: dict[str, Any], tags: list[str]
    ) -> None:
        made = self.runs[self.add(deployment, StateType.SCHEDULED)]
        made.parameters, made.tags = parameters, tags

    def types(self) -> list[str]:
        return [run.state.type.value for run in self.runs.values()]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    kept = Server()
    monkeypatch.setattr("prefect.client.orchestration.get_client", lambda **_: kept)
    return kept


@pytest.mark.parametrize("state", [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING])
def test_what_nobody_runs_any_more_is_marked_crashed(server: Server, state: StateType) -> None:
    mine, others = uuid4(), uuid4()
    left = server.add(mine, state)
    server.add(mine, StateType.COMPLETED)
    server.add(others, state)
    put_right([mine])
    assert server.types() == ["CRASHED", "COMPLETED", state.value]
    assert server.runs[left].state.message == "the process that ran it is gone"


def test_of_the_runs_that_were_due_the_latest_is_kept(server: Server) -> None:
    one, two = uuid4(), uuid4()
    for hours in (-3, -1, -2, 5):
        server.add(one, StateType.SCHEDULED, hours=hours)
    server.add(two, StateType.SCHEDULED, hours=-4)
    put_right([one, two])
    assert server.types() == ["CANCELLED", "SCHEDULED", "CANCELLED", "SCHEDULED", "SCHEDULED"]
    put_right([one, two])
    assert server.types().count("SCHEDULED") == 3


@pytest.mark.parametrize("state", [StateType.RUNNING, StateType.PENDING])
def test_a_training_that_was_cut_off_goes_on_once(server: Server, state: StateType) -> None:
    training, watch = uuid4(), uuid4()
    for deployment in (training, watch):
        server.add(deployment, state)
    put_right([training, watch], trainings={training})
    assert server.types() == ["CRASHED", "CRASHED", "SCHEDULED"]
    new = list(server.runs.values())[-1]
    assert (new.deployment, new.parameters) == (training, {"config": "run 0"})
    # What goes on may be what kills the runner; that is not begun for ever.
    new.state = State(type=state)
    put_right([training, watch], trainings={training})
    assert server.types() == ["CRASHED"] * 3


def test_a_training_goes_on_neither_beside_one_that_is_due_nor_after_a_cancellation(
    server: Server,
) -> None:
    due, cancelled = uuid4(), uuid4()
    server.add(due, StateType.RUNNING)
    server.add(due, StateType.SCHEDULED, hours=-1)
    server.add(cancelled, StateType.CANCELLING)
    put_right([due, cancelled], trainings={due, cancelled})
    assert server.types() == ["CRASHED", "SCHEDULED", "CRASHED"]


def test_the_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter([503, 200])
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(next(codes))
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{http.server_address[1]}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        runner_process._await_server()
        http.shutdown()
    assert asked == ["/api/health"] * 2
    monkeypatch.setattr(runner_process, "_SERVER_SECONDS", 0.05)
    with pytest.raises(SystemExit, match=rf"the Prefect server does not answer at {url}/health"):
        runner_process._await_server()


def test_a_second_runner_of_a_home_does_not_begin(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    code = (
        "import sys; from pathlib import Path; from flows.servers import runner_process as r\n"
        "r._PREDECESSOR_SECONDS = 0.05; r.main(Path(sys.argv[1]))"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
    with FileLock(home.locks / "runner.lock"):
        done = subprocess.Popen(
            [sys.executable, "-c", code, "configs.json"],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": str(ROOT), "LMCORE_HOME": str(home.root)},
            stdin=subprocess.PIPE,  # the runner ends with it, and then its process group
            start_new_session=True,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert done.stderr is not None
        told = done.stderr.read()
        assert done.wait() == 1
    done.communicate()
    assert f"another runner still works in {home.root}; end it." in told
