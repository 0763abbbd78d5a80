"""`lmcore serve`: champions behind HTTP, until a signal."""

from __future__ import annotations

from typing import Any

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command


@command(
    "lmcore serve --no-key",
    "lmcore serve --model stories --port 8080 --keys /etc/lmcore/keys",
    "lmcore serve --host 0.0.0.0 --keys keys/ --allow-host models.example.org",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    type=options.MODEL,
    metavar="NAME",
    help="Model to serve; repeatable; without it all that have the alias.",
)
@click.option("--host", default="127.0.0.1", metavar="H", help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    type=click.IntRange(0, 65535),
    metavar="P",
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--alias",
    default="champion",
    type=options.ALIAS,
    metavar="ALIAS",
    help="Versions that answer: those that are champion, challenger or previous.",
)
@click.option(
    "--keys", type=options.PATH, metavar="FOLDER", help="Keys of clients, one file for each."
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    type=options.PATH,
    metavar="FILE",
    help="Configuration that says what is kept of requests (serve.record); repeatable.",
)
@click.option(
    "--shadow",
    type=options.ALIAS,
    metavar="ALIAS",
    help="Versions that answer nobody and read along, as challenger.",
)
@click.option(
    "--no-key", "without_key", is_flag=True, help="Answer everybody; on a loopback address alone."
)
@click.option("--wait", is_flag=True, help="Start also where nothing is promoted yet.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name under which the server may be asked; repeatable.",
)
def serve(**asked: Any) -> Answer:
    """Answer over HTTP with the champions, following every promotion.

    It speaks as OpenAI's completions do, and answers with the version that is in use when a request
    comes; requests under way end with the version that they began with.
    """
    from flows.serving.serve import Asked
    from flows.serving.serve import serve as start

    values, stay = start(Asked(**asked))
    return Answer(values=values, text=_text, stay=stay)


def _text(answer: Values) -> None:
    """Where it is asked, and what answers."""
    text.title(f"READY after {answer['seconds']:.1f} s", "green")
    text.line(f"  {answer['url']}/v1")
    for one in answer["models"]:
        text.line(f"  {one['model']:<24} version {one['version']} ({one['task']})")
    for name in answer["recorded"]:
        text.line(f"  a share of what {name} is asked is kept, personal data masked")
    for problem in answer["problems"]:
        text.line(f"  {problem}")
    text.line()
    who = "Clients need a key." if answer["keys"] else "Everybody on this machine may ask."
    text.line(f"  {who} {answer['url']}/docs describes it; Ctrl-C ends it.")
