"""Commands in this process, on homes that are made once and copied for each test."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flows.cli import cli
from flows.home import environment
from flows.home.environment import Home, make_home
from flows.registry.models import Registry
from flows.registry.promotion import promote
from flows.registry.tracking import open_run
from flows.registry.versions import Version
from lmcore.evaluation.report import EvalReport
from lmcore.version_folder import VersionFolder

METRIC = {"value": 1.5, "lower": 1.25, "upper": 1.75, "unit": "bits/byte", "n": 9}


@dataclass(frozen=True)
class Shell:
    """The command line of a home; paths start in the folder of the test."""

    home: Home

    def run(self, *arguments: str, given: bytes = b"") -> Result:
        return CliRunner().invoke(cli, arguments, input=given)

    def answer(self, *arguments: str, code: int = 0, given: bytes = b"") -> Any:
        """The JSON object."""
        done = self.run(*arguments, "--json", given=given)
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout)

    def lines(self, *arguments: str, code: int = 0) -> list[str]:
        """What is shown to people."""
        done = self.run(*arguments)
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout.splitlines()

    def refusal(self, *arguments: str) -> Exception:
        """The error; `main` makes one sentence and an exit code of it."""
        done = self.run(*arguments)
        assert isinstance(done.exception, Exception), done.output
        assert done.stdout == ""
        return done.exception


@pytest.fixture
def shell_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Home], Shell]]:
    """The command line of any home."""

    def make(home: Home) -> Shell:
        here = replace(home, started_in=tmp_path)
        monkeypatch.setattr(environment, "_prepared", here)
        return Shell(here)

    # A command sends the log to its own stderr, which ends with it.
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield make
    root.handlers[:], root.level = before


@pytest.fixture
def empty_shell(home: Home, shell_of: Callable[[Home], Shell]) -> Shell:
    """Of a home where nothing has been registered yet."""
    return shell_of(home)


@pytest.fixture
def tuned_shell(empty_shell: Shell, register: Any, fine_tuned_in: Any, tmp_path: Path) -> Shell:
    """Of a home with two versions of `speeches` that were made from one pretrained model."""
    pytest.importorskip("transformers")
    from pretrained_models import make_base

    facts = {"license": "Apache-2.0", "origin": "a test", "known_until": "2024-12-31"}
    base = make_base(empty_shell.home.content, **facts)
    Registry(empty_shell.home).bases.register(base)
    for number in (1, 2):
        register(fine_tuned_in(tmp_path, base, f"v{number}", seed=number), run_key=f"k{number}")
    return empty_shell


@pytest.fixture(scope="session")
def two_versions(
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_template: Path,
    assemble_in: Callable[..., VersionFolder],
    register_in: Callable[..., Version],
) -> Home:
    """A champion that passed, and a version that did not."""
    root = tmp_path_factory.mktemp("two")
    home = make_home(root / "home")
    shutil.copy(mlflow_template, home.mlflow_database)
    registry = Registry(home)
    register_in(registry, assemble_in(root), metrics={"val_bits_per_byte": METRIC})
    refused = assemble_in(root, "refused", seed=1)
    register_in(registry, refused, run_key="other", passed=False, verdict="champion said FAIL")
    promote(registry, "speeches", 1, expected_champion=None, who="ada", reason="first")
    return home


@pytest.fixture
def shell(two_versions: Home, tmp_path: Path, shell_of: Callable[[Home], Shell]) -> Shell:
    """Of a home with a champion."""
    home = make_home(tmp_path / "home")
    shutil.copy(two_versions.mlflow_database, home.mlflow_database)
    for folder in ("mlflow/artifacts", "kept"):
        shutil.copytree(two_versions.root / folder, home.root / folder, dirs_exist_ok=True)
    return shell_of(home)


@pytest.fixture(scope="session")
def trained_home(
    made: Any,
    report_that: Callable[[str], EvalReport],
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_template: Path,
) -> Home:
    """A home in which the steps made the champion of 80 lines of text, and nothing else."""
    from flows.steps.promote_version import promote_version
    from flows.steps.register_version import register_version

    root = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(made.left, root)
    home = make_home(root)
    shutil.copy(mlflow_template, home.mlflow_database)
    run = replace(made.run, home=home)
    tracked = open_run(home, model=run.config.name, run_key=run.key.digest, name="run")
    candidate = made.candidate(report_that("PASS"), run=run)
    version = register_version(candidate, tracked=tracked, flow_run_id="flow-1")
    promote_version(run, version, judged_against=None)
    return home


@pytest.fixture(scope="session")
def champion(trained_home: Home) -> Version:
    return Registry(trained_home).version("lines", 1)


@pytest.fixture
def trained_shell(trained_home: Home, tmp_path: Path, shell_of: Callable[[Home], Shell]) -> Shell:
    """Of a copy of that home, files and all."""
    shutil.copytree(trained_home.root, tmp_path / "home")
    return shell_of(make_home(tmp_path / "home"))
