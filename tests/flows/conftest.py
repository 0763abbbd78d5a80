"""Shared by the tests of flows: MLflow without telemetry, and homes with a database at hand."""

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

for name in [name for name in os.environ if name.upper().startswith(("MLFLOW_", "PREFECT_"))]:
    del os.environ[name]
os.environ["DO_NOT_TRACK"] = "true"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["MLFLOW_UV_AUTO_DETECT"] = "false"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints when it is imported
    import mlflow.pyfunc  # noqa: F401

from flows.environment import Home, make_home
from flows.tracking import connect


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; creating one takes seconds, copying it none."""
    home = make_home(tmp_path_factory.mktemp("template"))
    connect(home)
    return home.mlflow_database


@pytest.fixture
def new_home(tmp_path: Path, mlflow_template: Path) -> Callable[[str], Home]:
    def make(name: str) -> Home:
        home = make_home(tmp_path / name)
        shutil.copy(mlflow_template, home.mlflow_database)
        return home

    return make


@pytest.fixture
def home(new_home: Callable[[str], Home]) -> Home:
    return new_home("home")
