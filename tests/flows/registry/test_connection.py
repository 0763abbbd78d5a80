from pathlib import Path

import pytest

from flows.home.environment import Home, make_home
from flows.registry.connection import TrackingError, connect, experiment
from flows.registry.tracking import open_run
from lmcore.errors import IntegrityError


def test_an_experiment_deleted_in_the_page_comes_back(home: Home) -> None:
    run = open_run(home, model="speeches", run_key="key", name="first")
    connect(home).delete_experiment(run.experiment_id)
    assert experiment(home, "speeches") == run.experiment_id


@pytest.mark.parametrize("damage", ["folder", "garbage"])
def test_a_damaged_database_is_one_clear_sentence(tmp_path: Path, damage: str) -> None:
    home = make_home(tmp_path / "home")
    if damage == "folder":
        home.mlflow_database.mkdir()
    else:
        home.mlflow_database.write_bytes(b"\x00garbage" * 1000)
    with pytest.raises(IntegrityError, match=r"mlflow.db: .*no sound copy of it is in .*kept"):
        connect(home)


def test_a_store_that_does_not_answer_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    home = make_home(tmp_path / "home", environ={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    with pytest.raises(TrackingError, match=r"MLflow at http://127.0.0.1:9 does not answer"):
        connect(home)
