"""The `lmcore` command: arguments in, one answer out, and an exit code that scripts can trust.

Nothing heavy is imported before a command needs it, so that `--help` answers at once.
Exit codes: 0 done, 3 a gate kept the candidate from promotion, 2 the input is wrong
(one sentence, no traceback), 1 anything else.  With `--json` stdout holds one JSON
object and nothing else, whatever a library prints; logs go to stderr.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import click

from lmcore import __version__
from lmcore.errors import LmcoreError

Answer = dict[str, Any]
Command = Callable[..., Any]


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


def _say(answer: Answer, *, as_json: bool, text: Callable[[Answer], None]) -> None:
    if as_json:
        # What starts with an underscore is for people, not part of the contract.
        shown = {key: value for key, value in answer.items() if not key.startswith("_")}
        click.echo(json.dumps(shown, ensure_ascii=False, allow_nan=False))
    else:
        text(answer)


def _command(function: Command) -> Command:
    """Give a command `--json`, a prepared environment and clean answers."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @functools.wraps(function)
    def wrapper(*args: Any, as_json: bool, **kwargs: Any) -> None:
        from flows.commands import render
        from flows.home.environment import prepare

        logging.basicConfig(
            level=logging.INFO, format="  %(message)s", stream=sys.stderr, force=True
        )
        for noisy in ("httpx", "alembic", "mlflow", "prefect", "datasets", "matplotlib"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        with _clean_stdout():
            prepare()
            answer, code = function(*args, **kwargs)
        _say(answer, as_json=as_json, text=getattr(render, function.__name__))
        if stay := answer.get("_stay"):  # a command that goes on until it is stopped
            sys.stdout.flush()
            stay()
        if code:
            raise SystemExit(code)

    return wrapper


_MODEL = click.option("--model", metavar="NAME", help="Model; needed where there are several.")
_CONFIG = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration; without it the embedded default.",
)
_VERSION = click.option(
    "--version", "version", default="champion", metavar="V", help="Number or alias."
)
_REASON = click.option("--reason", required=True, metavar="TEXT", help="Goes into the history.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lmcore")
def cli() -> None:
    """A team's own language models: retrained, judged, promoted only when proven better."""


@cli.command()
@_CONFIG
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--force", is_flag=True, help="Train again although nothing is new.")
@_command
def run(config_file: Path | None, overrides: tuple[str, ...], force: bool) -> tuple[Answer, int]:
    """Train, judge, register and, where every gate passes, promote a model."""
    from flows.launch import launch

    result = launch(config_file, overrides=overrides, force=force)
    return {**result.to_json(), "_report": result.report}, result.exit_code


@cli.command()
@_CONFIG
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option(
    "--rates",
    type=click.IntRange(2, 9),
    default=3,
    show_default=True,
    metavar="N",
    help="Rates to try, a factor of two apart.",
)
@_command
def sweep(config_file: Path | None, overrides: tuple[str, ...], rates: int) -> tuple[Answer, int]:
    """Find the learning rate by short runs; registers nothing."""
    from flows.commands.sweep import sweep_rates

    return sweep_rates(config_file, overrides=overrides, rates=rates), 0


