"""The server tier end to end: PostgreSQL, S3, MLflow, Prefect and a worker; then their faults."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pipeline_corpus as corpus
import pytest
import server_tier as servers
from lmcore_shell import Shell, answer_of
from mlflow import MlflowClient

from flows.home.environment import make_home
from flows.home.locks import file_lock
from flows.registry.history import history, read_history
from flows.registry.models import Registry
from flows.registry.tracking import open_run
from flows.registry.versions import Version
from lmcore.errors import IntegrityError
from lmcore.version_folder import VersionFolder

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]


ROOT = servers.ROOT
if (reason := servers.missing()) is not None:
    pytest.skip(f"the server tier is not tested: {reason}", allow_module_level=True)


@pytest.fixture(scope="module")
def tier() -> Iterator[Any]:
    # Not below pytest's own folder, which PostgreSQL's user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="lmcore-tier-"))
    folder.chmod(0o755)
    try:
        with servers.running(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_shell(folder: Path, settings: dict[str, str]) -> Shell:
    corpus.write_corpus(folder)
    (folder / "config.yaml").write_text(corpus.CONFIG)
    return Shell(folder, settings)


@pytest.fixture(scope="module")
def embedded(
    tmp_path_factory: pytest.TempPathFactory, begun: Callable[[Shell], Shell]
) -> Iterator["subprocess.Popen[str]"]:
    """The same pipeline without any server, on its way while the servers start."""
    shell = begun(new_shell(tmp_path_factory.mktemp("embedded"), {}))
    with shell.start("run", "--config", "config.yaml", "--json") as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def shell(
    embedded: "subprocess.Popen[str]", tier: Any, tmp_path_factory: pytest.TempPathFactory
) -> Shell:
    return new_shell(tmp_path_factory.mktemp("user"), tier.client_settings())


@pytest.fixture(scope="module")
def client(tier: Any) -> Iterator[MlflowClient]:
    """MLflow's own client, as an outsider looks at what was stored."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tier.client_settings().items():
            if not name.startswith("PREFECT"):
                patch.setenv(name, value)
        yield MlflowClient(tracking_uri=tier.mlflow_url)


@pytest.fixture
def registry(tier: Any, client: MlflowClient, tmp_path: Path) -> Registry:
    home = make_home(tmp_path / "home", environ=tier.client_settings())
    return Registry(home, lock=file_lock(home.locks))


@pytest.fixture(scope="module")
def promoted(shell: Shell, tier: Any) -> dict[str, str]:
    """A run that Prefect handed to a worker; the worker's home stays for later runs."""
    script = ROOT / "deploy" / "start-worker.sh"
    environment = {**shell.environment, "SECRETS": str(tier.secrets), "CONFIGS": "config.yaml"}
    environment |= {"LMCORE_HEALTH_PORT": str(servers.free_port()), "PATH": tier.path}
    with (tier.folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            ["/bin/sh", str(script)],
            cwd=shell.folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    code = """
import json, time
from prefect.deployments import run_deployment
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
with get_client(sync_client=True) as client:
    while True:
        try:
            client.read_deployment_by_name("retrain/stories")
            break
        except ObjectNotFound:
            time.sleep(0.3)
run = run_deployment("retrain/stories", timeout=300, poll_interval=0.5)
print(json.dumps({"id": str(run.id), "state": run.state.name, "message": run.state.message}))
"""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=shell.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGTERM)
        worker.wait(timeout=60)
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_a_worker_runs_the_pipeline_and_both_tiers_agree(
    promoted: dict[str, str],
    shell: Shell,
    embedded: "subprocess.Popen[str]",
    tier: Any,
    registry: Registry,
) -> None:
    expected = answer_of(embedded)
    log = (tier.folder / "worker.log").read_text()
    assert promoted["state"] == "Promoted", f"{promoted} {log[-3000:]}"
    version = registry.version("stories", 1)
    assert registry.aliases("stories")["champion"] == expected["champion"] == 1
    assert version.outcome == expected["outcome"] == "promoted"
    assert version.fingerprints == expected["fingerprints"]
    timed = "train_tokens_per_second"
    same = {name: value for name, value in expected["metrics"].items() if name != timed}
    assert {name: value for name, value in version.metrics.items() if name != timed} == same
    gates = json.loads((registry.open(version).path / "evaluation" / "gates.json").read_text())
    assert {gate["gate"]: gate["outcome"] for gate in gates} == {
        gate["gate"]: gate["outcome"] for gate in expected["gates"]
    }
    generated = shell.run("generate", "--prompt", "Alexandria", "--seed", "1", "--max-tokens", "9")
    assert (generated["version"], bool(generated["text"])) == (1, True)
    (event,) = history(registry, "stories")
    assert (event.action, event.from_version, event.to_version) == ("promote", None, 1)


