"""The frame of every command, around commands that are made here."""

import json
import logging
import os
from typing import Any

import click
import pytest
from click.testing import CliRunner

from flows.commands.shared.command import Answer, command
from flows.home import environment
from flows.home.environment import make_home


@pytest.fixture(autouse=True)
def prepared(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(environment, "_prepared", make_home(tmp_path / "home"))
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def made(answer: Answer, *, meanwhile: Any = lambda: None) -> click.Command:
    @command("lmcore hear --loud", "lmcore hear --json")
    @click.option("--loud", is_flag=True, help="Louder.")
    def hear(loud: bool) -> Answer:
        """Hear something."""
        meanwhile()
        return answer

    return hear


WORDS = Answer(values={"word": "größer", "n": 3}, text=lambda v: click.echo(f"{v['word']}!"))


def test_the_same_answer_for_people_and_for_programs() -> None:
    assert CliRunner().invoke(made(WORDS), []).stdout == "größer!\n"
    shown = CliRunner().invoke(made(WORDS), ["--json"])
    assert shown.stdout == '{"word": "größer", "n": 3}\n'
    assert shown.exit_code == 0


def test_the_exit_code_comes_after_the_answer() -> None:
    refused = Answer(values={"n": 1}, text=lambda v: click.echo("no"), exit_code=3)
    for arguments, expected in (([], "no\n"), (["--json"], '{"n": 1}\n')):
        done = CliRunner().invoke(made(refused), arguments)
        assert (done.exit_code, done.stdout) == (3, expected)


def test_a_value_that_json_cannot_hold_is_no_answer() -> None:
    done = CliRunner().invoke(made(Answer(values={"n": float("nan")}, text=print)), ["--json"])
    assert isinstance(done.exception, ValueError)
    assert done.stdout == ""


def test_what_stays_begins_when_the_answer_was_given() -> None:
    order: list[str] = []
    answer = Answer(
        values={}, text=lambda v: order.append("answer"), stay=lambda: order.append("stay")
    )
    assert CliRunner().invoke(made(answer), []).exit_code == 0
    assert order == ["answer", "stay"]


def test_whatever_a_library_prints_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    def noisy() -> None:
        os.write(1, b"a progress bar")
        logging.getLogger("lmcore").info("a line of the log")
        logging.getLogger("httpx").info("a request")

    hear = made(WORDS, meanwhile=noisy)
    hear(["--json"], standalone_mode=False)
    out, err = capfd.readouterr()
    assert json.loads(out) == WORDS.values
    assert "a progress bar" in err
    assert "  a line of the log\n" in err
    assert "a request" not in err


def test_stdout_is_given_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        made(WORDS, meanwhile=broken)([], standalone_mode=False)
    os.write(1, b"free again")
    assert capfd.readouterr().out == "free again"


def test_help_has_the_first_line_every_option_and_the_examples() -> None:
    hear = made(WORDS)
    assert str(hear.help).splitlines()[0] == "Hear something."
    shown = CliRunner().invoke(hear, ["--help"]).stdout.splitlines()
    assert [line.split()[0] for line in shown if line.startswith("  --")] == [
        *("--loud", "--json", "--help"),
    ]
    assert shown[-2:] == ["    lmcore hear --loud", "    lmcore hear --json"]
