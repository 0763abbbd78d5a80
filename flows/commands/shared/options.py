"""Options that several commands take, so that they mean, say and complete the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: What may stand for a version; the one place that says it.
VERSION_WORDS = "a number (3 or v3) or an alias (champion, previous, challenger)"


class _Known(click.ParamType[str]):
    """A name that a shell completes from what is registered; any text is taken."""

    def __init__(self, name: str, candidates: str) -> None:
        self.name, self._candidates = name, candidates

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Looked up when a shell asks."""
        from flows.commands.shared import completion

        chosen = ctx.params.get("model")
        found = getattr(completion, self._candidates)(chosen if isinstance(chosen, str) else None)
        return completion.items(found, incomplete)


class _FileOr(click.ParamType[str]):
    """A path or other words, of which a shell completes the path."""

    name = "file"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Left to the shell."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


#: A file or folder, as it was typed; paths are read against where the command was given.
PATH = click.Path(path_type=Path)
FILE_OR_WORDS = _FileOr()
MODEL = _Known("model", "models")
ALIAS = _Known("alias", "aliases")
VERSION = _Known("version", "versions")

Decorator = Callable[[Any], Any]


def version_argument(name: str = "version", *, required: bool = True) -> Decorator:
    """An argument that names a version; `--help` of its command says what may be given."""
    return click.argument(name, type=VERSION, required=required)


def version_sentence(parameters: list[click.Parameter]) -> str:
    """What a command's help says of its arguments that name versions; empty where it has none."""
    given = [p for p in parameters if isinstance(p, click.Argument) and p.type is VERSION]
    if not given:
        return ""
    names = " and ".join(str(p.name).upper() for p in given)
    return f"{names} {'is' if len(given) == 1 else 'are each'} {VERSION_WORDS}."


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


def one_model(words: str) -> Decorator:
    """`--model` of a command that can do without."""
    return click.option("--model", type=MODEL, metavar="NAME", help=words)


model = one_model("Model to use; the only one there is need not be named.")
any_model = one_model("Only this model; without it all.")
version = click.option(
    "--version",
    type=VERSION,
    default="champion",
    metavar="VERSION",
    help=f"Version to use: {VERSION_WORDS}.",
)
reason = click.option(
    "--reason", required=True, metavar="TEXT", help="Why, for the history of the model."
)
dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


def configuration_file(default: str) -> Decorator:
    """`--config`, one file."""
    return click.option(
        "--config",
        "config_file",
        type=PATH,
        metavar="FILE",
        help=f"Configuration; without it {default}.",
    )


config = configuration_file("the embedded example")
configs = click.option(
    "--config",
    "config_files",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="Configuration, one a model; repeatable; without it the embedded example.",
)
overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=_assignments,
    help="Override a key of the configuration, as training.seed=1; repeatable.",
)
