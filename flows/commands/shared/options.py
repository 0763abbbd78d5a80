"""Options that several commands take, so that they mean and say the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: A file or folder, as it was typed; paths are read against where the command was given.
PATH = click.Path(path_type=Path)


def config_keys(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Keys and sections of the configuration that begin like what was typed, for a shell."""
    from click.shell_completion import CompletionItem

    from lmcore.config_reference import keys

    return [
        CompletionItem(key.name, help=key.description)
        for key in keys()
        if key.name.startswith(incomplete)
    ]


def _assignments(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(f"{item.value}=", help=item.help)
        for item in config_keys(context, parameter, incomplete)
    ]


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
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=_assignments,
    help="Override a key; repeatable.",
)
