"""`lmcore up`: Prefect, MLflow, the schedules and the dashboard of one home, until it is stopped.

In: configurations.  Out: five child processes on loopback, one login for all of them, and a file
by which every other command of this home finds them.

The servers work on the databases that `lmcore run` uses, so whatever ran before is there.  They are
for one machine: all of them ask for a password that is drawn at each start, and none of them
encrypts, so no other address than loopback is offered.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock, Timeout

from flows.dashboard.server import MLFLOW_PAGES, PREFECT_PAGES
from flows.home import prefect_database
from flows.home.configurations import load_configs, names_the_hub
from flows.home.environment import Home, current
from flows.home.folders import PROJECT
from flows.home.publication import Publication, exclusive_use, publish, withdraw
from flows.home.registry_database import ready
from flows.home.schedules import described
from flows.progress.console import jobs_shown
from flows.servers.addresses import Addresses, take_addresses
from flows.servers.prefect_server import PREFECT_APP
from flows.servers.supervisor import Service, ServiceError, Supervisor
from lmcore.artifacts import atomic_write
from lmcore.config import RunConfig
from lmcore.errors import UserError
from lmcore.kept_database import being_made

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_USER = "lmcore"
_READY_SECONDS = 180.0
_PROBE_SECONDS = 2.0
_LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
_MLFLOW_APP = "mlflow.server.fastapi_app:app"
_DASHBOARD_APP = "flows.dashboard.server:site"

_stop = threading.Event()
_again = threading.Event()


@dataclass(frozen=True, kw_only=True)
class _Running:
    """Everything that answers."""

    home: Home
    supervisor: Supervisor
    publication: Publication
    configs: Sequence[RunConfig]
    seconds: float

    def answer(self) -> dict[str, Any]:
        """What the command says when everything answers."""
        return {
            "prefect": self.publication.prefect_url,
            "mlflow": self.publication.mlflow_url,
            "dashboard": self.publication.dashboard_url,
            "serve": self.publication.serve_url,
            "user": self.publication.user,
            "password": self.publication.password,
            "pid": self.publication.pid,
            "processes": self.supervisor.pids,
            "logs": str(self.home.logs),
            "models": [
                {
                    "model": config.name,
                    "schedule": described(config),
                    "watch_minutes": config.schedule.watch_minutes if config.schedule else None,
                }
                for config in self.configs
            ],
            "seconds": round(self.seconds, 1),
        }


def up(config_files: Sequence[Path], *, host: str) -> tuple[dict[str, Any], Callable[[], None]]:
    """Start everything.

    Args:
        config_files: One configuration a model; none means the installed default.
        host: A loopback address.

    Returns:
        The answer of the command, and what keeps everything running until a signal stops it.

    Raises:
        UserError: If a configuration or the address is wrong, another `up` runs in this home, or
            the environment names servers of the user's own.
        ServiceError: If a server does not come up.
    """
    with contextlib.ExitStack() as starting:
        starting.enter_context(_stop_signals())
        running = _start(current(), config_files, host, starting)
        stack = starting.pop_all()

    def stay() -> None:
        with stack, jobs_shown(running.home.running):
            running.supervisor.watch(_stop.is_set)
            logger.info("stopping; flow runs in progress are ended first")

    return running.answer(), stay


def _start(
    home: Home, config_files: Sequence[Path], host: str, stack: contextlib.ExitStack
) -> _Running:
    begun = time.monotonic()
    address = _LOOPBACK.get(host)
    if address is None:
        raise UserError(
            f"--host {host} would offer the servers to other machines without encryption, and every"
            " registered model with them; use 127.0.0.1 and a tunnel (`ssh -L`), or the servers of"
            " docker-compose.yml behind a proxy with TLS."
        )
    configs = load_configs(home, config_files)
    stack.enter_context(exclusive_use(home.root))
    if home.prefect_api_url is not None or not home.embedded:
        raise UserError(
            "PREFECT_API_URL or MLFLOW_TRACKING_URI names a server of your own, and `lmcore up`"
            " starts its own; unset both, or deploy to that server with `lmcore deploy`."
        )
    addresses = take_addresses(home.root, address)
    withdraw(home.root)
    stack.callback(withdraw, home.root)
    _store_configs(home, configs)
    publication, services = _services(home, address, configs, addresses)
    supervisor = Supervisor(services)
    with _start_locks(home):
        ready(home)
        prefect_database.ready(home, alone=contextlib.nullcontext)
        with being_made(home.mlflow_database), being_made(home.prefect_database):
            supervisor.start(timeout_seconds=_READY_SECONDS, should_stop=_stop.is_set)
    stack.callback(supervisor.stop, hurry=_again.is_set)
    publish(home.root, publication)
    return _Running(
        home=home,
        supervisor=supervisor,
        publication=publication,
        configs=configs,
        seconds=time.monotonic() - begun,
    )


def _store_configs(home: Home, configs: Sequence[RunConfig]) -> None:
    values = [config.model_dump(mode="json") for config in configs]
    atomic_write(home.up / "configs.json", json.dumps(values, ensure_ascii=False))
    folder = home.up / "configs"
    folder.mkdir(exist_ok=True)
    for config in configs:
        atomic_write(folder / f"{config.name}.yaml", config.to_yaml())


@contextlib.contextmanager
def _start_locks(home: Home) -> Iterator[None]:
    """Nobody else creates or upgrades the databases meanwhile."""
    with contextlib.ExitStack() as stack:
        for name in ("prefect-start", "mlflow-start"):
            lock = FileLock(home.locks / f"{name}.lock")
            try:
                stack.enter_context(lock.acquire(timeout=_READY_SECONDS))
            except Timeout as error:
                raise ServiceError(
                    f"another command has held {lock.lock_file} for {_READY_SECONDS:.0f} s; end it."
                ) from error
        yield


def _services(
    home: Home, host: str, configs: Sequence[RunConfig], addresses: Addresses
) -> tuple[Publication, list[Service]]:
    listeners = addresses.listeners
    shown = f"[{host}]" if ":" in host else host
    authority = {n: f"{shown}:{s.getsockname()[1]}" for n, s in listeners.items()}
    publication = Publication(
        pid=os.getpid(),
        prefect_api_url=f"http://{authority['prefect']}/api",
        mlflow_url=f"http://{authority['mlflow']}",
        dashboard_url=f"http://{authority['dashboard']}",
        serve_url=f"http://{authority['serve']}/v1",
        user=_USER,
        password=addresses.password,
    )
    script = str(Path(__file__).with_name("serve_app.py"))
    serve = [sys.executable, "-P", script, "{fd}"]
    base = {**os.environ, "PYTHONPATH": _python_path()}
    login = {"LMCORE_SERVER_LOGIN": publication.login}
    ready_file = home.up / "runner.ready"
    ready_file.unlink(missing_ok=True)
    hub = "0" if any(names_the_hub(config) for config in configs) else "1"

    def service(name: str, command: Sequence[str], **changes: Any) -> Service:
        settings = changes.pop("environ")
        return Service(
            name=name,
            command=command,
            environ={**base, **settings},
            folder=home.empty,
            log=home.logs / f"{name}.log",
            listener=listeners.get(name),
            **changes,
        )

    return publication, [
        service(
            "prefect",
            [*serve, *PREFECT_APP],
            environ={
                **_prefect_settings(home, publication),
                **login,
                # Its API asks by itself, and its pages must be seen to ask; these two do not.
                "LMCORE_SERVER_LOGIN_PATHS": "/docs /redoc /openapi.json",
            },
            ready=_answers(f"{publication.prefect_api_url}/health"),
        ),
        service(
            "mlflow",
            [*serve, _MLFLOW_APP],
            environ={
                **_mlflow_settings(home),
                **login,
                "LMCORE_ARTIFACT_ROOT": str(home.mlflow_artifacts),
            },
            # A request that opens the database: MLflow creates or upgrades it at the first one.
            ready=_answers(
                f"{publication.mlflow_url}/api/2.0/mlflow/registered-models/search?max_results=1",
                publication,
            ),
        ),
        service(
            "dashboard",
            [*serve, _DASHBOARD_APP, "--factory"],
            environ={
                **publication.settings(),
                **login,
                MLFLOW_PAGES: publication.mlflow_url,
                PREFECT_PAGES: publication.prefect_url,
            },
            ready=_answers(f"{publication.dashboard_url}/health"),
        ),
        service(
            "serve",
            [sys.executable, "-P", "-m", "flows.serving.serve", "{fd}"],
            environ={
                **publication.settings(),
                # It only reads, and the tables take a tenth of the memory of a client.
                "MLFLOW_TRACKING_URI": home.tracking_uri,
                "LMCORE_SERVE_KEY": publication.password,
            },
            ready=_answers(publication.serve_url.removesuffix("/v1") + "/health"),
            stop_seconds=30.0,  # requests under way are answered
        ),
        service(
            "runner",
            [
                sys.executable,
                "-P",
                "-m",
                "flows.servers.runner_process",
                str(home.up / "configs.json"),
            ],
            environ={
                **publication.settings(),
                "HF_HUB_OFFLINE": hub,
                "HF_DATASETS_OFFLINE": hub,
            },
            ready=ready_file.exists,
            stop_seconds=30.0,  # flow runs save what they have
        ),
    ]


def _prefect_settings(home: Home, publication: Publication) -> dict[str, str]:
    return {
        "PREFECT_API_URL": publication.prefect_api_url,
        "PREFECT_SERVER_API_AUTH_STRING": publication.login,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": publication.prefect_url,
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_UI_ENABLED": "true",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # Relative, so that the pages work through a tunnel to another port too.
        "PREFECT_SERVER_UI_API_URL": "/api",
        # Prefect writes its pages anew at each start, else into the installed package.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home.prefect / "ui"),
        # By default a hundred runs of the watch are planned ahead, and all are late after a night
        # without servers; each that is settled is a transaction that the others wait for.
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "20",
        "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS": "5",
        "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": "3",
        "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT1M",
        # A watch every ten minutes is 50,000 flow runs a year; what was decided is in MLflow.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        # In memory they would be lost when the server is started again: a run that goes on could
        # not renew its place and would be ended, and the place would stay taken.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
    }


def _mlflow_settings(home: Home) -> dict[str, str]:
    """What `mlflow server` tells its workers; one process is enough for one machine.

    Artifacts are files below the home, whoever writes them: clients on this machine reach them by
    path, as the embedded default does, so no file goes through the server.
    """
    return {
        "_MLFLOW_SERVER_FILE_STORE": home.tracking_uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": home.tracking_uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": home.mlflow_artifacts.as_uri(),
        # Not the private networks that MLflow would add; any port, for tunnels.
        "MLFLOW_SERVER_ALLOWED_HOSTS": "127.0.0.1:*,localhost:*,[[]::1]:*",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "http://localhost",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(24),
    }


def _python_path() -> str:
    """Children start in another folder, and find this very package there."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    absolute = [str(Path(entry).absolute()) for entry in entries if Path(entry).is_absolute()]
    return os.pathsep.join([str(PROJECT), *absolute])


def _answers(url: str, publication: Publication | None = None) -> Callable[[], bool]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url)  # noqa: S310 (our own address)
    if publication is not None:
        request.add_header("Authorization", _basic(publication))

    def probe() -> bool:
        try:
            with opener.open(request, timeout=_PROBE_SECONDS) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return probe


def _basic(publication: Publication) -> str:
    """The header `Authorization` that all three servers accept."""
    import base64

    return "Basic " + base64.b64encode(publication.login.encode()).decode()


@contextlib.contextmanager
def _stop_signals() -> Iterator[None]:
    """Inside, the first Ctrl-C, SIGTERM or SIGHUP asks to stop, the second one not to wait."""
    _stop.clear()
    _again.clear()

    def handle(number: int, frame: FrameType | None) -> None:
        (_again if _stop.is_set() else _stop).set()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
