"""Run pipelines that a Prefect server hands out: `python -m flows.servers.worker --config FILE`.

In: a Prefect server, an MLflow server, configurations.  Out: what `lmcore deploy` writes, on a
process work pool that is made where it does not exist, and this process turned into a worker.

Settings of Prefect are read when it is imported, and a worker hands its own to every flow run that
it starts.  So they are isolated first, and then this process becomes `prefect worker start`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.home.environment import prepare
from flows.home.folders import PROJECT
from flows.servers.deploy import deploy
from lmcore.errors import LmcoreError, UserError

#: Where the worker says that it is alive; for the health check of its container alone.
HEALTH_PORT = "8099"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the deployments of the configurations, then become the worker.

    Raises:
        UserError: If a configuration is wrong or no server is chosen.
    """
    parser = argparse.ArgumentParser(
        prog="python -m flows.servers.worker", description=main.__doc__
    )
    parser.add_argument("--pool", default="lmcore", help="work pool; made if missing")
    parser.add_argument(
        "--config", action="append", type=Path, default=[], help="a pipeline; may be repeated"
    )
    parser.add_argument("--limit", type=int, default=1, help="flow runs at a time (default 1)")
    options = parser.parse_args(arguments)
    home = prepare()
    if home.prefect_api_url is None or home.embedded:
        raise UserError("a worker needs servers: set PREFECT_API_URL and MLFLOW_TRACKING_URI.")
    _make_pool(options.pool)
    deploy(options.config, pool=options.pool)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", options.pool]
    command += ["--type", "process", "--limit", str(options.limit), "--with-healthcheck"]
    environ = {
        **os.environ,
        "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
        "PREFECT_WORKER_WEBSERVER_PORT": os.environ.get("LMCORE_HEALTH_PORT", HEALTH_PORT),
        # Flow runs start in folders of their own and find this very package there.
        "PYTHONPATH": str(PROJECT),
    }
    os.execve(sys.executable, command, environ)  # noqa: S606 (a fixed command)


def _make_pool(name: str) -> None:
    import contextlib

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client, contextlib.suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=name, type="process"))


if __name__ == "__main__":
    try:
        main()
    except LmcoreError as error:
        print(f"lmcore worker: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
