"""Templates are held against the schemas that Prefect ships, and its workers where installed."""

import asyncio
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, WorkPool
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.utilities.schema_tools.validation import is_valid_schema, validate
from prefect.workers.process import ProcessJobConfiguration

from flows.home.environment import Home, make_home
from flows.servers.work_pools import POOL_TYPES, PoolType, job_template, make_pool
from lmcore import __version__
from lmcore.errors import UserError

SERVERS = {
    "PREFECT_API_URL": "https://prefect.example/api",
    "MLFLOW_TRACKING_URI": "https://mlflow.example",
}
#: Newer than the list of workers that Prefect comes with.
NEWER = {"docker": {"container_create_kwargs"}, "kubernetes": set(), "process": set()}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home", environ=SERVERS)


def placeholders(value: object) -> set[str]:
    return set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(value)))


def of_prefect(pool_type: str) -> Any:
    """The template that Prefect's own server offers for this type."""
    listed = files("prefect.server.api.collections_data.views")
    told = json.loads((listed / "aggregate-worker-metadata.json").read_text())
    (found,) = [types[pool_type] for types in told.values() if pool_type in types]
    return found["default_base_job_configuration"]


@pytest.mark.parametrize("pool_type", POOL_TYPES)
def test_a_template_is_of_the_form_that_prefect_ships(home: Home, pool_type: PoolType) -> None:
    template, theirs = job_template(pool_type, home), of_prefect(pool_type)
    schema, properties = template["variables"], template["variables"]["properties"]
    is_valid_schema(schema)
    assert placeholders(template["job_configuration"]) == set(properties)
    known = set(theirs["job_configuration"]) | NEWER[pool_type]
    assert set(template["job_configuration"]) <= known
    for name in set(properties) & set(theirs["variables"]["properties"]):
        told, their = properties[name], theirs["variables"]["properties"][name]
        assert told["type"] == their["type"], name
        assert set(told.get("enum", [])) <= set(their.get("enum", [])), name
    assert all(told["title"] and told["description"].endswith(".") for told in properties.values())
    defaults = {name: told["default"] for name, told in properties.items() if "default" in told}
    shared = {k: v for k, v in defaults.items() if k in theirs["variables"]["properties"]}
    assert validate(shared, theirs["variables"]) == []


@pytest.mark.parametrize("pool_type", ["docker", "kubernetes"])
def test_containers_are_given_all_that_a_run_needs(home: Home, pool_type: PoolType) -> None:
    properties = job_template(pool_type, home)["variables"]["properties"]
    assert properties["image"]["default"] == f"lmcore-worker:{__version__}"
    environment = properties["env"]["default"]
    assert {name: environment[name] for name in SERVERS} == SERVERS
    assert environment["LMCORE_HOME"] == "/var/lib/lmcore"
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    assert {environment[name] for name in threads} == {"1"}
    # A worker hands its own password on, unless this stands here; the start script reads the file.
    assert environment["PREFECT_API_AUTH_STRING"] == ""


def test_containers_share_what_the_home_shares(tmp_path: Path) -> None:
    for shared, given in (("s3://bucket/team", "s3://bucket/team"), ("/a/folder", None)):
        home = make_home(tmp_path, environ={**SERVERS, "LMCORE_CONTENT": shared})
        environment = job_template("docker", home)["variables"]["properties"]["env"]["default"]
        assert environment.get("LMCORE_CONTENT") == given


def test_a_process_takes_servers_and_home_of_its_worker(tmp_path: Path) -> None:
    home = make_home(tmp_path, environ={"PREFECT_API_URL": SERVERS["PREFECT_API_URL"]})
    made = configured(ProcessJobConfiguration, job_template("process", home))
    assert (made.command, made.env, made.stream_output) == (None, {}, True)


def configured(configuration: type[Any], template: dict[str, Any], **values: Any) -> Any:
    """What a worker makes of a template; it asks the server for blocks alone: none here."""
    with temporary_settings({PREFECT_API_URL: SERVERS["PREFECT_API_URL"]}):
        return asyncio.run(configuration.from_template_and_values(template, values))


def prepared(
    configuration: type[Any], template: dict[str, Any], pool_type: str, **values: Any
) -> Any:
    made = configured(configuration, template, **values)
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="brisk-fox")
    pool = WorkPool(id=uuid4(), name="p", type=pool_type, default_queue_id=uuid4())
    with temporary_settings({PREFECT_API_AUTH_STRING: "lmcore:hidden"}):
        made.prepare_for_flow_run(run, work_pool=pool, worker_name="w")
    return made


def test_prefects_docker_worker_makes_a_container_of_it(home: Home) -> None:
    worker = pytest.importorskip("prefect_docker.worker", reason="lmcore[pools] is not installed")
    template = job_template("docker", home, ["mem_limit=16g", "env.OMP_NUM_THREADS=4"])
    made = prepared(
        worker.DockerWorkerJobConfiguration, template, "docker", env={"LMCORE_USER": "night"}
    )
    assert "hidden" not in made.model_dump_json()
    assert made.image == f"lmcore-worker:{__version__}"
    assert made.command == "python -m flows.servers.flow_run"
    assert (made.mem_limit, made.privileged, made.auto_remove) == ("16g", False, True)
    assert "lmcore-home:/var/lib/lmcore" in made.volumes
    assert "/etc/lmcore/secrets:/run/secrets:ro" in made.volumes
    assert (made.env["OMP_NUM_THREADS"], made.env["LMCORE_USER"]) == ("4", "night")
    assert made.env["MLFLOW_TRACKING_URI"] == SERVERS["MLFLOW_TRACKING_URI"]
    assert "PREFECT__FLOW_RUN_ID" in made.env
    kept = made.container_create_kwargs
    assert (kept["user"], kept["read_only"], kept["cap_drop"]) == ("10001:10001", True, ["ALL"])
    # Every one is an option of Docker's client.
    from docker.models.containers import _create_container_args

    asked = {**kept, "image": made.image, "version": "1.45"}
    host = _create_container_args(asked)["host_config"]
    assert host["ReadonlyRootfs"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]


