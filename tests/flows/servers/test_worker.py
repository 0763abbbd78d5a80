import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("chosen", [{}, {"PREFECT_API_URL": "http://127.0.0.1:9/api"}])
def test_a_worker_without_servers_is_one_sentence(tmp_path: Path, chosen: dict[str, str]) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
    done = subprocess.run(
        [sys.executable, "-m", "flows.servers.worker"],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(ROOT), "LMCORE_HOME": str(tmp_path / "home"), **chosen},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "lmcore worker: a worker needs servers: set PREFECT_API_URL and MLFLOW_TRACKING_URI.\n"
    )
