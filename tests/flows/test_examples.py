"""What README and docs tell a reader to type: commands, Python and settings, as they are printed.

Each command runs in a folder whose home holds a champion named as in the examples, or stands in
`NOT_RUN` with the reason.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from lmcore_shell import Shell

from flows.cli import cli
from flows.home.environment import make_home
from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.config import RunConfig

pytestmark = [pytest.mark.slow, pytest.mark.integration]

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "mlflow/README.md")),
    # The tutorial is one walk: test_tutorial.py does it in order.
    *(path for path in sorted((ROOT / "docs").glob("*.md")) if path.stem != "tutorial"),
]

_TRAINS = "trains; flows/test_pipeline.py runs the flow"
_SERVES = "serves until Ctrl-C; flows/servers/test_up.py starts and ends it"
_DOCKER = "needs Docker; flows/test_server_tier.py has the same services without it"
_TIER = "needs the server tier; flows/test_server_tier.py has it"
#: Beginnings of the commands that are not run, and why.
NOT_RUN = {
    "make run": _TRAINS,
    "make test": "is what runs this",
    "make check": "is run beside the tests",
    "make bench": "takes hours",
    "make up": f"{_SERVES}; up-servers needs Docker",
    "lmcore up": _SERVES,
    "lmcore serve": "serves until Ctrl-C; flows/serving/test_serve.py starts and ends it",
    "lmcore run": _TRAINS,
    "lmcore timeline": "takes minutes; flows/test_timeline.py walks a smaller one",
    "lmcore predict --model tone": "needs a classifier; flows/test_tasks.py trains and asks it",
    "lmcore predict --model reviews": "needs a classifier; flows/commands/test_predict.py reads so",
    "lmcore promote 7": "names a version of the reader's; flows/registry/test_promotion.py",
    "lmcore init path/to/texts --pretrained": "needs a model; flows/test_pretrained.py begins so",
    "lmcore deploy": "needs a server with a pool; flows/servers/test_deploy.py has one",
    "pip install": "installs",
    "python -m lmcore.training": "needs another host; lmcore/training/test_hosts.py has two",
    "sbatch ": "needs Slurm; tests/test_hosts.py calls the script",
    "srun ": "needs Slurm; lmcore/training/test_hosts.py sets what it sets",
    "torchrun ": "needs another host; lmcore/training/test_hosts.py has two",
    "prefect w": "needs a server with a pool; flows/servers/test_deploy.py has one",
    "ssh ": "needs another machine",
    "chgrp ": "needs a group of the reader's; flows/home/test_access.py lets one in",
    "find HOME": "goes with chgrp",
    "cat secrets": _TIER,
    'eval "$(scripts/server_env)"': _TIER,
    "docker ": _DOCKER,
    "kubectl ": "needs a cluster",
    ".venv/bin/mlflow models serve": "serves; flows/registry/test_version_files.py asks it",
    "curl ": "asks a server; flows/serving and flows/registry/test_version_files.py do",
}


@dataclass(frozen=True)
class Block:
    page: Path
    language: str
    text: str

    @property
    def commands(self) -> Iterator[str]:
        """What stands behind a prompt, or all of a script, without remarks and line breaks."""
        lines = self.text.replace("\\\n", " ").splitlines()
        for line in lines:
            if self.language == "console" and not line.startswith("$ "):
                continue
            command = re.sub(r"\s+#( .*)?$", "", line.removeprefix("$ ")).strip()
            if command and not command.startswith("#"):
                yield command


def blocks() -> list[Block]:
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return [
        Block(page, *found) for page in PAGES for found in fence.findall(page.read_text("utf-8"))
    ]


COMMANDS = [
    command
    for block in blocks()
    if block.language in ("console", "sh", "bash")
    for command in block.commands
]


def bare(command: str) -> str:
    """A command without variables before it; ours without the folder that it is installed in."""
    command = re.sub(r"^(?:[A-Z_]+=\S+\s+)+", "", command)
    return command.removeprefix(".venv/bin/") if ".venv/bin/lmcore" in command else command


def reason(command: str) -> str | None:
    return next((NOT_RUN[begin] for begin in NOT_RUN if bare(command).startswith(begin)), None)


def options_of(command: str) -> tuple[str, set[str]]:
    """Name and options of an `lmcore` command that may hold placeholders."""
    return command.split()[1], set(re.findall(r"--[a-z][a-z-]*", command))


@pytest.fixture(scope="module")
def shell(
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_template: Path,
    made: Any,
    champion: Version,
    register_in: Callable[..., Version],
) -> Shell:
    """A reader's folder: `.lmcore` with a champion, `.venv`, and text of their own."""
    folder = tmp_path_factory.mktemp("reader")
    home = make_home(folder / ".lmcore")
    shutil.copy(mlflow_template, home.mlflow_database)
    registry = Registry(home)
    version = Registry(made.run.home).open(champion)
    register_in(registry, version, name="annual-messages")
    registry.set_alias("annual-messages", "champion", 1)
    (folder / ".venv").symlink_to(sys.prefix)
    texts = folder / "path" / "to" / "texts"
    texts.mkdir(parents=True)
    for number in range(3):
        (texts / f"{number}.txt").write_text(f"It was the year {1800 + number}. " * 40)
    return Shell(folder, {"LMCORE_HOME": str(folder / ".lmcore")})


