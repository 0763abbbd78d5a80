from pathlib import Path

import pytest

from flows.home.environment import Home, make_home
from flows.servers import deploy as module
from flows.servers.deploy import deploy
from lmcore.errors import UserError


def use(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "current", lambda: home)


def test_without_a_server_it_is_said_how_to_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(make_home(tmp_path / "home"), monkeypatch)
    with pytest.raises(UserError, match=r"no Prefect server .*; set PREFECT_API_URL, or start"):
        deploy([], pool="machines")


def test_a_wrong_configuration_is_found_before_the_server_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(
        tmp_path / "home",
        started_in=tmp_path,
        environ={"PREFECT_API_URL": "http://127.0.0.1:9/api"},
    )
    use(home, monkeypatch)
    monkeypatch.setattr(
        "prefect.client.orchestration.get_client", lambda **_: pytest.fail("it was asked")
    )
    (tmp_path / "config.yaml").write_text("name: stories\nsauces: []\n")
    with pytest.raises(UserError, match=r"config\.yaml: the key .sources. is missing"):
        deploy([Path("config.yaml")], pool="machines")
