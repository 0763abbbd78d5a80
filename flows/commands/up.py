"""`lmcore up`: the servers of one home, on loopback, until they are stopped."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.counted import counted


@command("lmcore up", "lmcore up --config my.yaml --config other.yaml")
@options.configs
@click.option(
    "--host",
    default="127.0.0.1",
    metavar="H",
    help="Loopback address; no other is offered, because nothing is encrypted.",
)
def up(config_files: tuple[Path, ...], host: str) -> Answer:
    """Keep servers, schedules and the dashboard running until Ctrl-C.

    Prefect, MLflow and the dashboard ask for a password that is drawn at each start. Each model is
    retrained on its schedule, on new text and on drift.
    """
    from flows.servers.up import up as start

    values, stay = start(config_files, host=host)
    return Answer(values=values, text=_text, stay=stay)


def _text(answer: Values) -> None:
    """Where everything is, how to log in, and what will run by itself."""
    text.title(f"READY after {answer['seconds']:.1f} s", "green")
    for name, what in (
        ("prefect", "flow runs, schedules, events"),
        ("mlflow", "metrics, versions"),
        ("dashboard", "all models"),
        ("serve", "the champions answer"),
    ):
        text.line(f"  {name:<10} {answer[name]:<28} {what}")
    text.line()
    text.line(f"  log in     user {answer['user']}, password {answer['password']}")
    text.line(f"             in Prefect as {answer['user']}:{answer['password']}")
    text.line("             to serve with the password as the key")
    text.line(f"  logs       {answer['logs']}")
    text.line()
    for model in answer["models"]:
        watch = model["watch_minutes"]
        looks = f", new text every {counted(watch, 'minute')}" if watch else ""
        text.line(f"  {model['model']:<24} {model['schedule'] or 'no schedule'}{looks}")
    text.line()
    text.line("  Other lmcore commands of this home use these servers. Ctrl-C stops everything.")
