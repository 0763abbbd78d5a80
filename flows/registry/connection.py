"""The MLflow client of a home, and the experiment of a model.

In: a prepared home.  Out: a client of its embedded database, or of the server that it points to.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flows.home.environment import Home
from flows.home.relocation import relocate
from flows.registry.metric_queue import first_line
from lmcore.errors import IntegrityError, LmcoreError

# MLflow's pages then open with runs and curves, not with traces of language-model calls.
_KIND = {"mlflow.experimentKind": "custom_model_development"}


class TrackingError(LmcoreError):
    """MLflow's store cannot be reached or refuses to work."""


_clients: dict[str, MlflowClient] = {}
_clients_lock = threading.Lock()


def connect(home: Home) -> MlflowClient:
    """The MLflow client of this home; the embedded database is created on first use.

    Raises:
        IntegrityError: If the embedded database is damaged.
        TrackingError: If the store does not answer.
    """
    with _clients_lock:
        if home.tracking_uri not in _clients:
            if home.embedded:
                _check_database(home.mlflow_database)
            # Two processes that create or upgrade one database at the same time break it.
            with FileLock(home.locks / "mlflow-start.lock"):
                if home.embedded and home.mlflow_database.exists():
                    relocate(home.mlflow_database, home.mlflow_artifacts)
                try:
                    client = MlflowClient(
                        tracking_uri=home.tracking_uri, registry_uri=home.tracking_uri
                    )
                    client.search_registered_models(max_results=1)
                except Exception as error:
                    raise TrackingError(
                        f"MLflow at {home.tracking_uri} does not answer ({first_line(error)});"
                        " start it, or unset MLFLOW_TRACKING_URI."
                    ) from error
            _clients[home.tracking_uri] = client
        return _clients[home.tracking_uri]


def _check_database(path: Path) -> None:
    # MLflow would try for minutes to open what can never be opened.
    if not path.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
            database.execute("PRAGMA schema_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise IntegrityError(
            f"{path}: not a database that can be opened ({error}); it holds every version and"
            " its history: restore it from a copy, or set LMCORE_HOME to another folder."
        ) from error


def experiment(home: Home, model: str) -> str:
    """Identifier of the model's experiment, made where it does not exist."""
    client = connect(home)
    with FileLock(home.locks / "mlflow-experiment.lock"):
        found = client.get_experiment_by_name(model)
        if found is None:
            # Without a location the server's own artifact store is used, as it should be there.
            location = home.mlflow_artifacts.as_uri() if home.embedded else None
            try:
                return client.create_experiment(model, artifact_location=location, tags=_KIND)
            except MlflowException as error:
                # Another machine was faster, or this is the second try of a request that arrived.
                found = client.get_experiment_by_name(model)
                if found is None:
                    raise TrackingError(
                        f"MLflow did not create the experiment {model}: {first_line(error)}"
                    ) from error
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def missing(error: MlflowException) -> bool:
    """Whether MLflow means that what was asked for does not exist."""
    return bool(error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"))


def pages(search: Any, **arguments: Any) -> Iterator[Any]:
    """All that a search of MLflow's client finds."""
    token = None
    while True:
        page = search(max_results=500, page_token=token, **arguments)
        yield from page
        token = page.token
        if not token:
            return
