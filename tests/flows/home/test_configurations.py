from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from flows.home.configurations import (
    ConfigReference,
    glance_at_model,
    load_configs,
    names_the_hub,
    read_config,
    resolved,
)
from flows.home.folders import Home, make_home
from lmcore.config import RunConfig, parse_config
from lmcore.config_file import load_config
from lmcore.errors import SourceError, UserError


def config(*sources: dict[str, Any]) -> RunConfig:
    return parse_config({"name": "stories", "sources": list(sources)}, where="test")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose commands are given in the folder of the test."""
    return make_home(tmp_path / "home", started_in=tmp_path)


def write(folder: Path, name: str, model: str) -> Path:
    (folder / name).write_text(f"name: {model}\nsources: [{{path: texts}}]\n")
    return Path(name)


def test_a_data_set_of_the_hub_needs_the_network_and_a_folder_does_not(tmp_path: Path) -> None:
    assert not names_the_hub(config({"path": "texts"}))
    assert not names_the_hub(config({"dataset": str(tmp_path)}))
    assert names_the_hub(config({"path": "texts"}, {"dataset": "somebody/tales"}))


def test_a_model_to_start_from_is_looked_for_and_never_fetched(tmp_path: Path) -> None:
    def starting(place: str) -> RunConfig:
        values = {"name": "m", "sources": [{"path": "t"}], "model": {"pretrained": place}}
        return parse_config(values, where="test")

    pinned = starting(f"owner/name@{'0' * 40}")
    assert names_the_hub(pinned)
    glance_at_model(pinned)
    glance_at_model(config({"path": "texts"}))
    for nowhere in (str(tmp_path / "nowhere"), "owner/name", "package:no_such_package"):
        assert not names_the_hub(starting(nowhere))
        with pytest.raises(SourceError, match=r"^model\.pretrained="):
            glance_at_model(starting(nowhere))
    (tmp_path / "config.json").write_text("{}")
    glance_at_model(starting(str(tmp_path)))


def test_none_given_is_the_installed_default(home: Home) -> None:
    assert [found.name for found in load_configs(home, [])] == ["annual-messages"]


def test_files_are_read_in_their_order_where_the_command_was_given(
    home: Home, tmp_path: Path
) -> None:
    files = [write(tmp_path, "b.yaml", "tales"), write(tmp_path, "a.yaml", "poems")]
    found = load_configs(home, files)
    assert [each.name for each in found] == ["tales", "poems"]
    assert found[0].sources[0].path == str(tmp_path / "texts")


def test_two_for_one_model_are_refused(home: Home, tmp_path: Path) -> None:
    files = [write(tmp_path, name, "tales") for name in ("a.yaml", "b.yaml")]
    with pytest.raises(UserError, match=r"--config: two configurations are for the model 'tales'"):
        load_configs(home, files)


def test_a_file_that_is_not_there_is_named(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path / "nowhere.yaml")):
        load_configs(home, [Path("nowhere.yaml")])


def test_a_schedule_that_the_scheduler_cannot_keep_is_told_before_anything_starts(
    home: Home, tmp_path: Path
) -> None:
    file = write(tmp_path, "a.yaml", "tales")
    with (tmp_path / file).open("a") as text:
        text.write('schedule: {cron: "0 3 * * 5L"}\n')
    expected = rf"{tmp_path / file}: schedule\.cron='0 3 \* \* 5L': the scheduler cannot use it"
    with pytest.raises(UserError, match=expected):
        load_configs(home, [file])
    mended = read_config(home, file, overrides=["schedule.cron=0 3 * * L5"])
    assert mended.schedule is not None
    assert mended.schedule.cron == "0 3 * * L5"


def test_a_configuration_by_its_file_is_the_whole_one_with_its_overrides(
    home: Home, tmp_path: Path
) -> None:
    whole = load_config()
    path = tmp_path / "stored.yaml"
    path.write_text(whole.to_yaml())
    given = ConfigReference(name=whole.name, path=str(path), overrides=["training.seed=7"])
    found = resolved(given, home)
    assert found.training.seed == 7
    assert resolved(given.model_copy(update={"overrides": []}), home) == whole
    assert resolved(whole, home) is whole


def test_a_reference_and_its_file_must_be_for_one_model(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "stored.yaml"
    path.write_text(load_config().to_yaml())
    with pytest.raises(UserError, match=r"config.name='tales', but .*'annual-messages'"):
        resolved(ConfigReference(name="tales", path=str(path)), home)


def test_what_is_given_whole_or_by_its_file_is_told_apart() -> None:
    either: TypeAdapter[ConfigReference | RunConfig] = TypeAdapter(ConfigReference | RunConfig)
    whole = load_config()
    assert either.validate_python(whole.model_dump(mode="json")) == whole
    reference = ConfigReference(name="tales", path="/x.yaml")
    assert either.validate_python(reference.model_dump(mode="json")) == reference
