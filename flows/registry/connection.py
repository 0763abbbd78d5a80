"""The MLflow client of a home, and the experiment of a model.

In: a prepared home.  Out: a client of its embedded database, or of the server that it points to.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flows.home.environment import Home
from flows.home.publication import remedy
from flows.home.registry_database import ready
from flows.registry.metric_queue import first_line
from flows.registry.patient_client import PatientClient, hasty, patient_call
from lmcore.durable import storage_error, storage_number
from lmcore.errors import LmcoreError
from lmcore.kept_database import being_made

# MLflow's pages then open with runs and curves, not with traces of language-model calls.
_KIND = {"mlflow.experimentKind": "custom_model_development"}


class TrackingError(LmcoreError):
    """MLflow's store cannot be reached or refuses to work."""


#: Set by a runner or worker of Prefect's.
_FLOW_RUN = "PREFECT__FLOW_RUN_ID"

_clients: dict[str, MlflowClient] = {}
_clients_lock = threading.Lock()


def connect(home: Home) -> MlflowClient:
    """The MLflow client of this home; the embedded database is created on first use.

    Raises:
        IntegrityError: If the embedded database is damaged or lost, and cannot be put right.
        StorageError: If the disk of the embedded database is full or fails.
        TrackingError: If the store does not answer.
    """
    with _clients_lock:
        if home.tracking_uri not in _clients:
            # Two processes that create or upgrade one database at the same time break it.
            with FileLock(home.locks / "mlflow-start.lock"), contextlib.ExitStack() as making:
                if home.embedded:
                    ready(home)
                    making.enter_context(being_made(home.mlflow_database))
                try:
                    client = _client(home)
                    search = hasty(client).search_registered_models
                    # An address is wrong rather than away, unless a flow run was sent here.
                    first = functools.partial(search, max_results=1)
                    if _FLOW_RUN in os.environ:
                        patient_call(client, first)
                    else:
                        first()
                except LmcoreError:
                    raise
                except Exception as error:
                    raise _failure(home, error) from error
            _clients[home.tracking_uri] = client
        return _clients[home.tracking_uri]


def _failure(home: Home, error: Exception) -> LmcoreError:
    if not home.embedded:
        return TrackingError(
            f"MLflow at {home.tracking_uri} does not answer ({first_line(error)});"
            " start it, or unset MLFLOW_TRACKING_URI."
        )
    if (number := storage_number(error)) is not None:
        return storage_error(home.mlflow_database, number)
    return TrackingError(
        f"{home.mlflow_database}: MLflow cannot work with it ({first_line(error)}); restore it from"
        " a backup, or set LMCORE_HOME to another folder."
    )


def _client(home: Home) -> MlflowClient:
    if home.embedded:
        return MlflowClient(tracking_uri=home.tracking_uri, registry_uri=home.tracking_uri)
    parts = urlsplit(home.tracking_uri)
    shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return PatientClient(home.tracking_uri, server=f"MLflow at {shown}", remedy=remedy(home))


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
