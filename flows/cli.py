"""The `lmcore` command: names and first lines of the commands, and an exit code to trust.

Each command is the module of its name in `flows.commands`, which is imported when it is used or
asked for its own `--help`; so `lmcore --help` and the completion of names import nothing but click.
Exit codes: 0 done, 3 a gate kept the candidate from promotion, 2 the input is wrong
(one sentence, no traceback), 1 anything else.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import sys
import threading
from collections import UserDict
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lmcore import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: By what people do: each command and the first line of its help, which a test compares.
COMMANDS = {
    "Make": {
        "init": "Write a configuration for your own text.",
        "config": "Show what a configuration comes to, or explain its keys.",
        "run": "Train, judge, register and, where every gate passes, promote.",
        "sweep": "Find the learning rate by short runs; registers nothing.",
        "timeline": "Walk through a dated corpus as a schedule would have.",
    },
    "Look": {
        "status": "Show which version of each model is in use, and the last run.",
        "history": "List every promotion, refusal and rollback: who, when, why.",
        "versions": "List the versions of a model.",
        "report": "Open the page that says how good a version is, and why.",
        "show": "Show metrics, gates, lineage and card of one version.",
        "compare": "Compare two versions, paired on the same held-out documents.",
        "dashboard": "Write one page about all models over time.",
    },
    "Decide": {
        "promote": "Make a version the champion.",
        "rollback": "Go back to the champion before this one.",
    },
    "Use": {
        "generate": "Continue a text, or several at once, with a registered model.",
        "predict": "Label, translate or summarize a text, or each line of a file.",
        "score": "Measure how well a model predicts a file, in bits per byte.",
        "serve": "Answer over HTTP with the champions, following every promotion.",
        "export": "Write a version as a folder that other programs load.",
    },
    "Account for": {
        "lineage": "Show what a version was made of: documents, sources, licences.",
        "seen": "Tell which versions were trained on a document or a near-copy.",
        "forget": "Keep a document and its near-copies out of every later model.",
        "reproduce": "Rebuild a version from its sources and compare the weights.",
    },
    "Operate": {
        "up": "Keep servers, schedules and the dashboard running until Ctrl-C.",
        "deploy": "Write deployments to a Prefect server, for a work pool.",
        "monitor": "Tell whether fresh text has moved away from what was learnt.",
        "controls": "Try every gate on models with a known fault and on sound ones.",
        "prune": "Delete versions and files that are not needed any more.",
        "doctor": "Check what is installed, reachable, writable and fast.",
    },
}
_LINES = {name: line for group in COMMANDS.values() for name, line in group.items()}
_EXAMPLES = """\b
Examples:
  lmcore run                                   the embedded example, in four minutes
  lmcore init texts/ --out my.yaml             a configuration for your own text ...
  lmcore run --config my.yaml                  ... and a model of it
  lmcore generate --prompt "Fellow citizens"   use the champion

`lmcore COMMAND --help` says more, with examples.
"""


#: New objects before Python looks for garbage among them; its own 700 cost a sixth of all imports,
#: which make hundreds of thousands of objects that stay.
_GARBAGE_THRESHOLD = 10_000


class _Modules(UserDict[str, Any]):
    """Names of commands; looking one up imports its module."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in _LINES:
            raise KeyError(name)
        found = getattr(importlib.import_module(f"flows.commands.{name}"), name)
        assert isinstance(found, click.Command)
        return found


class _LazyGroup(click.Group):
    """Lists and completes its commands without importing them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _LINES))
        for title, lines in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, line in lines.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=line)
            for name, line in _LINES.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    commands=_Modules(_LINES),
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
    epilog=_EXAMPLES,
)
@click.version_option(__version__, prog_name="lmcore")
@click.pass_context
def cli(context: click.Context) -> None:
    """A team's own language models: retrained, judged, promoted only when proven better."""
    if context.invoked_subcommand is None:
        _greet()


def _greet() -> None:
    """What this is, and the commands that matter now; nothing is made."""
    from flows.commands.shared.next_steps import Step, lines, next_steps
    from flows.registry.glance import glance

    every = Step(line="lmcore --help", purpose="see all commands")
    click.echo(f"lmcore {__version__}: {cli.help}\n")
    for line in lines([*next_steps(glance()), every]):
        click.echo(f"  {line}")


def answer() -> int:
    """Run the command line; every error becomes one sentence and an exit code."""
    gc.set_threshold(_GARBAGE_THRESHOLD)
    try:
        return cli.main(prog_name="lmcore", standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except (Exception, KeyboardInterrupt) as error:
        from flows.commands.shared.failures import report

        return report(error, as_json="--json" in sys.argv[1:])


def main() -> NoReturn:
    """The command; ends the process."""
    _leave(answer())


def _leave(code: int) -> NoReturn:
    """End the process without taking every object apart, which takes a second after a run.

    Threads, and what is registered for the end, come to theirs as they would; but not where a
    server has been waited for in vain, as they would wait for it again.
    """
    patience = sys.modules.get("flows.home.patience")
    if patience is None or patience.gone() is None:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
