import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.home.environment import Home, make_home
from flows.home.relocation import relocate
from flows.registry.models import Registry
from flows.registry.tracking import open_run
from flows.registry.versions import Version
from lmcore.version_folder import VersionFolder

Register = Callable[..., Version]


@pytest.mark.parametrize("copied", [False, True])
def test_a_home_that_was_moved_or_copied_keeps_its_versions_to_itself(
    home: Home,
    registry: Registry,
    register: Register,
    register_in: Register,
    tmp_path: Path,
    version_folder: VersionFolder,
    load_with_mlflow: Callable[..., object],
    copied: bool,
) -> None:
    register()
    other = tmp_path / "another place"
    (shutil.copytree if copied else shutil.move)(home.root, other)
    moved = Registry(make_home(other))
    folder = moved.open(moved.version("speeches", 1))
    assert folder.path.is_relative_to(other)
    before = sorted(home.root.rglob("*"))
    second = register_in(moved, version_folder, run_key="b")
    assert moved.open(second).path.is_relative_to(other)
    assert sorted(home.root.rglob("*")) == before
    load_with_mlflow(moved.home, "models:/speeches/1")


def addresses(home: Home) -> list[str]:
    with contextlib.closing(sqlite3.connect(home.mlflow_database)) as database:
        rows = database.execute(
            "SELECT artifact_location FROM experiments UNION SELECT artifact_uri FROM runs"
        )
        # MLflow's default experiment of the template is nowhere in a home.
        return sorted(address for (address,) in rows if "/mlruns/" not in address)


def test_a_home_that_was_moved_in_the_middle_of_a_run_is_written_to_where_it_is(
    home: Home, tmp_path: Path
) -> None:
    """A run that was killed in training has no file yet by which it could be known."""
    before = open_run(home, model="speeches", run_key="key", name="run")
    other = tmp_path / "mlflow" / "artifacts" / "other"
    shutil.move(home.root, other)
    moved = make_home(other)
    run = open_run(moved, model="speeches", run_key="key", name="run")
    assert run.run_id == before.run_id
    run.log_text("<p>", "report.html")
    assert len(list(moved.mlflow_artifacts.rglob("report.html"))) == 1
    assert not home.root.exists()
    assert all(str(other) in address for address in addresses(moved))


def test_a_database_without_its_files_names_none_of_another_home(
    home: Home, tmp_path: Path
) -> None:
    run = open_run(home, model="speeches", run_key="key", name="run")
    run.log_text("<p>", "report.html")
    before = addresses(home)
    other = make_home(tmp_path / "other")
    shutil.copy(home.mlflow_database, other.mlflow_database)
    relocate(other.mlflow_database, other.mlflow_artifacts)
    moved = [address.replace(str(home.root), str(other.root)) for address in before]
    assert moved != before
    assert addresses(other) == sorted(moved)
    assert all(str(other.root) in address for address in moved)


def test_a_database_that_is_not_mlflows_is_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE experiments (artifact_location TEXT)")
        connection.execute("INSERT INTO experiments VALUES ('file:///old/mlflow/artifacts')")
        connection.commit()
    before = database.read_bytes()
    relocate(database, tmp_path)
    assert database.read_bytes() == before
