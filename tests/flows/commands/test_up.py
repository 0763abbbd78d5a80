"""The servers themselves, the tests of `flows.servers.up` start."""

from pathlib import Path
from typing import Any

import pytest

from flows.commands.up import _text
from lmcore.errors import UserError


def test_no_address_but_loopback_is_offered(empty_shell: Any) -> None:
    refused = empty_shell.refusal("up", "--host", "0.0.0.0")
    assert isinstance(refused, UserError)
    assert "0.0.0.0" in str(refused)


def test_a_wrong_configuration_starts_nothing(empty_shell: Any, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("name: letters\nsauces: []\n")
    refused = empty_shell.refusal("up", "--config", "c.yaml")
    assert "the key 'sources' is missing" in str(refused)
    assert [*empty_shell.home.logs.iterdir()] == []


def test_people_see_where_everything_is_and_what_will_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = [
        {"model": "letters", "schedule": "0 3 * * 1 (UTC)", "watch_minutes": 10},
        {"model": "tales", "schedule": None, "watch_minutes": None},
    ]
    _text(
        {
            "prefect": "http://127.0.0.1:1",
            "mlflow": "http://127.0.0.1:2",
            "dashboard": "http://127.0.0.1:3",
            "serve": "http://127.0.0.1:4/v1",
            "user": "lmcore",
            "password": "secret",
            "logs": "home/logs",
            "models": models,
            "seconds": 5.46,
        }
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "READY after 5.5 s"
    assert [line.split()[:2] for line in lines[1:5]] == [
        ["prefect", "http://127.0.0.1:1"],
        ["mlflow", "http://127.0.0.1:2"],
        ["dashboard", "http://127.0.0.1:3"],
        ["serve", "http://127.0.0.1:4/v1"],
    ]
    assert "  log in     user lmcore, password secret" in lines
    assert "             in Prefect as lmcore:secret" in lines
    assert "             to serve with the password as the key" in lines
    assert "  logs       home/logs" in lines
    assert [" ".join(line.split()) for line in lines[-4:-2]] == [
        "letters 0 3 * * 1 (UTC), new text every 10 minutes",
        "tales no schedule",
    ]
