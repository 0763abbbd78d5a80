"""`lmcore config`: what a configuration comes to, what each key does, and its form for editors."""

from __future__ import annotations

import functools
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.errors import ConfigError, UserError

if TYPE_CHECKING:
    from lmcore.config_reference import Key

_ONLY_IN = {
    "scratch": "a model from random weights: `model` without `pretrained`",
    "pretrained": "a model that exists: `model` with `pretrained`",
}


@command(
    "lmcore config",
    "lmcore config --config my.yaml --set training.budget_seconds=600",
    "lmcore config --explain",
    "lmcore config --explain training.budget_seconds",
    "lmcore config --schema --out lmcore.schema.json",
    makes_home=False,
)
@options.config
@options.overrides
@click.option(
    "--explain",
    is_flag=False,
    flag_value="",
    metavar="[KEY]",
    shell_complete=options.config_keys,
    help="What a key does; of a section all of its keys; without KEY what there is.",
)
@click.option("--schema", is_flag=True, help="The form of a configuration file, for editors.")
@click.option("--out", type=options.PATH, metavar="FILE", help="File to write the schema to.")
def config(
    config_file: Path | None,
    overrides: tuple[str, ...],
    explain: str | None,
    schema: bool,
    out: Path | None,
) -> Answer:
    """Show what a configuration comes to, or explain its keys.

    Presets, the file of the gates' limits, defaults and --set are put in, as a run would. What is
    printed is a configuration again.
    """
    given = [
        name
        for name, there in (
            ("--explain", explain is not None),
            ("--schema", schema),
            ("--config or --set", config_file is not None or overrides),
        )
        if there
    ]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)}: expected one of them; give the others apart")
    if out is not None and not schema:
        raise UserError(f"--out {out}: expected with --schema only; add it, or leave --out out")
    if explain is not None:
        return _explained(explain)
    if schema:
        return _schema(out)
    return _resolved(config_file, overrides)


def _resolved(config_file: Path | None, overrides: Sequence[str]) -> Answer:
    from flows.commands.shared.configuration import configuration

    found = configuration(config_file, overrides)
    return Answer(
        values={"config": found.model_dump(mode="json"), "fingerprint": found.fingerprint()},
        text=lambda _: text.line(found.to_yaml().rstrip()),
    )


def _schema(out: Path | None) -> Answer:
    import json

    from lmcore.config_schema import config_schema

    schema = config_schema()
    if out is None:
        written = json.dumps(schema, indent=2, ensure_ascii=False)
        return Answer(values=schema, text=lambda _: text.line(written))
    from flows.home.access import as_the_user
    from flows.home.environment import current
    from lmcore.durable import atomic_write

    path = current().resolve(out)
    _see_that_nothing_is_lost(path)
    try:
        with as_the_user():
            atomic_write(path, json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigError(
            f"--out {path}: cannot be written ({error.strerror}); choose another"
        ) from error
    return Answer(values={"schema": str(path)}, text=_written)


def _see_that_nothing_is_lost(path: Path) -> None:
    """Refuse a file that is anything but an earlier schema."""
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent}: no such folder; make it first or choose another --out")
    try:
        with path.open("rb") as stream:
            beginning = stream.read(1 << 10)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(
            f"--out {path}: cannot be written ({error.strerror}); choose another"
        ) from error
    if not (beginning.startswith(b"{") and b'"$schema"' in beginning):
        raise ConfigError(f"--out {path}: exists and is no schema; choose another, or remove it")


def _written(answer: Values) -> None:
    text.line(f"Wrote {answer['schema']}")
    text.line("  First line of a configuration, for editors with the YAML language server:")
    text.line(f"  # yaml-language-server: $schema={Path(answer['schema']).name}")


def _explained(name: str) -> Answer:
    from lmcore.config_reference import below, find, keys

    if not name:
        top = [key for key in keys() if not key.section]
        return Answer(values={"keys": [_told(key) for key in keys()]}, text=_overview(top))
    key = find(name)
    inside = below(key)
    shown = [each for each in keys() if each is key or _is_below(each, key)]
    return Answer(
        values={"keys": [_told(each) for each in shown]},
        text=functools.partial(_section, key=key, inside=inside),
    )


def _is_below(key: Key, section: Key) -> bool:
    return key.section == section.name or key.section.startswith(f"{section.name}.")


def _told(key: Key) -> dict[str, Any]:
    return {
        "key": key.name,
        "type": key.kind,
        "bounds": key.bounds,
        "default": key.default,
        "required": key.default is None,
        "form": key.form,
        "description": key.description,
    }


def _overview(top: Sequence[Key]) -> Any:
    def show(answer: Values) -> None:
        width = max(len(key.name) for key in top)
        for key in top:
            mark = " ..." if key.is_section else ""
            _paragraph(f"{key.name + mark:<{width + 6}}{_first_sentence(key)}", width + 6)
        text.line()
        text.line(
            "  lmcore config --explain training                  a section (...): all its keys"
        )
        text.line("  lmcore config --explain training.budget_seconds   one key")

    return show


def _section(answer: Values, *, key: Key, inside: Sequence[Key]) -> None:
    text.title(key.name)
    _paragraph(f"  {key.description}", 2)
    if not inside:
        _facts(key)
        return
    if key.kind != "section":
        _paragraph(f"  {_in_one_line(key)}", 2)
    for each in inside:
        text.line()
        text.title(f"  {each.name}")
        _paragraph(f"      {each.description}", 6)
        if each.is_section:
            text.line(f"      lmcore config --explain {each.name}")
        else:
            _paragraph(f"      {_in_one_line(each)}", 6)


def _facts(key: Key) -> None:
    rows = {
        "type": key.kind,
        "bounds": key.bounds,
        "default": "none: it must be given" if key.default is None else key.default,
        "only in": _ONLY_IN.get(key.form, ""),
        "in a file": _in_a_file(key),
        "for a run": f"lmcore run --set {key.name}=VALUE",
    }
    text.line()
    for name, value in rows.items():
        if value:
            _paragraph(f"  {name:<11}{value}", 13)


def _in_a_file(key: Key) -> str:
    inner = "VALUE"
    for part in reversed(key.name.split(".")):
        inner = f"[{inner}]" if part.isdigit() else f"{{{part}: {inner}}}"
    return inner[1:-1]


def _in_one_line(key: Key) -> str:
    default = f"default {key.default}" if key.default else ""
    needed = "must be given" if key.default is None else default
    return "; ".join(part for part in (key.kind, key.bounds, needed) if part)


def _first_sentence(key: Key) -> str:
    return key.description.partition(". ")[0].rstrip(".") + "."


def _paragraph(words: str, indent: int) -> None:
    """Print text in lines as wide as the terminal, all but the first one indented."""
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 100))
    for line in textwrap.wrap(words, width, subsequent_indent=" " * indent, break_on_hyphens=False):
        text.line(line)
