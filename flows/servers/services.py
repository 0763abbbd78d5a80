"""The five processes of `lmcore up`: commands, settings, and how each says that it is ready.

In: a home, configurations, and sockets that listen.  Out: services for the supervisor, and the
publication by which every other command finds them.
"""

from __future__ import annotations

import os
import secrets
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flows.dashboard.server import MLFLOW_PAGES, PREFECT_PAGES
from flows.home.configurations import names_the_hub
from flows.home.folders import PROJECT, Home
from flows.home.publication import Publication
from flows.servers.addresses import Addresses
from flows.servers.prefect_server import PREFECT_APP
from flows.servers.supervisor import Service
from lmcore.config import RunConfig

_USER = "lmcore"
_PROBE_SECONDS = 2.0
_MLFLOW_APP = "mlflow.server.fastapi_app:app"
_DASHBOARD_APP = "flows.dashboard.server:site"


def services(
    home: Home, host: str, configs: Sequence[RunConfig], addresses: Addresses
) -> tuple[Publication, list[Service]]:
    """What is to be started, in this order, and what other commands will be told of it.

    Args:
        home: Of the servers.
        host: A loopback address, as it is listened on.
        configs: One a model.
        addresses: Sockets that listen already, and the password.
    """
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
