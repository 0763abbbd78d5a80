"""The command line: bad input is one sentence and exit code 2, help is quick, stdout is JSON."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click import Context, Option
from click._utils import UNSET
from lmcore_shell import Shell

from flows import commands
from flows.cli import COMMANDS, cli
from flows.commands.shared.options import VERSION, VERSION_WORDS
from flows.home.environment import Home, make_home

Done: TypeAlias = "subprocess.CompletedProcess[str]"


def lmcore(*arguments: str, cwd: Path, home: Path | None = None) -> Done:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
    environment |= {"LMCORE_HOME": str(home or cwd / "home"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def is_one_sentence(done: Done) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("lmcore: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "--config", "missing.yaml"), "missing.yaml: cannot be read"),
        (("run", "--set", "training.budget_seconds=-5"), "training.budget_seconds=-5"),
        (("run", "--set", "trainnig.seed=1"), "did you mean 'training'"),
        (("run", "--unknown"), "No such option"),
        (("init", "nowhere"), "no such file or folder"),
        (("generate",), "Missing option '--prompt'"),
        (("generate", "--prompt", "a", "--prompts-file", "b"), "not both"),
        (("generate", "--prompt", "a", "--top-k", "many"), "'many' is not a valid integer"),
        (("promote", "1"), "Missing option '--reason'"),
        (("frobnicate",), "No such command"),
        (("promte",), "Did you mean"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    done = lmcore(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert expected in is_one_sentence(done)
    assert done.stdout == ""


ODD = {
    "home": "sources: [{path: '~nosuchuser/x'}]",
    "long": f"sources: [{{path: {'x' * 300}}}]",
    "translation": f"sources: [{{path: a, format: parallel, target_path: {'x' * 300}}}]",
    "data set": f"sources: [{{dataset: {'x' * 300}}}]",
    "pretrained": f"sources: [{{path: a}}]\nmodel: {{pretrained: {'x' * 300}}}",
    "names": "sources: [{path: a}]\ndata: {names: '~nosuchuser'}",
    "gates": 'sources: [{path: a}]\ngates: "x\\0.yaml"',
    "probes": f"sources: [{{path: a}}]\ngates: {{evaluation: {{probes: {{weat: {'x' * 300}}}}}}}",
    "half a character": 'sources: [{path: a, origin: "\\ud800"}]',
    "no number": 'sources: [{path: a}]\ntraining: {seed: !!int ""}',
    "digits": "sources: [{path: a}]\ntraining: {seed: " + "1" * 5000 + "}",
    "deep": "sources: " + "[" * 5000,
    "no class": "sources: [{path: ., files: '[z-a]*'}]",
    "colours": 'sources: [{path: "\\e[31m\\x9b"}]',
}
ODD_ARGUMENTS = [
    ("run", "--set", "data.as_of=2021-13-45", "--dry-run"),
    ("run", "--set", "data.as_of=" + "[" * 5000),
    ("run", "--set", "training.seed=" + "1" * 5000),
    ("run", "--set", "sources." + "9" * 5000 + ".path=x"),
    ("run", "--set", "sources.\u00b2.path=x"),
    ("run", "--set", "sources.0.path=~nosuchuser/x"),
    ("run", "--set", 'sources.0.origin="\\ud800"'),
    ("run", "--config", "~nosuchuser/x"),
    ("run", "--config", "x" * 300),
    ("run", "--config", "a\x1b[31mb\x9b.yaml"),
    ("run", "--config", "/dev/zero"),
    ("init", ".", "--out", "/proc/x.yaml"),
    ("init", ".", "--out", "x" * 300),
    ("init", "x" * 300),
    ("init", "~nosuchuser/x"),
    ("init", ".", "--out", "1.txt/x.yaml"),
    ("generate", "--prompts-file", "/dev/zero"),
    ("generate", "--prompt", "a", "--temperature", "1e-320"),
    ("generate", "--prompt", "a", "--max-tokens", "9" * 5000),
    ("score", "x" * 300),
    ("seen", "x" * 300),
    ("seen", "~nosuchuser/x"),
    ("show", "9" * 30),
    ("controls", "--gate", "\x1b[31m"),
    ("\x1b[31m",),
]


def test_odd_input_is_one_printable_sentence(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number}.txt").write_text(f"Text {number} of a few words. " * 20)
    commands = [*ODD_ARGUMENTS]
    for name, text in ODD.items():
        (tmp_path / f"{name}.yaml").write_text(f"name: m\n{text}\n")
        commands.append(("run", "--config", f"{name}.yaml", "--dry-run"))
    shell = Shell(tmp_path)
    for command, done in zip(commands, shell.session(commands), strict=True):
        assert done.code == 2, (command, done)
        (sentence,) = (line for line in done.err.splitlines() if line.startswith("lmcore: "))
        assert "Traceback" not in done.err
        assert sentence.isprintable(), command
        assert len(sentence) < 2100
        assert done.out == ""
    assert not list(tmp_path.glob("*.yaml.*"))


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_has_gone_away_is_no_traceback(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "run", "--set", "trainnig.seed=1", *options],
        cwd=tmp_path,
        env={**os.environ, "LMCORE_HOME": str(tmp_path / "home")},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "did you mean 'training'" in done.stderr


def test_an_error_is_json_too(tmp_path: Path) -> None:
    done = lmcore("run", "--config", "missing.yaml", "--json", cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert answer["exit_code"] == done.returncode == 2
    assert "missing.yaml" in answer["error"]


def test_the_table_of_commands_says_what_each_says_of_itself() -> None:
    listed = {name: line for lines in COMMANDS.values() for name, line in lines.items()}
    folder = Path(commands.__path__[0])
    assert set(listed) == {p.stem for p in folder.glob("*.py")} - {"__init__"}
    for name, line in listed.items():
        assert str(cli.commands[name].help).splitlines()[0] == line
    assert [*cli.commands] == [*listed]
    assert cli.get_command(Context(cli), "frobnicate") is None


@pytest.mark.parametrize("name", [*cli.commands])
def test_the_examples_of_a_command_parse(name: str) -> None:
    found = cli.commands[name]
    examples = [line for line in str(found.epilog).splitlines() if f" lmcore {name}" in line]
    assert examples
    for example in examples:
        typed = example.partition(f"lmcore {name}")[2].partition(" < ")[0]
        found.make_context(name, shlex.split(typed))


@pytest.mark.parametrize("name", [*cli.commands])
def test_every_command_explains_all_that_it_takes(name: str) -> None:
    found = cli.commands[name]
    settings = {**cli.context_settings, "terminal_width": 10_000, "max_content_width": 10_000}
    parent = Context(cli, info_name="lmcore", **settings)
    shown = found.get_help(Context(found, parent=parent, info_name=name))
    for parameter in found.params:
        if isinstance(parameter, Option):
            assert len(str(parameter.help).split()) > 1, parameter.opts
            assert str(parameter.help).endswith("."), parameter.opts
            if not parameter.is_flag and parameter.default not in (None, UNSET):
                assert f"[default: {parameter.default}" in shown, parameter.opts
        elif parameter.type is VERSION:
            assert VERSION_WORDS in shown
    # A version is explained in the same words wherever one is given.
    assert ("VERSION" in shown) <= (VERSION_WORDS in shown or "lineage VERSION" in shown)


def test_help_lists_every_command_under_what_people_do(tmp_path: Path) -> None:
    shown = lmcore("--help", cwd=tmp_path).stdout
    for title, lines in COMMANDS.items():
        assert f"\n{title}:\n" in shown
        assert all(re.search(rf"^  {name} +\S", shown, re.MULTILINE) for name in lines)
    assert "\n    lmcore run " in shown


def test_without_a_command_it_greets_and_does_nothing(tmp_path: Path) -> None:
    done = lmcore(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    what, _, *commands = done.stdout.splitlines()
    assert "language models" in what
    assert [re.split("  +", line.strip())[0] for line in commands] == [
        *("lmcore run", "lmcore init FOLDER", "lmcore --help"),
    ]
    assert not list(tmp_path.iterdir())
    script = "from flows.cli import cli; cli([], standalone_mode=False)"
    assert not imported(tmp_path, script) & HEAVY


def test_it_greets_with_what_is_there(tmp_path: Path, mlflow_template: Path) -> None:
    shell = Shell(tmp_path)
    shutil.copy(mlflow_template, make_home(shell.home).mlflow_database)
    database = sqlite3.connect(shell.home / "mlflow" / "mlflow.db")
    with database:
        for name in ("tales", "reviews"):
            row = "INSERT INTO registered_models (name, workspace) VALUES (?, 'default')"
            database.execute(row, (name,))
        alias = "INSERT INTO registered_model_aliases (alias, version, name, workspace) VALUES"
        database.execute(f"{alias} ('champion', 1, 'tales', 'default')")
    database.close()
    before = {path: path.stat().st_mtime_ns for path in shell.home.rglob("*")}
    assert [line.split("   ")[0] for line in shell.command().out.splitlines()[2:]] == [
        "  lmcore status",
        '  lmcore generate --model tales --prompt "..."',
        "  lmcore report --model tales",
        "  lmcore --help",
    ]
    assert {path: path.stat().st_mtime_ns for path in shell.home.rglob("*")} == before


def imported(cwd: Path, script: str) -> set[str]:
    """What a script imported, of modules that take long and of commands."""
    wanted = "sorted(m for m in sys.modules if m in heavy or m.startswith('flows.commands.'))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; heavy = {HEAVY!r}\n{script}\nprint(*{wanted})"],
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
    )
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"torch", "prefect", "mlflow", "numpy", "pandas", "pydantic", "rich", "yaml", "asyncio"}
ASK = """
from flows.cli import cli
for command in {commands!r}:
    try: cli([*command, '--help'], prog_name='lmcore')
    except SystemExit as stop: assert not stop.code
