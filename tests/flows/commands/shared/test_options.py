from pathlib import Path
from typing import Any

import click
import pytest

from flows.cli import cli
from flows.commands.shared import options


def parameters(name: str) -> dict[str, tuple[Any, ...]]:
    """What each command that takes an option says of it."""
    return {
        command: (p.help, p.metavar, p.required, p.default, p.multiple)
        for command in cli.commands
        for p in cli.commands[command].params
        if isinstance(p, click.Option) and name in p.opts
    }


@pytest.mark.parametrize("name", ["--version", "--reason", "--dry-run", "--set"])
def test_an_option_says_the_same_in_every_command(name: str) -> None:
    found = parameters(name)
    assert len(found) > 1
    assert len(set(found.values())) == 1, found


def given(option: Any, *arguments: str) -> dict[str, Any]:
    """The values that a command gets which takes this option."""
    seen: dict[str, Any] = {}
    click.command()(option(lambda **values: seen.update(values))).main(
        list(arguments), standalone_mode=False
    )
    return seen


def test_values_as_commands_get_them() -> None:
    assert given(options.model) == {"model": None}
    assert given(options.version) == {"version": "champion"}
    assert given(options.dry_run, "--dry-run") == {"dry_run": True}
    assert given(options.overrides, "--set", "a=1", "--set", "b=2") == {
        "overrides": ("a=1", "b=2"),
    }
    # Paths stay as they were typed, whether or not anything is there.
    assert given(options.config, "--config", "~/no/such.yaml") == {
        "config_file": Path("~/no/such.yaml"),
    }
    assert given(options.config) == {"config_file": None}
    assert given(options.configs, "--config", "a", "--config", "b") == {
        "config_files": (Path("a"), Path("b")),
    }


def test_what_stands_for_a_version_is_said_of_each_argument() -> None:
    def parameters(*names: str) -> list[click.Parameter]:
        made = click.Command("x", params=[click.Argument([n], type=options.VERSION) for n in names])
        return made.params

    assert options.version_sentence(parameters("version")) == (
        "VERSION is a number (3 or v3) or an alias (champion, previous, challenger)."
    )
    assert options.version_sentence(parameters("first", "second")).startswith(
        "FIRST and SECOND are each a number (3 or v3) or"
    )
    assert options.version_sentence([click.Argument(["file"]), click.Option(["--x"])]) == ""


def test_a_reason_must_be_given() -> None:
    with pytest.raises(click.MissingParameter, match="reason"):
        given(options.reason)
    assert given(options.reason, "--reason", "it swore") == {"reason": "it swore"}