@cli.command()
@click.argument("place", metavar="FOLDER_OR_FILE", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("lmcore.yaml"),
    show_default=True,
    metavar="FILE",
    help="Config to write.",
)
@click.option("--license", "license_", metavar="SPDX", help="Licence of the text.")
@click.option("--name", metavar="NAME", help="Name of the model.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@_command
def init(
    place: Path, out: Path, license_: str | None, name: str | None, force: bool
) -> tuple[Answer, int]:
    """Write a configuration for your own text, with what was found there."""
    from flows.commands.init import write_config
    from flows.home.environment import current

    home = current()
    answer = write_config(
        home.resolve(place),
        out=home.resolve(out),
        license_=license_,
        name=name,
        replace=force,
    )
    return answer, 0


@cli.command()
@_MODEL
@_command
def status(model: str | None) -> tuple[Answer, int]:
    """Show which version of each model is in use, and the last run."""
    from flows.commands import registered as operations

    return operations.status(model), 0


@cli.command()
@_MODEL
@_command
def history(model: str | None) -> tuple[Answer, int]:
    """List every promotion, refusal and rollback: who, when, why."""
    from flows.commands import registered as operations

    return operations.history(model), 0


@cli.command()
@_MODEL
@_command
def versions(model: str | None) -> tuple[Answer, int]:
    """List the versions of a model."""
    from flows.commands import registered as operations

    return operations.versions(model), 0


@cli.command()
@click.argument("version")
@_MODEL
@_command
def show(version: str, model: str | None) -> tuple[Answer, int]:
    """Show metrics, gates, lineage and card of one version."""
    from flows.commands import registered as operations

    return operations.show(version, model), 0


@cli.command()
@click.argument("first")
@click.argument("second")
@_MODEL
@_command
def compare(first: str, second: str, model: str | None) -> tuple[Answer, int]:
    """Compare two versions, paired on the same held-out documents."""
    from flows.commands import registered as operations

    return operations.compare(first, second, model), 0


@cli.command()
@click.argument("version")
@_MODEL
@_REASON
@click.option("--override", is_flag=True, help="Promote although a gate did not pass.")
@_command
def promote(version: str, model: str | None, reason: str, override: bool) -> tuple[Answer, int]:
    """Make a version the champion."""
    from flows.commands import registered as operations

    return operations.promote(version, model, reason=reason, override=override)


@cli.command()
@_MODEL
@_REASON
@_command
def rollback(model: str | None, reason: str) -> tuple[Answer, int]:
    """Go back to the champion before this one."""
    from flows.commands import registered as operations

    return operations.rollback(model, reason=reason), 0


@cli.command()
@click.option(
    "--prompt", "prompts", multiple=True, metavar="TEXT", help="Text to continue; repeatable."
)
@click.option(
    "--prompts-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Texts to continue, one a line.",
)
@click.option("--max-tokens", default=200, show_default=True, metavar="N")
@click.option("--seed", type=int, metavar="S", help="Same seed, same text.")
@click.option(
    "--temperature", default=0.8, show_default=True, metavar="T", help="0 takes the likeliest."
)
@click.option(
    "--top-k", default=0, show_default=True, metavar="K", help="Draw among K tokens; 0: all."
)
@click.option("--top-p", default=0.95, show_default=True, metavar="P")
@click.option(
    "--repetition-penalty",
    default=1.0,
    show_default=True,
    metavar="R",
    help="Above 1 makes the last 64 tokens less likely.",
)
@click.option("--stop", multiple=True, metavar="TEXT", help="End before this text; repeatable.")
@click.option(
    "--attribute",
    is_flag=True,
    help="Mark what stands verbatim in the training data, with document and licence.",
)
@_VERSION
@_MODEL
@_command
def generate(
    prompts: tuple[str, ...],
    prompts_file: Path | None,
    version: str,
    model: str | None,
    **settings: Any,
) -> tuple[Answer, int]:
    """Continue a text, or several at once, with a registered model."""
    from flows.commands import registered as operations

    if prompts_file is None and not prompts:
        raise click.UsageError("Missing option '--prompt' (or '--prompts-file').")
    if prompts_file is not None and prompts:
        raise click.UsageError("Give '--prompt' or '--prompts-file', not both.")
    answer = operations.generate(
        prompts if prompts_file is None else prompts_file,
        # In JSON the answer is one object, so there is nothing to show before it is whole.
        live=not click.get_current_context().params["as_json"],
        version=version,
        model=model,
        **settings,
    )
    return answer, 0


@cli.command()
@click.argument("text", required=False)
@click.option("--file", type=click.Path(path_type=Path), metavar="FILE", help="Texts, one a line.")
@_VERSION
@_MODEL
@_command
def predict(
    text: str | None, file: Path | None, version: str, model: str | None
) -> tuple[Answer, int]:
    """Label, translate or summarize a text, or each line of a file."""
    from flows.commands import registered as operations

    if (text is None) == (file is None):
        raise click.UsageError("Give a TEXT or '--file', one of them.")
    return operations.predict(text, file=file, version=version, model=model), 0


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@_VERSION
@_MODEL
@_command
def score(file: Path, version: str, model: str | None) -> tuple[Answer, int]:
    """Measure how well a model predicts a file: bits per byte with its interval."""
    from flows.commands import registered as operations

    return operations.score(file, version=version, model=model), 0


@cli.command()
@_CONFIG
@click.option("--gate", metavar="NAME", help="Only the controls of this gate.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Seeds of each control; without it 20, and 100 where they are cheap.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Seeds worked on side by side; without it one for each core.",
)
@click.option("--record", is_flag=True, help="Keep the counts in the package (in a checkout).")
@click.option(
    "--seed-noise",
    is_flag=True,
    help="Instead: how far trainings that differ by the seed alone lie apart, on the own text.",
)
@_command
def controls(
    config_file: Path | None,
    gate: str | None,
    seeds: int | None,
    processes: int | None,
    record: bool,
    seed_noise: bool,
) -> tuple[Answer, int]:
    """Try every gate on models with a known fault and on sound ones."""
    from flows.commands import controls as run_controls

    if seed_noise:
        if gate is not None or record or processes is not None:
            raise click.UsageError("'--seed-noise' goes with '--config' and '--seeds' alone.")
        return run_controls.measure_noise(config_file, seeds=seeds), 0
    return run_controls.run_controls(
        config_file, gate=gate, seeds=seeds, processes=processes, record=record
    )


@cli.command()
@_CONFIG
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@_command
def monitor(config_file: Path | None, overrides: tuple[str, ...]) -> tuple[Answer, int]:
    """Tell whether fresh text has moved away from what the champion learnt."""
    from flows.launch import launch_monitor

    return launch_monitor(config_file, overrides=overrides), 0


@cli.command()
@_CONFIG
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@_command
def timeline(config_file: Path | None, overrides: tuple[str, ...]) -> tuple[Answer, int]:
    """Walk through a dated corpus as a schedule would have: monitor, retrain, promote or refuse."""
    from flows.launch import launch_timeline

    return launch_timeline(config_file, overrides=overrides), 0


@cli.command()
@click.argument("version")
@click.option(
    "--documents",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    metavar="N",
    help="List so many documents.",
)
@click.option(
    "--offset",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="After the first N.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write all documents to a file, one JSON object a line.",
)
@_MODEL
@_command
def lineage(
    version: str, documents: int, offset: int, out: Path | None, model: str | None
) -> tuple[Answer, int]:
    """Show what a version was made of: documents, sources, licences, shares of the text."""
    from flows.commands.lineage import lineage as made_of

    answer = made_of(version, model, documents=documents, offset=offset, out=out)
    return answer, 0


@cli.command()
@click.argument("target", metavar="FILE_OR_ID")
@_MODEL
@_command
def seen(target: str, model: str | None) -> tuple[Answer, int]:
    """Tell which versions were trained on a document, or on a near-copy of it."""
    from flows.commands.seen import seen as met_by

    return met_by(target, model), 0


@cli.command()
@click.argument("target", metavar="FILE_OR_ID")
@_REASON
@click.option("--dry-run", is_flag=True, help="Only say what would be concerned.")
@click.option("--model", metavar="NAME", help="Forget it in this model alone; without it in all.")
@_command
def forget(target: str, reason: str, dry_run: bool, model: str | None) -> tuple[Answer, int]:
    """Keep a document and its near-copies out of every later model; erase what is cached."""
    from flows.commands.forget import forget as keep_out

    return keep_out(target, model, reason=reason, dry_run=dry_run), 0


@cli.command()
@click.argument("version")
@_MODEL
@_command
def reproduce(version: str, model: str | None) -> tuple[Answer, int]:
    """Rebuild a version from its sources and compare the weights."""
    from flows.commands import reproduce as reproduction

    return reproduction.reproduce(version, model)


_CONFIGS = click.option(
    "--config",
    "config_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration, one a model; repeatable; without it the embedded default.",
)


@cli.command()
@_CONFIGS
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="H",
    help="Loopback address; no other is offered, because nothing is encrypted.",
)
@_command
def up(config_files: tuple[Path, ...], host: str) -> tuple[Answer, int]:
    """Keep Prefect, MLflow, the schedules and the dashboard running until Ctrl-C."""
    from flows.servers.up import up as start

    return start(config_files, host=host), 0


