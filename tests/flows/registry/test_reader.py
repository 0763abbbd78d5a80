"""What a server reads of the registry, without MLflow."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from flows.home.environment import Home, make_home
from flows.home.publication import exclusive_use
from flows.registry.models import Registry
from flows.registry.reader import HomeReader, registry_stamp
from flows.registry.tracking import open_run
from lmcore.errors import IntegrityError, NotFoundError

NAME = "speeches"


def test_it_answers_for_the_registry(home_of_four: Home) -> None:
    registry = Registry(home_of_four)
    registry.set_alias(NAME, "champion", 2)
    found = HomeReader(home_of_four)
    assert found.models() == registry.models() == [NAME]
    for which in (1, 2, "champion", "challenger"):
        version = found.version(NAME, which)
        assert version == registry.version(NAME, which)
        assert found.open(version) == registry.open(version, whole=False)


def test_its_stamp_changes_with_the_registry(home_of_four: Home) -> None:
    found = HomeReader(home_of_four)
    before = found.stamp()
    assert found.stamp() == before
    Registry(home_of_four).set_alias(NAME, "champion", 2)
    assert found.stamp() != before


def test_models_that_others_are_made_from_are_none(home_of_four: Home) -> None:
    registry = Registry(home_of_four)
    registry._client.create_registered_model("base-small", tags={"kind": "base"})
    assert HomeReader(home_of_four).models() == registry.models() == [NAME]


def test_what_is_not_there_is_named(home_of_four: Home, tmp_path: Path) -> None:
    found = HomeReader(home_of_four)
    for name, which, words in (
        ("others", 1, "'others' does not exist"),
        (NAME, 9, "has no version 9"),
        (NAME, "champion", "has no champion, as no version of it is in use"),
    ):
        with pytest.raises(NotFoundError, match=words):
            found.version(name, which)
    home_of_four.mlflow_database.unlink()
    with pytest.raises(NotFoundError, match="no model is registered"):
        found.models()


def test_a_damaged_database_is_named(home_of_four: Home) -> None:
    found = HomeReader(home_of_four)
    home_of_four.mlflow_database.write_bytes(b"no database" * 1000)
    with pytest.raises(IntegrityError, match="file is not a database"):
        found.models()


def test_damaged_files_are_not_opened(home_of_four: Home) -> None:
    found = HomeReader(home_of_four)
    version = found.version(NAME, 2)
    weights = found.open(version).path / "model" / "model.safetensors"
    saved = weights.read_bytes()
    try:
        weights.write_bytes(b"other")
        with pytest.raises(IntegrityError):
            found.open(version)
    finally:
        weights.write_bytes(saved)


def test_it_needs_no_mlflow(home_of_four: Home) -> None:
    code = (
        "import sys; from flows.home.environment import prepare; home = prepare();"
        " from flows.registry.reader import HomeReader; found = HomeReader(home);"
        f" print(found.open(found.version('{NAME}', 2)).path);"
        " print([name for name in ('mlflow', 'pandas', 'prefect') if name in sys.modules])"
    )
    # Registering leaves the address of another test's store in the environment.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "LMCORE_HOME": str(home_of_four.root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_stamp_changes_with_the_registry(home: Home, tmp_path: Path) -> None:
    before = registry_stamp(home)
    assert registry_stamp(home) == before
    open_run(home, model="speeches", run_key="k", name="run").end("FINISHED")
    assert registry_stamp(home) != before
    empty = make_home(tmp_path / "empty")
    assert registry_stamp(empty) == ((0, 0, 0), (0, 0, 0))


def test_a_server_has_no_file_to_look_at_and_is_asked_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(tmp_path / "home", environ={"MLFLOW_TRACKING_URI": "http://mlflow:5000"})
    stamps = []
    for seconds in (0.0, 14.9, 15.1, 31.0):
        monkeypatch.setattr("time.monotonic", lambda seconds=seconds: seconds)
        stamps.append(registry_stamp(home, poll_seconds=15.0))
    monkeypatch.undo()
    assert stamps == [0, 0, 1, 2]


def test_what_up_starts_does_not_wait_for_up(home: Home) -> None:
    made = []
    with exclusive_use(home.root), FileLock(home.locks / "mlflow-start.lock"):
        start = threading.Thread(target=lambda: made.append(HomeReader(home)), daemon=True)
        start.start()
        start.join(timeout=60)
        assert made
