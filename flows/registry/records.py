"""What MLflow's tables hold, as rows: one interface, read with MLflow's client or without it.

In: a prepared home.  Out: registered models, their versions, stored models and runs.

In the embedded default the tables are read as they are (`flows.registry.embedded_records`):
MLflow's client takes two seconds to import and several queries for each thing that it answers.
A server, and a database of another release's schema, is asked through the client
(`flows.registry.client_records`).  Nothing is ever written here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flows.home.folders import Home
from flows.home.publication import held_by_up

if TYPE_CHECKING:
    from mlflow import MlflowClient


#: Of a registered model that others are made from, and its value.
KIND_TAG, KIND = "kind", "base"


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """A registered model.

    Attributes:
        name: Its name.
        tags: All of them.
        aliases: Alias to version number.
    """

    name: str
    tags: Mapping[str, str] = field(repr=False)
    aliases: Mapping[str, int]

    @property
    def is_base(self) -> bool:
        """Whether others are made from it; no pipeline made it."""
        return self.tags.get(KIND_TAG) == KIND


@dataclass(frozen=True, kw_only=True)
class VersionRecord:
    """A version of a registered model.

    Attributes:
        name: Of the model.
        version: Its number.
        run_id: MLflow run that made it, if any.
        creation_timestamp: Milliseconds since 1970.
        source: Where MLflow keeps its files, `models:/ID`.
        tags: All of them.
    """

    name: str
    version: int
    run_id: str | None
    creation_timestamp: int
    source: str
    tags: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class StoredRecord:
    """A stored model: files that a version may name.

    Attributes:
        model_id: Its identifier.
        experiment: Name of its experiment, which is that of the model it was stored for.
        artifact_location: Where its files lie.
        creation_timestamp: Milliseconds since 1970.
    """

    model_id: str
    experiment: str
    artifact_location: str
    creation_timestamp: int


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run that was not deleted.

    Attributes:
        run_id: Its identifier.
        experiment_id: Of its experiment.
        experiment: Name of its experiment.
        name: As MLflow shows it.
        status: RUNNING, FINISHED, FAILED, KILLED or SCHEDULED.
        start_time: Milliseconds since 1970.
        end_time: The same, None while it goes on.
        artifact_uri: Where its files lie.
        tags: All of them.
    """

    run_id: str
    experiment_id: str
    experiment: str
    name: str
    status: str
    start_time: int
    end_time: int | None
    artifact_uri: str
    tags: Mapping[str, str] = field(repr=False)


class Records(Protocol):
    """Reads MLflow's tables."""

    def models(self) -> list[ModelRecord]:
        """All registered models, by name."""
        ...

    def model(self, name: str) -> ModelRecord | None:
        """One registered model."""
        ...

    def versions(self, name: str | None = None) -> list[VersionRecord]:
        """Versions of a model, or of all, by name and number."""
        ...

    def version(self, name: str, number: int) -> VersionRecord | None:
        """One version."""
        ...

    def latest(self, name: str) -> VersionRecord | None:
        """The version of a model with the highest number."""
        ...

    def sources(self) -> list[str]:
        """Where MLflow keeps the files of each version of every model."""
        ...

    def location(self, model_id: str) -> str | None:
        """Where the files of a stored model lie."""
        ...

    def stored(self, experiment: str | None = None) -> list[StoredRecord]:
        """Stored models of an experiment, or of all, by identifier.

        Who wants those of many asks for all: no index leads to those of one.
        """
        ...

    def runs(
        self, experiment: str | None = None, *, finished: bool = False, newest: int | None = None
    ) -> list[RunRecord]:
        """Runs of an experiment, or of all, oldest first.

        Args:
            experiment: Its name; None: of all, as no index leads to those of one.
            finished: Only those that ended FINISHED.
            newest: Only so many, newest first.
        """
        ...


class Store:
    """MLflow's tables of one home: to read, and, once something is to be written, its client.

    Args:
        home: A prepared home.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        records_of(home)  # what is damaged or away is named at once

    @property
    def records(self) -> Records:
        """What is there."""
        return records_of(self.home)

    def aliases(self, name: str) -> dict[str, int]:
        """Alias to version number; empty if the model does not exist."""
        model = self.records.model(name)
        return {} if model is None else dict(model.aliases)

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client; it makes the embedded database where there is none."""
        from flows.registry.connection import connect

        return connect(self.home)


_embedded: dict[Path, Records] = {}
_MADE_SECONDS = 120.0
_POLL_SECONDS = 0.2


def records_of(home: Home) -> Records:
    """What suits the home; the embedded database is looked at once a process.

    Raises:
        IntegrityError: If the embedded database is damaged or lost, and cannot be put right.
        TrackingError: If the store does not answer.
    """
    if home.embedded:
        if (known := _embedded.get(home.mlflow_database)) is not None:
            return known
        from flows.registry.embedded_records import EmbeddedRecords

        embedded = EmbeddedRecords(home)
        # The MLflow of an `lmcore up` that starts is making it; whoever asked for the lock of that
        # would wait for `up`, which waits for what it has started.
        deadline = time.monotonic() + _MADE_SECONDS
        while not embedded.is_known() and held_by_up(home.root) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if embedded.is_known():
            if home.mlflow_database.exists():  # else its schema is not known yet
                _embedded[home.mlflow_database] = embedded
            return embedded
    from flows.registry.client_records import ClientRecords
    from flows.registry.connection import connect

    return ClientRecords(connect(home))
