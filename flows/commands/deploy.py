"""`lmcore deploy`: the deployments of configurations on a Prefect server of the user's."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command


@command("PREFECT_API_URL=https://prefect.example/api lmcore deploy --pool lmcore --config my.yaml")
@options.configs
@click.option("--pool", required=True, metavar="NAME", help="Work pool that runs are placed in.")
def deploy(config_files: tuple[Path, ...], pool: str) -> Answer:
    """Write deployments to a Prefect server, for a work pool.

    They are those that `lmcore up` serves itself; workers with lmcore installed run them.
    """
    from flows.servers.deploy import deploy as write

    return Answer(values=write(config_files, pool=pool), text=_text)


def _text(answer: Values) -> None:
    """What was written where, and how to run it."""
    text.title(f"DEPLOYED to {answer['server']}", "green")
    for name in answer["deployments"]:
        text.line(f"  {name}")
    text.line()
    text.line(f"  prefect worker start --pool {answer['pool']}   on each machine that runs them")
