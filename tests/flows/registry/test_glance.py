import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.home.environment import Home
from flows.registry.connection import connect
from flows.registry.glance import glance, glance_at
from flows.registry.models import Registry
from flows.registry.records import records_of


def state(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


def test_a_glance_sees_what_a_command_sees_and_leaves_no_trace(
    home: Home, register: Callable[..., Any], registry: Registry
) -> None:
    register()
    connect(home).create_registered_model("base-small", tags={"kind": "base"})
    before = state(home.root)
    (found,) = seen = glance({"LMCORE_HOME": str(home.root)}) or []
    assert (found.name, found.task, found.numbers) == ("speeches", "language_modelling", (1,))
    assert found.aliases == {"challenger": 1}
    assert state(home.root) == before
    assert glance_at(records_of(home)) == seen


def test_where_there_is_no_home_there_is_no_model(tmp_path: Path) -> None:
    assert glance({"LMCORE_HOME": str(tmp_path / "home")}) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", ["a server", "damaged", "another release", "busy", "no path"])
def test_what_cannot_be_told_at_once_is_left_open(
    home: Home, mlflow_template: Path, fault: str
) -> None:
    environ = {"LMCORE_HOME": str(home.root)}
    database = sqlite3.connect(home.mlflow_database)
    if fault == "a server":
        environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    elif fault == "damaged":
        home.mlflow_database.write_bytes(b"no database" * 1000)
    elif fault == "another release":
        with database:
            database.execute("UPDATE alembic_version SET version_num = 'later'")
    elif fault == "busy":
        database.execute("BEGIN EXCLUSIVE")
    else:
        environ["LMCORE_HOME"] = "x" * 300
    assert glance(environ) is None
    database.close()
    shutil.copy(mlflow_template, home.mlflow_database)