def test_nobody_gets_in_without_a_password_or_from_a_foreign_page(
    promoted: dict[str, str], tier: Any
) -> None:
    search = f"{tier.mlflow_url}/api/2.0/mlflow/registered-models/search?max_results=1"
    flows = f"{tier.prefect_url}/api/flows/filter"
    json_body = {"method": "POST", "body": b"{}", "Content-Type": "application/json"}
    basic = {"Authorization": tier.basic("lmcore", "prefect_auth")}
    admin = {"Authorization": tier.basic("admin", "mlflow_admin_password")}
    assert servers.status(search) == 401
    assert servers.status(search, **admin) == 200
    assert servers.status(search, **admin, Host="evil.example") == 403
    assert servers.status(search, **admin, Origin="http://127.0.0.1:1") == 403
    version = f"{tier.prefect_url}/api/admin/version"
    assert servers.status(version) == 401
    assert servers.status(version, **basic) == 200
    assert servers.status(version, **basic, Host=f"prefect:{tier.prefect_port}") == 200
    assert servers.status(version, **basic, Host="evil.example") == 403
    assert servers.status(version, **basic, Origin="http://127.0.0.1:1") == 403
    # With the password that a browser would send along, but not from our own client or page.
    assert servers.status(flows, **json_body, **basic) == 403
    for bucket in ("", "lmcore"):
        assert servers.status(f"http://127.0.0.1:{tier.store_port}/{bucket}") == 400  # unsigned
    # Arguments are in the process table, which everybody reads.
    table = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    logs = "".join(path.read_text(errors="replace") for path in tier.folder.glob("*.log"))
    assert "presigned" not in logs  # the object store is out of reach of everybody but MLflow
    for path in tier.secrets.iterdir():
        secret = path.read_text().removeprefix("lmcore:")
        assert secret not in table, path.name
        assert secret not in logs, path.name


# -- faults ----------------------------------------------------------------------------------


def steps_of(client: MlflowClient, run_id: str) -> list[int]:
    return [metric.step for metric in client.get_metric_history(run_id, "loss_nats")]


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    for _ in range(30_000):
        if condition():
            return
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.01)
    raise AssertionError("the condition never came true")


