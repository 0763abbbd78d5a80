import os
import shutil
import signal
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed
from prefect.utilities.engine import capture_sigterm

from flows.commands.shared.configuration import (
    answer_of_flow,
    beside_prefect,
    configuration,
)
from flows.home import environment
from flows.home.environment import Home, make_home
from flows.home.signals import StoppedError
from lmcore.config import RunConfig
from lmcore.errors import ConfigError, IntegrityError, SourceError, StorageError

CONFIG = "name: letters\nsources:\n  - {path: letters.txt, license: CC0-1.0}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home beside the folder of the test, which points to a server that nobody asks."""
    home = make_home(tmp_path / "home", environ={"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    monkeypatch.setattr(environment, "_prepared", replace(home, started_in=tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    (tmp_path / "config.yaml").write_text(CONFIG)


def test_files_and_typed_paths_start_where_the_command_was_given(tmp_path: Path) -> None:
    config = configuration(Path("config.yaml"))
    assert (config.name, config.sources[0].path) == ("letters", str(tmp_path / "letters.txt"))
    changed = configuration(
        Path("config.yaml"), ["sources.0.path=other/notes.txt", "training.seed=5"]
    )
    assert changed.sources[0].path == str(tmp_path / "other" / "notes.txt")
    assert changed.training.seed == 5


def test_without_a_file_it_is_the_embedded_default() -> None:
    assert configuration(None).name == "annual-messages"


def test_a_wrong_one_is_named() -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot be read"):
        configuration(Path("missing.yaml"))
    with pytest.raises(ConfigError, match="did you mean 'training'"):
        configuration(Path("config.yaml"), ["trainnig.seed=1"])


def test_the_network_is_open_for_a_data_set_of_the_hub_alone(tmp_path: Path) -> None:
    configuration(Path("config.yaml"))
    (tmp_path / "local").mkdir()
    (tmp_path / "local.yaml").write_text(CONFIG.replace("path: letters.txt", "dataset: local"))
    configuration(Path("local.yaml"))
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_DATASETS_OFFLINE"] == "1"
    (tmp_path / "hub.yaml").write_text(CONFIG.replace("path: letters.txt", "dataset: ada/letters"))
    configuration(Path("hub.yaml"))
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_DATASETS_OFFLINE"] == "0"


def test_a_source_that_is_not_there_is_told_before_anything_starts(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LMCORE_WEBHOOK", raising=False)
    with (
        pytest.raises(SourceError, match=r"letters\.txt"),
        beside_prefect(Path("config.yaml"), ()),
    ):
        pytest.fail("it was begun")
    assert "letters: failed. " in caplog.text
    assert "letters.txt" in caplog.text


def test_a_chosen_server_is_used_and_none_is_started(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("A letter.")
    with beside_prefect(Path("config.yaml"), ("training.seed=3",)) as (config, server):
        assert (config.name, config.training.seed) == ("letters", 3)
        assert server.api_url == "http://127.0.0.1:9/api"
        server.wait()
        assert not server.log.exists()


def test_a_disk_without_room_to_begin_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letters.txt").write_text("A letter.")
    usage = namedtuple("usage", "total used free")(1 << 30, 1 << 30, 2 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with (
        pytest.raises(StorageError, match=r"home: 2 MB are free .* needs 16 MB to begin"),
        beside_prefect(Path("config.yaml"), ()),
    ):
        pass


def test_sigterm_that_meets_prefect_s_engine_is_a_stop_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("A letter.")
    with (
        pytest.raises(StoppedError, match="stopped; finished steps are kept, and the same command"),
        beside_prefect(Path("config.yaml"), ()),
        capture_sigterm(),
    ):
        signal.raise_signal(signal.SIGTERM)


def test_what_else_ends_a_command_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("A letter.")
    with pytest.raises(SystemExit), beside_prefect(Path("config.yaml"), ()):
        raise SystemExit(7)


def test_the_answer_of_a_flow_is_what_its_state_says(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("A letter.")

    def flow(config: RunConfig, *, force: bool, return_state: bool) -> State[Any]:
        assert return_state
        return Cancelled(message="left.") if force else Completed(data=config.name)

    def answer(**parameters: Any) -> Any:
        return answer_of_flow(lambda: flow, Path("config.yaml"), **parameters)

    assert answer(force=False) == "letters"
    with pytest.raises(StoppedError, match=r"left\."):
        answer(force=True)
    with pytest.raises(LookupError, match="nothing there"):
        answer_of_flow(
            lambda: lambda *_, **__: Failed(data=LookupError("nothing there")), Path("config.yaml")
        )


def test_a_schedule_that_cannot_be_kept_is_told_before_the_flow(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("A letter.")
    bad = ("schedule.cron=0 3 * * 9",)
    configuration(Path("config.yaml"), bad, check_schedule=False)
    with (
        pytest.raises(ConfigError, match=r"config\.yaml: schedule\.cron='0 3 \* \* 9'"),
        beside_prefect(Path("config.yaml"), bad),
    ):
        pytest.fail("it was begun")


def test_what_is_wrong_with_the_registry_is_left_to_the_flow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letters.txt").write_text("A letter.")
    asked: list[Home] = []

    def damaged(home: Home) -> None:
        asked.append(home)
        raise IntegrityError("mlflow.db: damaged")

    monkeypatch.setattr("flows.registry.connection.connect", damaged)
    found = answer_of_flow(
        lambda: lambda config, return_state: Completed(data="begun"), Path("config.yaml")
    )
    assert found == "begun"
    assert len(asked) == 1
