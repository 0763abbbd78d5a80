"""Two workers with homes of their own, the same servers and one S3 store take turns on a model.

The first is killed in the middle of a training, and the second goes on with it; then the first one
is there again.  The servers are those of test_server_tier.py.
"""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pipeline_corpus as corpus
import pytest
import server_tier as servers
from lmcore_shell import Shell

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]


ROOT = servers.ROOT
if (reason := servers.missing()) is not None:
    pytest.skip(f"two workers are not tested: {reason}", allow_module_level=True)
pytest.importorskip("s3fs", reason="lmcore[remote] is not installed")
psutil = pytest.importorskip("psutil", reason="lmcore[pretrained] is not installed")

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
STEPS = 80


@pytest.fixture(scope="module")
def tier() -> Iterator[Any]:
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

    def __init__(self, folder: Path, name: str, tier: Any) -> None:
        self.tier = tier
        settings = {
            **tier.client_settings(),
            "LMCORE_HOME": str(folder / name),
            "LMCORE_CONTENT": "s3://lmcore/shared",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{tier.store_port}",
            "AWS_ACCESS_KEY_ID": tier.secret("object_store_key"),
            "AWS_SECRET_ACCESS_KEY": tier.secret("object_store_secret"),
            "AWS_REGION": "us-east-1",
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    corpus.write_corpus(folder)
    often = f"max_steps: {STEPS}\n  checkpoint_seconds: 0.1"
    config = corpus.CONFIG.replace("max_steps: 150", often)
    (folder / "config.yaml").write_text(config)
    return folder


def test_one_goes_on_where_the_other_was_killed_and_each_sees_what_the_other_did(
    tier: Any, folder: Path
) -> None:
    alone = Shell(folder, {"LMCORE_HOME": str(folder / "alone")})
    first, second = Worker(folder, "first", tier), Worker(folder, "second", tier)
    shared = tier.objects / "lmcore" / "shared"
    with first.running():
        run, _ = first.ask(0)
        wait_until(lambda: bool(saved(shared).get("log.jsonl")), first)
    left = saved(shared)
    assert not any(first.home.glob("content/checkpoint/*/manifest.json"))
    # The server hears of it by silence, which takes minutes.
    first.python(CRASHED, run)
    with alone.start("run", "--config", "config.yaml") as unbroken, second.running():
        _, state = second.ask(180)
        made = folder / "alone" / "content" / "checkpoint"
        wait_until(lambda: any(made.glob("*/manifest.json")), second)
        unbroken.kill()
    assert state in ("Promoted", "Rejected"), second.log.read_text()[-3000:]

    # The weights are those of one run that nobody killed, and the second has done a part of it.
    (checkpoint,) = (path.parent for path in made.glob("*/manifest.json"))
    found = second.home / "content" / "checkpoint" / checkpoint.name
    assert summary(found)["weights_sha256"] == summary(checkpoint)["weights_sha256"]
    assert summary(found)["steps"] == summary(checkpoint)["steps"] == STEPS
    # Both files hold what the first one's clock measured.
    assert (found / "plan.json").read_text() == left["plan.json"]
    assert (found / "log.jsonl").read_text().startswith(left["log.jsonl"])
    # Text was split once: the second fetched it.
    (documents,) = second.home.glob("content/documents/*/manifest.json")
    (same,) = first.home.glob("content/documents/*/manifest.json")
    assert documents.read_bytes() == same.read_bytes()
    assert not any(shared.glob("work/*/index.json"))

    # The first again: what the second made is known to it, and the version can be opened.
    with first.shell.opened() as lmcore:
        again = lmcore.run("run", "--config", "config.yaml")
        assert again["outcome"] == "skipped"
        assert again["reason"].startswith("nothing new: ")
        assert "are those of version 1 " in again["reason"]
        metrics = lmcore.run("show", "1")["metrics"]
    assert metrics == second.shell.run("show", "1")["metrics"]


def saved(shared: Path) -> dict[str, str]:
    """Plan and log of the newest resume point that is published."""
    for index in shared.glob("work/*/index.json"):
        with contextlib.suppress(FileNotFoundError):  # a newer one has just taken its place
            files = json.loads(index.read_text())["files"]
            return {
                name.rpartition("/")[2]: (index.parent / sha256).read_text()
                for name, (_, sha256) in sorted(files.items())
                if name.endswith(("plan.json", "log.jsonl"))
            }
    return {}


def summary(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "manifest.json").read_text())["summary"]
    assert isinstance(found, dict)
    return found
