"""The process that starts flow runs: `python -m flows.servers.runner_process FILE`.

In: a file of resolved configurations, and the servers' addresses in the environment.  Out: their
deployments, each flow run in a process of its own; ends when standard input does.

Before it starts anything it puts right what an earlier runner has left: runs that nobody runs any
more are marked Crashed (each holds the only place of its deployment), a training among them goes on
in a new run, and of the runs that were due while nothing ran only the latest is kept.  Each minute
it looks for runs that no deployment started, and whose process was killed: the server's automations
(flows/servers/automations.py) have never heard of one that was killed before the server began.
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
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
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
_LOOK_SECONDS = 60.0
#: Of a run that goes on with one that was killed: it is not gone on with a second time.
GOES_ON = "goes-on"


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
    from flows.servers.deployments import REPORT, RETRAIN, deployments
    from lmcore.config import parse_config

    values = json.loads(configs_file.read_text(encoding="utf-8"))
    configs = [parse_config(value, where=str(configs_file)) for value in values]
    _await_server()
    runner = Runner(name="lmcore", query_seconds=_POLL_SECONDS, pause_on_shutdown=False)
    ids: dict[str, UUID] = {}
    for deployment in deployments(configs, stored=home.up / "configs"):
        identity = runner.add_deployment(deployment)
        assert isinstance(identity, UUID)
        ids[deployment.full_name] = identity
    with get_client(sync_client=True) as client:
        ensure_all(client, ids[f"{REPORT}/lmcore"])
    trainings = {identity for name, identity in ids.items() if name.startswith(f"{RETRAIN}/")}
    put_right(list(ids.values()), trainings=trainings)
    threading.Thread(target=_look_for_silent, daemon=True).start()
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


def _look_for_silent() -> None:
    since = datetime.now(UTC)
    while True:
        before = datetime.now(UTC)
        time.sleep(_LOOK_SECONDS)
        # A machine that slept has silenced those at work as well.
        slept = datetime.now(UTC) - before > timedelta(seconds=2 * _LOOK_SECONDS)
        since = datetime.now(UTC) if slept else since
        try:
            settle_silent(since=since)
        except Exception as error:  # whatever the client raises; heartbeats are lost meanwhile, too
            since = datetime.now(UTC)
            logger.warning("silent runs were not looked for: %s", error)


def settle_silent(*, since: datetime) -> None:
    """Mark runs of our flows as crashed that have said nothing for too long.

    Args:
        since: From then on the server has heard what runs said.
    """
    from prefect.client.orchestration import get_client
    from prefect.states import Crashed

    from flows.notices.events import SILENCE
    from flows.notices.signs_of_life import is_silent, runs_at_work
    from flows.servers.automations import OUR_FLOWS

    with get_client(sync_client=True) as client:
        for run in runs_at_work(client, OUR_FLOWS):
            if is_silent(client, run, since=since):
                message = f"nothing heard of it for {SILENCE}: its process has been killed"
                client.set_flow_run_state(run.id, Crashed(message=message), force=True)
                logger.warning("flow run %s: %s", run.name, message)


def put_right(deployment_ids: Sequence[UUID], *, trainings: Collection[UUID] = ()) -> None:
    """Settle the runs of these deployments that were left behind.

    Nobody runs them: a runner holds a lock for its life, and its flow runs end with it.

    Args:
        deployment_ids: All that the runner serves.
        trainings: Those of them whose runs go on: once, as the run may be what killed the runner.
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
            cut = [r for r in left if r.state and r.state.type is not StateType.CANCELLING]
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
            if deployment_id in trainings and cut and not late and GOES_ON not in cut[-1].tags:
                client.create_flow_run_from_deployment(
                    deployment_id, parameters=cut[-1].parameters, tags=[GOES_ON]
                )
                logger.warning("flow run %s goes on in a new run", cut[-1].name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