def test_prefects_kubernetes_worker_makes_a_job_of_it(home: Home) -> None:
    worker = pytest.importorskip(
        "prefect_kubernetes.worker", reason="lmcore[pools] is not installed"
    )
    template = job_template("kubernetes", home, ["memory=16Gi", "secret=lmcore-worker"])
    made = prepared(worker.KubernetesWorkerJobConfiguration, template, "kubernetes", cpu="2")
    manifest = made.job_manifest
    assert "hidden" not in json.dumps(manifest)
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == ["python", "-m", "flows.servers.flow_run"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "16Gi"}
    environment = {item["name"]: item["value"] for item in container["env"]}
    assert environment["PREFECT_API_URL"] == SERVERS["PREFECT_API_URL"]
    assert environment["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"home": "/var/lib/lmcore", "secrets": "/run/secrets", "scratch": "/tmp"}
    assert {volume["name"] for volume in pod["volumes"]} == set(mounts)
    assert pod["volumes"][1]["secret"]["secretName"] == "lmcore-worker"

    # Prefect's worker wants both in the pod, where Kubernetes looks over them.
    assert (pod.pop("parallelism"), pod.pop("completions")) == (1, 1)
    check_fields(manifest, "V1Job")


def check_fields(value: Any, kind: str) -> None:
    """Every field is one that the API of Kubernetes documents, and is of its type."""
    from kubernetes_asyncio.client import models

    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        assert isinstance(value, list)
        for item in value:
            check_fields(item, inner[1])
    elif re.match(r"dict\(", kind):
        assert isinstance(value, dict)
    elif kind in ("str", "int", "bool"):
        assert type(value).__name__ == kind, (value, kind)
    else:
        model = getattr(models, kind)
        names = {name: attribute for attribute, name in model.attribute_map.items()}
        for name, item in value.items():
            check_fields(item, model.openapi_types[names[name]])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("memory", "expected KEY=VALUE"),
        ("memoory=8Gi", "unknown key 'memoory'; did you mean 'memory'"),
        ("zzz=1", "expected one of name, labels"),
        ("memory=much", "Validation failed for field 'memory'"),
        ("finished_job_ttl=-1", "Validation failed for field 'finished_job_ttl'"),
        ("finished_job_ttl=[", "is no YAML value"),
        ("image.tag=3", "'image' has no keys of its own"),
        ("env.MLFLOW_TRACKING_PASSWORD=pencil", "mount it as a file below /run/secrets"),
        ("env.MLFLOW_TRACKING_URI=https://me:pencil@mlflow.example", "no user and no password"),
        ("env.MLFLOW_TRACKING_URI=http://127.0.0.1:5000", "means the container itself"),
    ],
)
def test_what_a_template_cannot_hold_is_one_sentence(
    home: Home, change: str, sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        job_template("kubernetes", home, [change])
    assert sentence in str(refused.value)
    assert "pencil" not in str(refused.value)


def test_a_secret_may_be_a_reference(home: Home) -> None:
    reference = "{{ prefect.blocks.secret.mlflow }}"
    template = job_template("docker", home, [f"env.MLFLOW_TRACKING_PASSWORD={reference}"])
    environment = template["variables"]["properties"]["env"]["default"]
    assert environment["MLFLOW_TRACKING_PASSWORD"] == reference


def test_containers_may_share_the_network_of_their_machine(tmp_path: Path) -> None:
    home = make_home(
        tmp_path,
        environ={
            "PREFECT_API_URL": "http://127.0.0.1:4200/api",
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
        },
    )
    with pytest.raises(UserError, match=r"PREFECT_API_URL=.* means the container itself"):
        job_template("docker", home)
    job_template("docker", home, ["network_mode=host"])


def test_containers_need_a_registry_that_is_a_server(tmp_path: Path) -> None:
    home = make_home(tmp_path, environ={"PREFECT_API_URL": SERVERS["PREFECT_API_URL"]})
    with pytest.raises(UserError, match="set MLFLOW_TRACKING_URI to an MLflow server"):
        job_template("docker", home)


class Server:
    """Keeps pools as Prefect's server does."""

    def __init__(self) -> None:
        self.pools: dict[str, Any] = {}

    def create_work_pool(self, pool: Any) -> None:
        if pool.name in self.pools:
            raise ObjectAlreadyExists(Exception())
        self.pools[pool.name] = pool

    def read_work_pool(self, name: str) -> Any:
        return self.pools[name]

    def update_work_pool(self, name: str, change: Any) -> None:
        self.pools[name].base_job_template = change.base_job_template


def test_a_pool_is_made_once_then_given_the_template_of_its_type(home: Home) -> None:
    server: Any = Server()
    first = job_template("docker", home)
    assert make_pool(server, "p", "docker", first)
    second = job_template("docker", home, ["mem_limit=2g"])
    assert not make_pool(server, "p", "docker", second)
    assert server.pools["p"].base_job_template == second
    with pytest.raises(UserError, match="'p' exists and is of type docker; expected process"):
        make_pool(server, "p", "process", job_template("process", home))
