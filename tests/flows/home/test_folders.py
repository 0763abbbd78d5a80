from pathlib import Path

import pytest

from flows.home.folders import make_home
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
