from pathlib import Path

import pytest

from flows.home.folders import make_home
from lmcore import shared_store
from lmcore.errors import UserError


def test_empty_addresses_mean_the_embedded_default(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", environ={"MLFLOW_TRACKING_URI": " ", "PREFECT_API_URL": ""})
    assert home.embedded
    assert home.prefect_api_url is None


def test_a_home_that_is_a_file_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"LMCORE_HOME=.*/file/x: cannot write there \(Not a dir"):
        make_home(tmp_path / "file" / "x")


def test_a_home_on_a_full_disk_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(UserError, match="No space left on device"):
        make_home(tmp_path / "home")


@pytest.mark.parametrize("character", "?#%")
def test_a_home_that_no_database_address_can_hold_is_refused(
    tmp_path: Path, character: str
) -> None:
    with pytest.raises(UserError, match="contains"):
        make_home(tmp_path / f"a{character}b")


def test_a_home_has_its_folders_and_every_place_lies_below_it(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", started_in=tmp_path)
    for folder in (home.content, home.work, home.mlflow_artifacts, home.prefect, home.cache):
        assert folder.is_dir()
        assert folder.is_relative_to(home.root)
    for file in (home.splits, home.removals, home.mlflow_database, home.dashboard):
        assert not file.exists()
        assert file.is_relative_to(home.root)
    assert list(home.empty.iterdir()) == []
    assert list(home.temporary.iterdir()) == []
    assert home.tracking_uri == f"sqlite:///{home.mlflow_database}"


def test_a_second_call_keeps_what_is_there_and_mends_the_settings_of_the_log(
    tmp_path: Path,
) -> None:
    home = make_home(tmp_path / "home")
    (home.content / "documents").touch()
    settings = home.prefect / "logging.yml"
    written = settings.read_text(encoding="utf-8")
    settings.write_text("version: 7\n", encoding="utf-8")
    assert make_home(home.root) == home
    assert (home.content / "documents").exists()
    assert settings.read_text(encoding="utf-8") == written


def test_paths_of_the_user_start_where_the_command_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/users/ada")
    home = make_home(tmp_path / "home", started_in=tmp_path / "here")
    assert home.resolve("texts/a.txt") == tmp_path / "here" / "texts" / "a.txt"
    assert home.resolve(Path("/texts")) == Path("/texts")
    assert home.resolve("~/texts") == Path("/users/ada/texts")


def test_what_homes_share_is_an_address_or_a_folder(tmp_path: Path) -> None:
    def shared(text: str) -> str | None:
        environ = {shared_store.KEY: text}
        return make_home(tmp_path / "home", started_in=tmp_path, environ=environ).shared_content

    assert shared("") is None
    assert shared("s3://bucket/team") == "s3://bucket/team"
    assert shared("team") == str(tmp_path / "team")
    with pytest.raises(UserError, match="LMCORE_CONTENT: nothing can be kept at https://"):
        shared("https://example.org/team")
