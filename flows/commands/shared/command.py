"""The frame of every command: `--json`, a prepared environment, one clean answer, an exit code.

In: a function that returns an `Answer`.  Out: a click command.  With `--json` stdout holds one JSON
object and nothing else, whatever a library prints; logs go to stderr.  A command's module imports
what is heavy inside its function, so that `--help` answers at once and the environment is settled
before Prefect and MLflow read it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click

from flows.commands.shared import options, text
from flows.printable import CleanFormatter
from flows.progress.screen import showing

_TALKATIVE = (
    *("httpx", "alembic", "mlflow", "prefect", "datasets", "matplotlib"),
    *("botocore", "aiobotocore", "s3fs", "gcsfs", "adlfs", "azure", "google", "fsspec"),
)
_OF_OUTAGES = (
    "urllib3.connectionpool",
    "prefect.events.clients",
    "prefect._internal.concurrency",
    "EventsWorker",
)

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command answers.

    Attributes:
        values: The JSON object; its shape is part of the project's contract.
        text: Prints the same values for people.
        exit_code: 0 done, 3 a gate kept a version from promotion, 1 anything else.
        stay: Goes on after the answer until it is stopped.
    """

    values: Values
    text: Callable[[Values], None]
    exit_code: int = 0
    stay: Callable[[], None] | None = None


def command(
    *examples: str, makes_home: bool = True
) -> Callable[[Callable[..., Answer]], click.Command]:
    """Make a command of a function; options stand below this decorator.

    Args:
        examples: Command lines that `--help` shows.
        makes_home: Whether it makes LMCORE_HOME where there is none; with `--dry-run` none does.
    """

    def make(function: Callable[..., Answer]) -> click.Command:
        @functools.wraps(function)
        def answer_once(*, as_json: bool, **arguments: Any) -> None:
            with _clean_stdout(), showing(function.__name__):
                _log_to_stderr()
                from flows.home.environment import prepare

                prepare(makes_home=makes_home and not arguments.get("dry_run"))
                answer = function(**arguments)
            if as_json:
                text.json_line(answer.values)
            else:
                answer.text(answer.values)
            if answer.stay:
                sys.stdout.flush()
                answer.stay()
            if answer.exit_code:
                raise SystemExit(answer.exit_code)

        epilog = "\n".join(["\b", "Examples:", *(f"  {example}" for example in examples)])
        made = click.command(epilog=epilog if examples else None)(answer_once)
        made.help = _help(function, made.params)
        made.params.append(
            click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object.")
        )
        return made

    return make


def _help(function: Callable[..., Answer], parameters: list[click.Parameter]) -> str:
    """What the function says of itself, and behind its first line what stands for a version."""
    summary, _, rest = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
    sentence = options.version_sentence(parameters)
    return "\n\n".join(part for part in (summary, sentence, rest) if part)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(CleanFormatter("  %(message)s"))
    handler.addFilter(lambda record: getattr(record, "shown", True))
    handler.addFilter(_is_news)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in _TALKATIVE:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _is_news(record: logging.LogRecord) -> bool:
    """Not what each library says of a server that is away: whoever waits for it says so once."""
    heard = record.name.startswith(_OF_OUTAGES) and record.levelno >= logging.WARNING
    return not heard


@contextlib.contextmanager
def _clean_stdout() -> Iterator[None]:
    """Send everything that is written to file descriptor 1 to stderr meanwhile."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
