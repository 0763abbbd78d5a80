"""Flows whose server goes away end with one sentence; test_up.py kills those of a run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.home import patience
from flows.home.environment import Home
from flows.home.outage import await_prefect, heard_by_prefect
from flows.home.patience import ServerGoneError
from flows.registry.models import Registry
from flows.registry.versions import Version

# `lmcore timeline`, whose server of Prefect is killed while the monitoring of the first day,
# a flow within its flow, keeps its answer.
KILLED = """
import os, signal, sys
from pathlib import Path
from flows import cli
from flows.registry import monitor_results
keep = monitor_results.log_monitoring

def kill_and_keep(*given, **named):
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        if b"serve_app" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)
    return keep(*given, **named)

monitor_results.log_monitoring = kill_and_keep
sys.argv = ["lmcore", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.integration
@pytest.mark.slow
def test_flows_within_flows_end_with_one_sentence(
    home: Home, registry: Registry, register: Callable[..., Version], tmp_path: Path
) -> None:
    register(task="sentiment")
    registry.set_alias("speeches", "champion", 1)
    rows = ["text\tlabel\tday"] + [f"text {n}\tgood\t2026-01-01" for n in range(9)]
    (tmp_path / "rows.tsv").write_text("\n".join(rows))
    source = {"path": "rows.tsv", "target_field": "label", "date_field": "day"}
    config = {
        "name": "speeches",
        "task": "sentiment",
        "base": None,
        "sources": [{**source, "license": "CC0-1.0", "origin": "a test"}],
        "timeline": {"dates": ["2026-01-31"]},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PREFECT_"))}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, "timeline", "--config", "config.yaml", "--json"],
        cwd=tmp_path,
        env={**kept, "LMCORE_HOME": str(home.root), "LMCORE_SERVER_WAIT_SECONDS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    assert "was not back after 1 s (it does not answer)" in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr
    assert done.stderr.count("waiting up to 1 s for it") == 1


def test_prefects_client_is_not_left_to_wait_by_itself(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(patience, "_gone", {})
    monkeypatch.setenv(patience.WAIT_VARIABLE, "0")
    monkeypatch.setattr(FlowRunContext, "get", lambda: SimpleNamespace(flow_run=None, flow=None))
    monkeypatch.setattr("time.sleep", waited.append)
    nobody = {PREFECT_API_URL: "http://127.0.0.1:9/api"}
    with temporary_settings(nobody), pytest.raises(ServerGoneError, match=r"127\.0\.0\.1:9"):
        await_prefect(home)
    assert max(waited, default=0) <= 1  # a second attempt at the connection, and no minute


def test_what_the_engine_raises_of_a_flow_within_is_the_server_that_is_gone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="refused"), heard_by_prefect(home):
        raise OSError("refused")
    outage = ServerGoneError("Prefect at x was not back")
    monkeypatch.setattr(patience, "_gone", {"Prefect at x": outage})
    monkeypatch.setattr("flows.home.outage._let_prefect_be", lambda: None)
    with pytest.raises(ServerGoneError) as raised, heard_by_prefect(home):
        raise OSError("refused")
    assert raised.value is outage
    with pytest.raises(ServerGoneError) as raised, heard_by_prefect(home):
        raise outage
    assert raised.value is outage
