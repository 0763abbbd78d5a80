"""What is written to a server, the tests of `flows.servers.deploy` and the server tier try."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.commands.deploy import _text
from lmcore.errors import UserError


def test_a_pool_and_a_server_are_needed(empty_shell: Any) -> None:
    done = empty_shell.run("deploy")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Missing option '--pool'" in done.stderr
    refused = empty_shell.refusal("deploy", "--pool", "machines")
    assert isinstance(refused, UserError)
    assert "set PREFECT_API_URL" in str(refused)


def test_job_variables_belong_to_a_type(empty_shell: Any) -> None:
    refused = empty_shell.refusal("deploy", "--pool", "machines", "--job-variable", "image=a")
    assert "name its --type as well" in str(refused)


def test_one_model_has_one_configuration(shell_of: Any, home: Any, tmp_path: Path) -> None:
    served = shell_of(replace(home, prefect_api_url="http://127.0.0.1:9/api"))
    config = "name: letters\nsources:\n  - {path: letters.txt, license: CC0-1.0}\n"
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(config)
    refused = served.refusal(
        "deploy", "--pool", "machines", "--config", "one.yaml", "--config", "two.yaml"
    )
    assert str(refused) == "--config: two configurations are for the model 'letters'."


def test_people_see_what_was_written_and_how_to_run_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _text(
        {
            "server": "https://prefect.example/api",
            "deployments": ["retrain/letters", "monitor/letters"],
            "pool": "machines",
            "type": "docker",
        }
    )
    assert capsys.readouterr().out.splitlines() == [
        "DEPLOYED to https://prefect.example/api",
        "  retrain/letters",
        "  monitor/letters",
        "",
        "  prefect worker start --pool machines --type docker   on each machine that runs them",
    ]
