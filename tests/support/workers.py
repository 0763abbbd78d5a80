"""Machines with homes of their own that share a Prefect server, MLflow and an S3 store."""

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import server_tier as servers
from lmcore_shell import Shell

ROOT = servers.ROOT

#: As the server's automation says of a run that is not heard of any more.
CRASHED = """
import sys
from prefect.client.orchestration import get_client
from prefect.states import Crashed
with get_client(sync_client=True) as client:
    client.set_flow_run_state(sys.argv[1], Crashed(message="killed by a test"), force=True)
"""
ASK = """
import sys, time
from prefect.deployments import run_deployment
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
with get_client(sync_client=True) as client:
    while True:
        try:
            client.read_deployment_by_name("retrain/stories")
            break
        except ObjectNotFound:
            time.sleep(0.2)
run = run_deployment("retrain/stories", timeout=float(sys.argv[1]), poll_interval=0.3)
print(run.id, run.state.name)
"""


@contextlib.contextmanager
def running_tier() -> Iterator[Any]:
    """The servers, until the block ends."""
    # Not below pytest's own folder, which PostgreSQL's user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="lmcore-workers-"))
    folder.chmod(0o755)
    try:
        with servers.running(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Worker:
    """A machine: a home, and a worker that can be killed with all that it started."""

    def __init__(self, folder: Path, name: str, tier: Any, **settings_of_its_own: str) -> None:
        self.tier = tier
        settings = {
            **tier.client_settings(),
            "LMCORE_HOME": str(folder / name),
            "LMCORE_CONTENT": "s3://lmcore/shared",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{tier.store_port}",
            "AWS_ACCESS_KEY_ID": tier.secret("object_store_key"),
            "AWS_SECRET_ACCESS_KEY": tier.secret("object_store_secret"),
            "AWS_REGION": "us-east-1",
            **settings_of_its_own,
        }
        self.home = folder / name
        self.log = folder / f"{name}.log"
        self.shell = Shell(folder, settings)

    def started(self) -> "subprocess.Popen[bytes]":
        environment = {**self.shell.environment, "SECRETS": str(self.tier.secrets)}
        environment |= {"CONFIGS": "config.yaml", "POOL": "turns", "PATH": self.tier.path}
        environment |= {"LMCORE_HEALTH_PORT": str(servers.free_port())}
        with self.log.open("wb") as log:
            return subprocess.Popen(
                ["/bin/sh", str(ROOT / "deploy" / "start-worker.sh")],
                cwd=self.shell.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextlib.contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        process = self.started()
        try:
            yield process
        finally:
            kill(process)

    def ask(self, seconds: float) -> list[str]:
        """Ask for a run of the deployment; its id and state after so many seconds at most."""
        done = self.python(ASK, str(seconds))
        return done.split(maxsplit=1)

    def python(self, code: str, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=self.shell.environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{done.stderr[-2000:]} {self.log.read_text()[-3000:]}"
        return done.stdout.strip()


def kill(process: "subprocess.Popen[bytes]") -> None:
    """As when a machine loses its power."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        for member in [psutil.Process(process.pid), *family]:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(signal.SIGKILL)
    process.wait(timeout=30)


def wait_until(condition: Callable[[], bool], worker: Worker, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
        time.sleep(0.02)
