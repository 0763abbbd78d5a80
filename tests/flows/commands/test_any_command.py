"""Whatever is typed, a command answers or says one printable sentence, with a code of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from odd_inputs import fuzz, odd_commands

from flows.cli import cli
from flows.commands.shared.failures import report

# What takes seconds with good arguments, or never ends, is left out: others have its options.
FORMS: dict[str, tuple[str, ...]] = {
    "compare": ("VERSION", "VERSION", "--model="),
    "config": ("--config=", "--set=", "--explain=", "--schema"),
    "dashboard": ("--out=", "--model="),
    "export": ("VERSION", "--out=", "--format=", "--model="),
    "forget": ("DOCUMENT", "--reason=", "--model="),
    "generate": ("--prompt=", "--seed=", "--temperature=", "--top-p=", "--version=", "--stop="),
    "history": ("--model=",),
    "init": ("PLACE", "--out=", "--license=", "--name=", "--text-field=", "--pretrained="),
    "lineage": ("VERSION", "--documents=", "--model="),
    "predict": ("TEXT", "--file=", "--model=", "--version="),
    "promote": ("VERSION", "--reason=", "--override", "--model="),
    "prune": ("--keep=",),
    "run": ("--config=", "--set="),
    "score": ("FILE", "--version=", "--model="),
    "report": ("VERSION", "--out=", "--model="),
    "seen": ("DOCUMENT", "--model="),
    "show": ("VERSION", "--model="),
    "status": ("--model=",),
    "versions": ("--model=",),
}
ALWAYS = {
    "generate": ("--max-tokens", "2"),
    "prune": ("--dry-run",),  # files are shared with other tests
    "run": ("--dry-run",),
}


def test_the_options_are_there() -> None:
    for name, forms in FORMS.items():
        known = {option for parameter in cli.commands[name].params for option in parameter.opts}
        assert {form.removesuffix("=") for form in forms if form.startswith("-")} <= known


@fuzz(35)
@given(words=odd_commands(FORMS))
def test_any_command_line_is_answered(
    shell: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    (tmp_path / "texts").mkdir(exist_ok=True)
    (tmp_path / "texts" / "a.txt").write_text("Some words of a text. " * 60)
    done = shell.run(*words, *ALWAYS.get(words[0], ()), "--json")
    error, code, out = done.exception, done.exit_code, done.stdout
    if isinstance(error, Exception):
        capsys.readouterr()
        code = report(error, as_json=True)
        out, err = capsys.readouterr()
        assert "Traceback" not in err, words
        assert err.removesuffix("\n").isprintable(), words
    assert code in (0, 2, 3), (words, done.output, error)
    assert Path("/dev/zero").is_char_device(), words
    if out:
        assert out.removesuffix("\n").isprintable(), words
        assert isinstance(json.loads(out), dict)
