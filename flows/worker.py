"""Run pipelines that a Prefect server hands out: `python -m flows.worker --config FILE`.

In: a Prefect server, an MLflow server, configurations.  Out: one deployment a configuration on a
process work pool, which is made where it does not exist, and this process turned into a worker.

Settings of Prefect are read when it is imported, and a worker hands its own to every flow run that
it starts.  So they are isolated first, and then this process becomes `prefect worker start`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.environment import Home, prepare
from lmcore.config import RunConfig, load_config
from lmcore.errors import LmcoreError, UserError

#: Where the worker says that it is alive; for the health check of its container alone.
HEALTH_PORT = "8099"


def main(arguments: Sequence[str] | None = None) -> None:
    """Register the pipelines, then become the worker.

    Raises:
        UserError: If a configuration is wrong or no server is chosen.
    """
    parser = argparse.ArgumentParser(prog="python -m flows.worker", description=main.__doc__)
    parser.add_argument("--pool", default="lmcore", help="work pool; made if missing")
    parser.add_argument("--config", action="append", type=Path, help="a pipeline; may be repeated")
    parser.add_argument("--limit", type=int, default=1, help="flow runs at a time (default 1)")
    options = parser.parse_args(arguments)
    home = prepare()
    configs = [
        load_config(home.resolve(path) if path else None, started_in=home.started_in)
        for path in options.config or [None]
    ]
    register(home, configs, pool=options.pool)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", options.pool]
    command += ["--type", "process", "--limit", str(options.limit), "--with-healthcheck"]
    environ = {
        **os.environ,
        "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
        "PREFECT_WORKER_WEBSERVER_PORT": os.environ.get("LMCORE_HEALTH_PORT", HEALTH_PORT),
        # Flow runs start in folders of their own and find this very package there.
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    os.execve(sys.executable, command, environ)  # noqa: S606 (a fixed command)


def register(home: Home, configs: Sequence[RunConfig], *, pool: str) -> None:
    """Make the work pool and one deployment a configuration.

    Raises:
        UserError: If no Prefect server is chosen.
    """
    if home.prefect_api_url is None:
        raise UserError("a worker needs a server: set PREFECT_API_URL and MLFLOW_TRACKING_URI.")
    import contextlib

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from flows.pipeline import retrain

    with get_client(sync_client=True) as client, contextlib.suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    one_at_a_time = ConcurrencyLimitConfig(
        limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
    )
    for config in configs:
        schedule = config.schedule
        retrain.to_deployment(  # type: ignore[union-attr]
            config.name,
            parameters={"config": config.model_dump(mode="json"), "force": False},
            schedule=Cron(schedule.cron, timezone=schedule.timezone) if schedule else None,
            concurrency_limit=one_at_a_time,
            tags=["lmcore"],
            work_pool_name=pool,
            entrypoint_type=EntrypointType.MODULE_PATH,
            # The server takes our field `required` for JSON Schema's keyword and refuses it.
            enforce_parameter_schema=False,
        ).apply()


if __name__ == "__main__":
    try:
        main()
    except LmcoreError as error:
        print(f"lmcore worker: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
