"""MLflow's client, whose calls wait for a server that went away.

In: the address of a server.  Out: an `MlflowClient`; where nothing listens at the address, or only
errors of a server that is starting or stopping come back, a call is made again
(`flows.home.patience`) instead of failing a run that has trained for hours.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flows.home.patience import patiently
from flows.registry.metric_queue import first_line

R = TypeVar("R")


class PatientClient(MlflowClient):
    """Every call waits for the server.

    Args:
        address: Of the server.
        server: Its name and address, for people.
        remedy: What to do when it does not come back.

    Attributes:
        hasty: A client whose calls fail at once.
    """

    def __init__(self, address: str, *, server: str, remedy: str) -> None:
        super().__init__(tracking_uri=address, registry_uri=address)
        self.hasty = MlflowClient(tracking_uri=address, registry_uri=address)
        self._patience = {"server": server, "remedy": remedy}

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name == "hasty" or not callable(found):
            return found

        @functools.wraps(found)
        def patient(*args: Any, **kwargs: Any) -> Any:
            call = functools.partial(found, *args, **kwargs)
            return patiently(call, away=outage, **self._patience)

        return patient


def hasty(client: MlflowClient) -> MlflowClient:
    """A client of the same store that does not wait."""
    return client.hasty if isinstance(client, PatientClient) else client


def patient_call(client: MlflowClient, call: Callable[[], R]) -> R:
    """A call that reaches the store of a client in another way, with the same patience."""
    if not isinstance(client, PatientClient):
        return call()
    return patiently(call, away=outage, **client._patience)


def outage(error: Exception) -> str | None:
    """How an error says that the server is not there; None: it says something else."""
    # MLflow wraps what its transport raises.  No deeper: what else was wrong before is no matter.
    link = error.__context__ if isinstance(error, MlflowException) else error
    if isinstance(link, requests.exceptions.RetryError):  # 429 and 5xx, as often as MLflow asks
        reason = first_line(link).rpartition("too many ")[2].strip("')")
        return f"it gives {reason} only"
    if isinstance(link, requests.exceptions.Timeout):
        return "it does not answer in time"
    return "it does not answer" if isinstance(link, requests.exceptions.ConnectionError) else None