@cli.command()
@_CONFIGS
@click.option("--pool", required=True, metavar="NAME", help="Work pool that runs are placed in.")
@_command
def deploy(config_files: tuple[Path, ...], pool: str) -> tuple[Answer, int]:
    """Write the deployments of configurations to a Prefect server, for a work pool."""
    from flows.servers.deploy import deploy as write

    return write(config_files, pool=pool), 0


@cli.command()
@click.option(
    "--keep",
    type=click.IntRange(1, 1_000_000),
    required=True,
    metavar="N",
    help="Newest versions of each model to keep, beside those in use.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("--model", metavar="NAME", help="Versions of this model alone; without it of all.")
@_command
def prune(keep: int, dry_run: bool, model: str | None) -> tuple[Answer, int]:
    """Delete versions that are not needed any more, and files that only they needed."""
    from flows.commands import prune as retention

    return retention.prune(model, keep=keep, dry_run=dry_run), 0


@cli.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to write; without it dashboard.html in LMCORE_HOME.",
)
@click.option("--model", metavar="NAME", help="Only this model; without it all.")
@_command
def dashboard(out: Path | None, model: str | None) -> tuple[Answer, int]:
    """Write one page about all models over time: champions, gates, quality, data, cost."""
    from flows.dashboard import page

    return page.write(out, model), 0


