"""The process that starts flow runs: `python -m flows.servers.runner_process FILE`.

In: a file of resolved configurations, and the servers' addresses in the environment.  Out: their
deployments, each flow run in a process of its own; ends when standard input does.

Before it starts anything it puts right what an earlier runner has left: runs that nobody runs any
more are marked Crashed (each holds the only place of its deployment), and of the runs that were due
while nothing ran only the latest is kept.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from filelock import FileLock, Timeout

from flows.home.environment import Home, prepare

logger = logging.getLogger(__name__)

_SERVER_SECONDS = 180.0
_PREDECESSOR_SECONDS = 60.0
_GRACE_SECONDS = 25.0
_POLL_SECONDS = 5.0
_LATE_SECONDS = 30.0
_PAGE = 200


def main(configs_file: Path) -> None:
    """Serve the deployments of the configurations until standard input ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    for noisy in ("httpx", "prefect"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    home = prepare()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = FileLock(home.locks / "runner.lock")
    try:
        # Flow runs of an earlier runner end with it; before that they are not crashed.
        lock.acquire(timeout=_PREDECESSOR_SECONDS)
    except Timeout:
        sys.exit(f"another runner still works in {home.root}; end it.")
    with lock:
        _serve(home, configs_file)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _serve(home: Home, configs_file: Path) -> None:
    from prefect.client.orchestration import get_client
    from prefect.runner import Runner

    from flows.servers.automations import ensure_all
    from flows.servers.deployments import REPORT, deployments
    from lmcore.config import parse_config

    values = json.loads(configs_file.read_text(encoding="utf-8"))
    configs = [parse_config(value, where=str(configs_file)) for value in values]
    _await_server()
    runner = Runner(name="lmcore", query_seconds=_POLL_SECONDS, pause_on_shutdown=False)
    ids: dict[str, UUID] = {}
    for deployment in deployments(configs):
        identity = runner.add_deployment(deployment)
        assert isinstance(identity, UUID)
        ids[deployment.full_name] = identity
    with get_client(sync_client=True) as client:
        ensure_all(client, ids[f"{REPORT}/lmcore"])
    put_right(list(ids.values()))
    (home.up / "runner.ready").write_text(str(os.getpid()))
    logger.info("serving %s", ", ".join(ids))
    asyncio.run(runner.start())


def _await_server() -> None:
    import httpx

    url = os.environ["PREFECT_API_URL"] + "/health"
    deadline = time.monotonic() + _SERVER_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    sys.exit(f"the Prefect server does not answer at {url}")


def put_right(deployment_ids: Sequence[UUID]) -> None:
    """Settle the runs of these deployments that were left behind.

    Nobody runs them: a runner holds a lock for its life, and its flow runs end with it.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        FlowRunFilter,
        FlowRunFilterExpectedStartTime,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.states import Cancelled, Crashed
    from prefect.types._datetime import now

    def having(types: list[StateType], **more: object) -> FlowRunFilter:
        state = FlowRunFilterState(type=FlowRunFilterStateType(any_=types))
        return FlowRunFilter(state=state, **more)

    due = FlowRunFilterExpectedStartTime(before_=now("UTC"))
    with get_client(sync_client=True) as client:
        for deployment_id in deployment_ids:
            mine = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
            left = client.read_flow_runs(
                deployment_filter=mine,
                flow_run_filter=having(
                    [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
                ),
                limit=_PAGE,
            )
            for run in left:
                message = "the process that ran it is gone"
                client.set_flow_run_state(run.id, Crashed(message=message), force=True)
                logger.warning("flow run %s: %s", run.name, message)
            late = client.read_flow_runs(
                deployment_filter=mine,
                flow_run_filter=having([StateType.SCHEDULED], expected_start_time=due),
                sort=FlowRunSort.EXPECTED_START_TIME_DESC,
                limit=_PAGE,
            )
            for run in late[1:]:
                message = "it was due while nothing ran; a later one takes its place"
                client.set_flow_run_state(run.id, Cancelled(message=message), force=True)
                logger.info("flow run %s: %s", run.name, message)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
