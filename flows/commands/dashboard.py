"""`lmcore dashboard`: the page that every run rebuilds, written on demand."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.counted import counted


@command(
    "lmcore dashboard",
    "lmcore dashboard --out models.html --model annual-messages",
    makes_home=False,
)
@click.option(
    "--out",
    type=options.PATH,
    metavar="FILE",
    help="File to write; without it dashboard.html in LMCORE_HOME.",
)
@options.any_model
def dashboard(out: Path | None, model: str | None) -> Answer:
    """Write one page about all models over time.

    Champions and who decided it, gates, quality with bounds, data, cost, the last runs: one file
    that is complete in itself.
    """
    from flows.dashboard import page

    return Answer(values=page.write(out, model), text=_text)


def _text(answer: Values) -> None:
    text.line(answer["path"])
    text.line(f"  {counted(len(answer['models']), 'model')}, {answer['bytes']:,} bytes")
