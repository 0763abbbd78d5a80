"""How a container begins a flow run: what takes its place, and with which settings."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
#: What would take the place of the process is printed instead.
SHOW = """
import json, os
from flows.servers import flow_run
os.execve = lambda program, command, environ: print(json.dumps([command, environ]))
flow_run.main()
"""


def environment(tmp_path: Path, **given: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
    return {**kept, "PYTHONPATH": str(ROOT), "LMCORE_HOME": str(tmp_path / "home"), **given}


def test_settings_of_the_worker_are_replaced_before_prefect_reads_them(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=tmp_path,
        env=environment(
            tmp_path,
            PREFECT_API_URL="https://prefect.example/api",
            PREFECT_API_AUTH_STRING="lmcore:x",
            PREFECT__FLOW_RUN_ID="f",
            PREFECT_HOME="/home/of/the/worker",
            PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR="reschedule",
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    command, settled = json.loads(done.stdout)
    assert command[1:] == ["-m", "prefect", "flow-run", "execute"]
    assert settled["PREFECT_HOME"] == str(tmp_path / "home" / "prefect")
    assert settled["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"
    for name, value in (
        ("PREFECT_API_URL", "https://prefect.example/api"),
        ("PREFECT_API_AUTH_STRING", "lmcore:x"),
        ("PREFECT__FLOW_RUN_ID", "f"),
        ("PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR", "reschedule"),
    ):
        assert settled[name] == value


def test_a_home_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    done = subprocess.run(
        [sys.executable, "-m", "flows.servers.flow_run"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lmcore: LMCORE_HOME=")
    assert done.stderr.count("\n") == 1
