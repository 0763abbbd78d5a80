"""`lmcore deploy`: the deployments of configurations on a Prefect server of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command

if TYPE_CHECKING:
    from flows.servers.work_pools import PoolType


@command(
    "PREFECT_API_URL=https://prefect.example/api lmcore deploy --pool lmcore --config my.yaml",
    "lmcore deploy --pool cluster --type kubernetes --job-variable memory=16Gi --config my.yaml",
)
@options.configs
@click.option("--pool", required=True, metavar="NAME", help="Work pool that runs are placed in.")
@click.option(
    "--type",
    "pool_type",
    type=click.Choice(["process", "docker", "kubernetes"]),
    help="Make the pool where it is missing, and give it the job template of this type.",
)
@click.option(
    "--job-variable",
    "job_variables",
    multiple=True,
    metavar="KEY=VALUE",
    help="With --type: what differs from the template (env.NAME, image, memory ...).",
)
def deploy(
    config_files: tuple[Path, ...],
    pool: str,
    pool_type: PoolType | None,
    job_variables: tuple[str, ...],
) -> Answer:
    """Write deployments to a Prefect server, for a work pool.

    They are those that `lmcore up` serves itself; workers with lmcore installed run them.
    """
    from flows.servers.deploy import deploy as write

    values = write(config_files, pool=pool, pool_type=pool_type, job_variables=job_variables)
    return Answer(values=values, text=_text)


def _text(answer: Values) -> None:
    """What was written where, and how to run it."""
    text.title(f"DEPLOYED to {answer['server']}", "green")
    for name in answer["deployments"]:
        text.line(f"  {name}")
    text.line()
    start = f"prefect worker start --pool {answer['pool']} --type {answer['type']}"
    text.line(f"  {start}   on each machine that runs them")