"""


def test_help_imports_no_command_and_that_of_a_command_nothing_heavy(tmp_path: Path) -> None:
    assert imported(tmp_path, ASK.format(commands=[[]])) == set()
    one = imported(tmp_path, ASK.format(commands=[["promote"]]))
    assert {m for m in one if "shared" not in m} == {"flows.commands.promote"}
    assert not imported(tmp_path, ASK.format(commands=[[name] for name in cli.commands])) & HEAVY


def test_garbage_is_not_looked_for_at_every_import(tmp_path: Path) -> None:
    script = """
import gc, sys
from flows.cli import answer
sys.argv = ["lmcore", "--version"]
answer()
print(gc.isenabled(), gc.get_threshold()[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    enabled, threshold = done.stdout.splitlines()[-1].split()
    assert enabled == "True"
    assert int(threshold) >= 10_000


def completed(cwd: Path, words: str, home: Path | None = None) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "flows.cli"],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")},
            "LMCORE_HOME": str(home or cwd / "home"),
            "_LMCORE_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & HEAVY
    if len(words.split(" ")) == 2:
        assert not any(module.startswith("flows.commands") for module in loaded)
    assert [line for line in done.stderr.splitlines() if not line.startswith("import time:")] == []
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_a_shell_completes_what_is_registered(
    tmp_path: Path, home: Home, register: Callable[..., Any]
) -> None:
    for number in (1, 2):
        register(run_key=f"key {number}", tags={"task": "sentiment"})
    before = {path: path.stat().st_mtime_ns for path in home.root.rglob("*")}
    for words, expected in {
        "lmcore show ": ["challenger", "2", "1"],
        "lmcore compare 1 c": ["challenger"],
        "lmcore report --model speeches ": ["challenger", "2", "1"],
        "lmcore show --model other ": [],
        "lmcore generate --version ": ["challenger", "2", "1"],
        "lmcore status --model s": ["speeches"],
        "lmcore serve --alias ch": ["challenger"],
        "lmcore export 1 --format o": ["onnx"],
    }.items():
        assert completed(tmp_path, words, home.root) == expected, words
    assert {path: path.stat().st_mtime_ns for path in home.root.rglob("*")} == before
    assert completed(tmp_path, "lmcore show ", tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_a_shell_completes_paths_by_itself(tmp_path: Path) -> None:
    for words in ("lmcore seen a", "lmcore run --config a", "lmcore report --out a"):
        assert completed(tmp_path, words) == ["a"], words  # of type `file`


def test_a_shell_completes_names_and_options(tmp_path: Path) -> None:
    assert completed(tmp_path, "lmcore pro") == ["promote"]
    assert completed(tmp_path, "lmcore s") == ["sweep", "status", "show", "score", "serve", "seen"]
    assert len(completed(tmp_path, "lmcore ")) == len(cli.commands)
    assert completed(tmp_path, "lmcore promote --o") == ["--override"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_home(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    done = lmcore("status", cwd=tmp_path, home=closed / "home")
    assert done.returncode == 2
    assert "cannot write" in is_one_sentence(done)


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = lmcore("status", cwd=tmp_path, home=tmp_path / "file" / "home")
    assert done.returncode == 2
    assert "cannot write" in is_one_sentence(done)


# Each command in a process of its own, which has what this one has imported already.
_EACH = """
import importlib, json, os, sys
from flows.cli import main
import flows.commands.shared.models, flows.home.configurations
# What doctor tries takes long, and is no matter of where.
importlib.import_module("flows.commands.doctor")._checks = lambda home: []
for line in sys.stdin:
    sys.argv = ["lmcore", *json.loads(line)]
    if not os.fork():
        main()
    print(json.dumps(os.waitstatus_to_exitcode(os.wait()[1])), flush=True)
"""
ASKING = [
    *(("status",), ("history",), ("prune", "--keep", "1"), ("doctor",), ("seen", "a.txt")),
    ("forget", "a.txt", "--reason", "x", "--dry-run"),
]
#: What they ask about is not there.
REFUSED = [
    *(("versions",), ("show", "1"), ("compare", "1", "2"), ("dashboard",), ("report",)),
    *(("promote", "1", "--reason", "x"), ("rollback", "--reason", "x"), ("lineage", "1")),
    ("predict", "x"),
]
#: The others write something into a home, or wait for what is written there.
MAKE_A_HOME = {"controls", "deploy", "forget", "run", "serve", "sweep", "timeline", "up"}


def test_whatever_only_looks_says_that_it_makes_no_home() -> None:
    folder = Path(commands.__path__[0])
    looking = {p.stem for p in folder.glob("*.py") if "makes_home=False" in p.read_text()}
    assert {*cli.commands} - looking == MAKE_A_HOME
    assert {words[0] for words in (*ASKING, *REFUSED)} <= looking | {"forget"}


def test_where_there_is_no_home_nothing_that_only_looks_makes_one(tmp_path: Path) -> None:
    folder, temporary = tmp_path / "folder", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    (folder / "a.txt").write_text("Some words of a text. " * 60)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
    kept.pop("LMCORE_HOME", None)
    asked = [*ASKING, *REFUSED]
    done = subprocess.run(
        [sys.executable, "-u", "-c", _EACH],
        cwd=folder,
        env={**kept, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
        input="".join(f"{json.dumps([*words, '--json'])}\n" for words in asked),
        capture_output=True,
        text=True,
        check=True,
    )
    *pairs, _ = re.split(r"(?<=[}])\n(\d)\n", done.stdout)
    for words, answer, code in zip(asked, pairs[::2], pairs[1::2], strict=True):
        assert int(code) == (2 if words in REFUSED else 0), (words, answer)
        if words in REFUSED:
            error = json.loads(answer)["error"]
            assert "no model is registered" in error or "is registered yet" in error, error
            assert str(temporary) not in error
    status, history, _, doctor, *_ = map(json.loads, pairs[::2])
    assert (status, history) == ({"models": [], "running": []}, {"events": []})
    assert doctor["next_steps"][0]["do"] == "lmcore run"
    assert {path.name for path in folder.iterdir()} == {"a.txt"}
    assert not list(temporary.iterdir())


def test_status_without_a_home_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (line,) = lmcore("status", cwd=tmp_path).stdout.splitlines()
    assert line.startswith(f"There is no home in {tmp_path / 'home'} yet: `lmcore run` makes one")
    assert not (tmp_path / "home").exists()