def test_every_block_says_what_it_is() -> None:
    kinds = {block.language for block in blocks()}
    assert kinds <= {"", "console", "sh", "bash", "python", "yaml", "json"}
    # A command that is only indented would be found by nobody.
    for page in PAGES:
        indented = re.findall(r"(?m)^(?: {4,}|\t)\$ .*", page.read_text("utf-8"))
        assert indented == [], page


def test_what_is_not_run_is_there_and_has_a_reason() -> None:
    stale = [begin for begin in NOT_RUN if not any(bare(c).startswith(begin) for c in COMMANDS)]
    assert stale == []
    for why in NOT_RUN.values():
        for name in re.findall(r"flows/[\w/]+\.py", why):
            assert (ROOT / "tests" / name).exists(), name
    assert [command for command in COMMANDS if not reason(command)]


def test_commands_answer_as_they_are_printed(shell: Shell) -> None:
    # What several pages tell to type is typed once.
    given = dict.fromkeys(bare(command) for command in COMMANDS if not reason(command))
    own = [shlex.split(command)[1:] for command in given if command.startswith("lmcore ")]
    assert own
    for words, done in zip(own, shell.session(own), strict=True):
        assert done.code == 0, (words, done.err[-2000:])
        assert done.out or (shell.folder / "my.yaml").exists(), words


@pytest.mark.parametrize(
    "command",
    [c for c in COMMANDS if not reason(c) and not bare(c).startswith("lmcore ")],
)
def test_other_commands_run_in_a_shell(command: str, shell: Shell) -> None:
    path = f"{Path(sys.executable).parent}:{shell.environment['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=shell.folder,
        env={**shell.environment, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    if "generate-dockerfile" in command:
        # What `COPY` takes into the image lies there, the wheel of our code with it.
        (copied,) = re.findall(
            r"^COPY (\S+)", (shell.folder / "image/Dockerfile").read_text(), re.M
        )
        assert list((shell.folder / "image" / copied / "wheels").glob("lmcore-*.whl"))


def test_python_runs_as_it_is_printed(shell: Shell) -> None:
    scripts = [block for block in blocks() if block.language == "python"]
    assert scripts
    for block in scripts:
        done = shell.python("-c", block.text, MLFLOW_DISABLE_TELEMETRY="true")
        assert done.code == 0, (block.page, done.err[-2000:])


def test_settings_and_answers_can_be_read() -> None:
    for block in blocks():
        if block.language == "json":
            json.loads(block.text)
        if block.language == "yaml":
            values: Any = yaml.safe_load(block.text)
            sections = {"sources"} if isinstance(values, list) else set(values)
            assert sections <= {*RunConfig.model_fields, "preset"}, (block.page, block.text)


#: Commands of a page of answers that the reader's folder can ask, with what they are asked.
ASKED = {
    "config": ["--set", "training.seed=1"],
    "status": [],
    "versions": [],
    "history": [],
    "show": ["1"],
    "report": ["--no-open"],
    "dashboard": [],
    "generate": ["--prompt", "It", "--seed", "1", "--max-tokens", "3"],
    "score": ["path/to/texts/0.txt"],
    "export": ["1", "--out", "asked"],
    "init": ["path/to/texts", "--out", "another.yaml"],
    "prune": ["--keep", "1", "--dry-run"],
}


def keys_of(shape: str) -> tuple[set[str], bool]:
    """Keys of an object itself, not of those in it; whether others may stand beside them."""
    flat = shape.strip()[1:-1]
    while (shorter := re.sub(r"[{\[][^{}\[\]]*[}\]]", "_", flat)) != flat:
        flat = shorter
    return set(re.findall(r'"(\w+)":', flat)), flat.endswith("...")


def test_answers_have_the_keys_that_are_written(shell: Shell) -> None:
    page = (ROOT / "docs" / "answers.md").read_text("utf-8")
    shapes = dict(re.findall(r"(?m)^    (\w+) +(\{(?:.*\n {16})*.*\})$", page))
    assert set(ASKED) <= set(shapes)
    asked = [[name, *arguments, "--json"] for name, arguments in ASKED.items()]
    *answered, refused = shell.session([*asked, ["show", "9", "--json"]])
    answers = {}
    for (name, *_), done in zip(asked, answered, strict=True):
        assert done.code == 0, (name, done.err[-2000:])
        answers[name] = done.answer
        written, more = keys_of(shapes[name])
        assert written <= set(done.answer), name
        assert more or written == set(done.answer), name
    (state,) = answers["status"]["models"]
    assert all(f'"{key}":' in shapes["status"] for key in state)
    assert refused.code == 2
    assert set(refused.answer) == keys_of(shapes["error"])[0]


def test_what_prose_and_tables_name_exists() -> None:
    """Commands with placeholders in the running text: their names and options."""
    # A listing has a blank between its words; more are the columns of a drawing.
    named = re.compile(r"`(lmcore [^`\n]+)`|(?m:^ {4,}(lmcore \S.+)$)")
    for page in PAGES:
        for spans in named.findall(page.read_text("utf-8")):
            span = "".join(spans)
            name, options = options_of(span)
            if not re.fullmatch(r"[a-z]+", name):
                assert name in ("COMMAND", "--help"), (page, span)
                continue
            known = {option for p in cli.commands[name].params for option in p.opts}
            assert options - known - {"--help"} == set(), (page, span)
