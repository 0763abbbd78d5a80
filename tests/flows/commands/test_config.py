"""`lmcore config`: what a run would take, what a key does, and what an editor is told."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.shell_completion import ShellComplete
from jsonschema import Draft202012Validator

from flows.cli import cli
from lmcore.config_file import load_config
from lmcore.config_reference import keys
from lmcore.errors import UserError

ROOT = Path(__file__).parents[3]
OWN = "name: own\nsources: [{path: texts}]\npreset: cpu-hour\ngates: {pii: {min_precision: 0.9}}\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    return path


def test_what_a_configuration_comes_to_is_one_again(
    empty_shell: Any, own: Path, tmp_path: Path
) -> None:
    asked = ("config", "--config", "own.yaml", "--set", "training.seed=7")
    shown = "\n".join(empty_shell.lines(*asked))
    (tmp_path / "resolved.yaml").write_text(shown)
    resolved = load_config(tmp_path / "resolved.yaml")
    assert resolved == load_config(own, overrides=["training.seed=7"])
    answer = empty_shell.answer(*asked)
    assert answer["config"] == yaml.safe_load(shown)
    assert answer["fingerprint"] == resolved.fingerprint()
    assert answer["config"]["training"]["budget_seconds"] == 3600  # of the preset
    assert answer["config"]["gates"]["pii"]["min_precision"] == 0.9
    assert answer["config"]["sources"][0]["path"] == str(tmp_path / "texts")


def test_a_key_says_all_that_there_is_to_know(empty_shell: Any) -> None:
    shown = "\n".join(empty_shell.lines("config", "--explain", "model.rank"))
    for words in ("model.rank", "matrices of lora", "whole number", "at most 1,024", "16"):
        assert words in shown
    assert "a model that exists" in shown
    assert "--set model.rank=VALUE" in shown
    (told,) = empty_shell.answer("config", "--explain", "name")["keys"]
    assert told["required"]
    assert told["default"] is None
    assert "must be given" in "\n".join(empty_shell.lines("config", "--explain", "name"))


def test_where_a_key_stands_in_a_file_is_where_it_is_read(empty_shell: Any) -> None:
    for key in keys():
        if key.is_section or key.name == "preset":
            continue
        lines = empty_shell.lines("config", "--explain", key.name)
        (shown,) = [line for line in lines if line.startswith("  in a file")]
        found: Any = yaml.safe_load(shown.removeprefix("  in a file"))
        for part in key.name.split("."):
            found = found[int(part) if part.isdigit() else part]
        assert found == "VALUE"


def test_a_section_shows_its_keys_and_nothing_shows_the_sections(empty_shell: Any) -> None:
    shown = empty_shell.lines("config", "--explain", "schedule")
    assert {"  schedule.cron", "  schedule.timezone"} <= set(shown)
    gates = empty_shell.answer("config", "--explain", "gates")["keys"]
    assert {"gates", "gates.pii", "gates.pii.min_precision"} <= {key["key"] for key in gates}
    overview = empty_shell.lines("config", "--explain")
    top = [key.name for key in keys() if not key.section]
    assert [line.split()[0] for line in overview if line[:1].strip()] == top
    assert len(empty_shell.answer("config", "--explain")["keys"]) == len(keys())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--explain", "training.buget_seconds"), "did you mean training.budget_seconds?"),
        (("--explain", "name", "--schema"), "expected one of them"),
        (("--explain", "name", "--config", "a.yaml"), "expected one of them"),
        (("--out", "a.json"), "expected with --schema only"),
        (("--schema", "--out", "own.yaml"), "is no schema; choose another"),
        (("--schema", "--out", "."), "cannot be written"),
        (("--schema", "--out", "nowhere/a.json"), "no such folder"),
        (("--config", "missing.yaml"), "cannot be read"),
        (("--set", "trainnig.seed=1"), "did you mean 'training'"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    empty_shell: Any, own: Path, words: tuple[str, ...], sentence: str
) -> None:
    error = empty_shell.refusal("config", *words)
    assert isinstance(error, UserError)
    assert sentence in str(error)
    assert own.read_text() == OWN


def test_the_schema_is_for_editors_and_checkers_of_others(
    empty_shell: Any, own: Path, tmp_path: Path
) -> None:
    schema = empty_shell.answer("config", "--schema")
    assert json.loads("\n".join(empty_shell.lines("config", "--schema"))) == schema
    Draft202012Validator.check_schema(schema)
    written = empty_shell.answer("config", "--schema", "--out", "lmcore.schema.json")["schema"]
    assert json.loads(Path(written).read_text("utf-8")) == schema
    assert empty_shell.lines("config", "--schema", "--out", "lmcore.schema.json")  # again
    for number in range(60):
        (tmp_path / "texts").mkdir(exist_ok=True)
        (tmp_path / "texts" / f"{number}.txt").write_text(f"Text {number} of some words. " * 9)
    empty_shell.answer("init", "texts", "--out", "made.yaml")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(OWN.replace("preset", "presett"))
    shipped = sorted(
        path
        for path in (ROOT / "configs").glob("*.yaml")
        if path.stem not in ("gates", "monitor", "presets")
    )
    for paths, code in (([*shipped, own, tmp_path / "made.yaml"], 0), ([wrong], 1)):
        done = subprocess.run(
            [sys.executable, "-m", "check_jsonschema", "--schemafile", written, *map(str, paths)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout
    assert "presett" in done.stdout


def test_explaining_imports_nothing_heavy_and_makes_no_home(tmp_path: Path) -> None:
    code = (
        "import sys; from flows.cli import answer; answer();"
        " print([name for name in ('mlflow', 'prefect', 'torch', 'numpy', 'pandas')"
        " if name in sys.modules], file=sys.stderr)"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
    for words in (("--explain", "training"), ("--schema",)):
        done = subprocess.run(
            [sys.executable, "-c", code, "config", *words],
            cwd=tmp_path,
            env={**kept, "LMCORE_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "budget_seconds" in done.stdout
        assert done.stderr.splitlines()[-1] == "[]"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "begun", "completed"),
    [
        (["config", "--explain"], "training.bu", ["training.budget_seconds"]),
        (["config", "--explain"], "tok", ["tokenizer", "tokenizer.kind", "tokenizer.vocab_size"]),
        (["run", "--set"], "training.bu", ["training.budget_seconds="]),
        (["config", "--explain"], "nothing", []),
    ],
)
def test_a_shell_completes_keys(words: list[str], begun: str, completed: list[str]) -> None:
    shell = ShellComplete(cli, {}, "lmcore", "_LMCORE_COMPLETE")
    assert [item.value for item in shell.get_completions(words, begun)] == completed
