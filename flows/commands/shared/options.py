"""Options that several commands take, so that they mean and say the same everywhere."""

from __future__ import annotations

from pathlib import Path

import click

#: A file or folder, as it was typed; paths are read against where the command was given.
PATH = click.Path(path_type=Path)

model = click.option("--model", metavar="NAME", help="Model; needed where there are several.")
version = click.option(
    "--version",
    default="champion",
    metavar="VERSION",
    help="Number, or alias: champion, previous, challenger.",
)
reason = click.option("--reason", required=True, metavar="TEXT", help="Goes into the history.")
dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
config = click.option(
    "--config",
    "config_file",
    type=PATH,
    metavar="FILE",
    help="Configuration; without it the embedded default.",
)
configs = click.option(
    "--config",
    "config_files",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="Configuration, one a model; repeatable; without it the embedded default.",
)
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key; repeatable."
)