def test_an_outage_a_kill_and_a_restart_lose_nothing(
    promoted: dict[str, str], shell: Shell, tier: Any, client: MlflowClient, registry: Registry
) -> None:
    command = ("run", "--config", "config.yaml", "--force")
    command += ("--set", "training.checkpoint_seconds=0.2")
    home = shell.folder / "home"
    process = shell.start(*command)
    wait_until(lambda: any(home.glob("work/*/plan.json")), process)
    wait_until(lambda: any(home.glob("work/**/step-*/manifest.json")), process)
    tier.stop_postgres()
    wait_until(lambda: any(home.glob("work/metrics/*.json")), process)  # training goes on
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    waiting = sum(len(json.loads(p.read_text())) for p in home.glob("work/metrics/*.json"))
    assert waiting > 0
    tier.mlflow.stop(signal.SIGKILL)
    tier.start_postgres()
    tier.mlflow.start()
    tier.wait()
    answer = shell.run(*command, code=3)  # the same model again is no better
    assert (answer["outcome"], answer["version"], answer["champion"]) == ("rejected", 2, 1)
    steps = steps_of(client, answer["mlflow_run_id"])
    assert len(steps) == len(set(steps)) > 2
    run = client.get_run(answer["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert len(client.search_runs([run.info.experiment_id])) == 2
    unbroken = client.get_model_version("stories", "1").run_id
    assert unbroken is not None
    first, last = steps_of(client, unbroken), max(steps)
    assert max(first) == last == 150
    assert not any(home.glob("work/metrics/*.json"))
    assert [version.number for version in registry.versions("stories")] == [1, 2]


def test_people_promote_and_roll_back_through_the_servers(
    promoted: dict[str, str], shell: Shell, registry: Registry
) -> None:
    done, back = shell.answers(
        ("promote", "2", "--reason", "a person decided", "--override"),
        ("rollback", "--reason", "it was no better"),
    )
    assert (done["champion"], back["champion"]) == (2, 1)
    actions = [event.action for event in history(registry, "stories")]
    assert actions == ["promote", "reject", "override", "rollback"]


def test_a_registration_survives_a_database_that_goes_away(
    registry: Registry,
    tier: Any,
    register_in: Callable[..., Version],
    version_folder: VersionFolder,
) -> None:
    def away() -> None:
        time.sleep(0.1)
        tier.stop_postgres()
        time.sleep(1)
        tier.start_postgres()

    run = open_run(registry.home, model="outage", run_key="k", name="run")
    thread = threading.Thread(target=away)
    thread.start()
    version = register_in(registry, version_folder, name="outage", run_key="k", run_id=run.run_id)
    thread.join()
    assert [v.number for v in registry.versions("outage")] == [version.number]
    assert registry.aliases("outage") == {"challenger": version.number}
    registry.open(version)


def test_who_only_reads_uses_a_version_and_moves_nothing(
    registry: Registry,
    tier: Any,
    register_in: Callable[..., Version],
    version_folder: VersionFolder,
    tmp_path: Path,
) -> None:
    register_in(registry, version_folder, name="read", run_key="read")
    who = {"MLFLOW_TRACKING_USERNAME": "reader"}
    who |= {"MLFLOW_TRACKING_PASSWORD": tier.secret("mlflow_reader_password")}
    shell = new_shell(tmp_path / "reader", {**tier.client_settings(), **who})
    assert shell.run("show", "1", "--model", "read")["version"] == 1
    url = f"{tier.mlflow_url}/api/2.0/mlflow/registered-models/alias"
    body = json.dumps({"name": "read", "alias": "champion", "version": "1"}).encode()
    login = {"Authorization": tier.basic("reader", "mlflow_reader_password")}
    login |= {"Content-Type": "application/json"}
    assert servers.status(url, method="POST", body=body, **login) == 403
    assert registry.aliases("read") == {"challenger": 1}


def test_the_worker_owns_every_model_and_no_user(
    registry: Registry,
    tier: Any,
    register_in: Callable[..., Version],
    version_folder: VersionFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = register_in(registry, version_folder, name="others", run_key="others")
    login = {"Authorization": tier.basic("worker", "mlflow_worker_password")}
    json_body = {"method": "POST", "Content-Type": "application/json", **login}

    def asked(path: str, **body: object) -> int:
        url = f"{tier.mlflow_url}/api/2.0/mlflow/{path}"
        return int(servers.status(url, body=json.dumps(body).encode(), **json_body))

    def patched(path: str, **body: object) -> int:
        url = f"{tier.mlflow_url}/api/2.0/mlflow/{path}"
        values = {**json_body, "method": "PATCH"}
        return int(servers.status(url, body=json.dumps(body).encode(), **values))

    assert asked("users/create", username="mine", password="a long password") == 403
    assert patched("users/update-admin", username="worker", is_admin=True) == 403
    assert patched("users/update-password", username="reader", password="a long password") == 403
    # Artifacts stay in the store: the server would read and write anywhere that it is told.
    for place in ("/tmp", "file:///tmp", "s3://other", "https://127.0.0.1:1/x"):
        assert asked("experiments/create", name="elsewhere", artifact_location=place) == 400
    place = "mlflow-artifacts:/inside"
    assert asked("experiments/create", name="inside", artifact_location=place) == 200
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "worker")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", tier.secret("mlflow_worker_password"))
    worker = MlflowClient(tracking_uri=tier.mlflow_url)
    number = str(version.number)
    worker.set_registered_model_alias("others", "champion", number)
    worker.set_model_version_tag("others", number, "seen", "yes")
    worker.delete_registered_model_alias("others", "champion")
    worker.delete_model_version("others", number)
    worker.delete_registered_model("others")
    assert version.run_id is not None
    worker.delete_run(version.run_id)


def test_a_pretrained_model_reaches_a_machine_that_never_had_it(
    registry: Registry,
    tier: Any,
    register_in: Callable[..., Version],
    fine_tuned_in: Callable[..., VersionFolder],
    tmp_path: Path,
) -> None:
    pytest.importorskip("transformers")
    from pretrained_models import make_base

    base = make_base(registry.home.content, license="Apache-2.0")
    registered = registry.bases.register(base)
    assert registry.bases.register(base) == registered
    version = register_in(registry, fine_tuned_in(tmp_path, base), name="tuned", run_key="tuned")
    assert "base-llama" not in registry.models()
    home = make_home(tmp_path / "other", environ=tier.client_settings())
    other = Registry(home, lock=file_lock(home.locks))
    folder = other.open(other.version("tuned", version.number))
    fetched = home.content / base.path.relative_to(registry.home.content)
    assert base.open(fetched).key == base.key
    assert folder.load_model().num_parameters > 0
    # What was registered within a day may still be named by a version of another machine.
    assert registry.bases.may_be_awaited(registered)
    registry.bases.remove(registered)
    assert registry.bases.all() == []
    shutil.rmtree(fetched)
    with pytest.raises(IntegrityError, match="the registry does not hold it either"):
        other.open(other.version("tuned", version.number))


def test_a_store_that_takes_nothing_makes_no_version(
    registry: Registry,
    tier: Any,
    register_in: Callable[..., Version],
    version_folder: VersionFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("LMCORE_SERVER_WAIT_SECONDS", "0")
    run = open_run(registry.home, model="nowhere", run_key="k", name="run")
    tier.store.stop()
    try:
        with pytest.raises(Exception, match=r"500"):
            register_in(registry, version_folder, name="nowhere", run_key="k", run_id=run.run_id)
    finally:
        tier.store.start()
    assert registry.versions("nowhere") == []
    tier.wait_for_store()
    version = register_in(registry, version_folder, name="nowhere", run_key="k", run_id=run.run_id)
    assert (version.number, registry.aliases("nowhere")) == (1, {"challenger": 1})
    registry.open(version)


_CONTENDER = """
import json, sys, threading
from pathlib import Path
from flows.home.environment import prepare, make_home
home = prepare(Path(sys.argv[1]))
import os
from flows.registry.promotion import promote
from flows.registry.models import Registry
from lmcore.errors import LmcoreError
import prefect.concurrency.sync
won, lost = [], []
def contend(number, place):
    # A home of its own, as on a machine of its own: no file lock keeps these apart.
    apart = make_home(home.root / str(place), environ=os.environ)
    try:
        promote(Registry(apart), "race", number, expected_champion=None, who=f"w{number}",
            reason="race", smoke=lambda version: None)
        won.append(number)
    except LmcoreError as error:
        lost.append(type(error).__name__)
threads = [threading.Thread(target=contend, args=(number, place))
    for place, number in enumerate(json.loads(sys.argv[2]))]
Registry(home)
print("ready", flush=True)
sys.stdin.readline()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps([won, lost]))
"""


def test_of_eight_machines_that_promote_at_once_one_wins(
    registry: Registry,
    tier: Any,
    shell: Shell,
    register_in: Callable[..., Version],
    assemble_in: Callable[..., VersionFolder],
    tmp_path: Path,
) -> None:
    for number in (1, 2, 3):
        folder = assemble_in(tmp_path, f"v{number}", seed=number)
        register_in(registry, folder, name="race", run_key=f"k{number}")
    contenders = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _CONTENDER, str(tmp_path / name), numbers],
            cwd=ROOT,
            env=shell.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, numbers in (("a", "[1, 2, 3, 1]"), ("b", "[2, 3, 1, 2]"))
    ]
    for contender in contenders:
        assert contender.stdout is not None
        assert contender.stdout.readline() == "ready\n"
    outputs = [contender.communicate("go\n") for contender in contenders]
    results = [json.loads(out) for out, _ in outputs]
    winners = [number for won, _ in results for number in won]
    losers = [reason for _, lost in results for reason in lost]
    assert len(winners) == 1, outputs
    assert losers == ["PromotionConflictError"] * 7
    (event,) = history(registry, "race")
    assert (event.action, event.to_version, event.who) == ("promote", winners[0], f"w{winners[0]}")
    assert read_history(registry, "race").dangling == ()
    assert registry.aliases("race")["champion"] == winners[0]


def test_a_backup_brings_back_every_version(
    promoted: dict[str, str], shell: Shell, tier: Any, registry: Registry
) -> None:
    environment = {**tier.superuser(), "BACKUPS": str(tier.folder / "backups")}
    script = ["/bin/sh", str(ROOT / "deploy" / "backup.sh")]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=True)
    backup = Path(done.stdout.strip())
    before = registry.versions("stories")
    events = history(registry, "stories")
    assert before
    tier.mlflow.stop()
    tier.prefect.stop()
    for database in ("prefect", "mlflow", "mlflow_auth"):
        tier.sql(f"DROP DATABASE {database} WITH (FORCE)")
    tier.make_databases()
    tier.store.stop()
    shutil.rmtree(tier.objects)
    tier.store.start()
    tier.wait_for_store()
    restore = ["/bin/sh", str(ROOT / "deploy" / "restore.sh"), backup.name]
    dump = backup / "mlflow.dump"
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1])
    refused = subprocess.run(restore, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "damaged; nothing was restored" in refused.stderr
    dump.write_bytes(whole)
    subprocess.run(restore, env=environment, check=True, stdout=subprocess.DEVNULL)
    tier.mlflow.start()
    tier.prefect.start()
    tier.wait()
    assert registry.versions("stories") == before
    assert history(registry, "stories") == events
    for version in before:
        registry.open(version)
    shutil.rmtree(shell.folder / "home" / "cache" / "versions")
    options = ("--model", "stories", "--prompt", "Alexandria", "--max-tokens", "9")
    assert shell.run("generate", *options)["version"] == 1