@cli.command()
@_command
def doctor() -> tuple[Answer, int]:
    """Check what is installed, reachable, writable and fast."""
    from flows.commands import doctor as diagnosis

    answer = diagnosis.examine()
    return answer, 0 if answer["healthy"] else 1


def main() -> NoReturn:
    """Run the command line; every error becomes one sentence and an exit code."""
    as_json = "--json" in sys.argv[1:]
    try:
        code = cli.main(standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.Abort:
        code = _fail("stopped by the user", 1, as_json=as_json)
    except click.ClickException as error:
        code = _fail(error.format_message(), 2, as_json=as_json)
    except LmcoreError as error:
        code = _fail(str(error), error.exit_code, as_json=as_json)
    except KeyboardInterrupt:
        code = _fail("stopped by the user", 1, as_json=as_json)
    except BrokenPipeError:
        _close_output()
        code = 1
    except Exception as error:
        from flows.commands.doctor import full_disk

        sentence = full_disk(error, Path(os.environ.get("LMCORE_HOME") or ".lmcore"))
        if sentence is None:
            logging.getLogger("lmcore").error("unexpected error", exc_info=error)
        code = _fail(sentence or f"{type(error).__name__}: {error}", 1, as_json=as_json)
    sys.exit(code)


def _fail(message: str, code: int, *, as_json: bool) -> int:
    click.echo(f"lmcore: {' '.join(message.split())}", err=True)
    if as_json:
        try:
            click.echo(json.dumps({"error": message, "exit_code": code}, ensure_ascii=False))
        except BrokenPipeError:
            _close_output()
    return code


def _close_output() -> None:
    """Nobody reads any more; without this the interpreter would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
