"""Runs that are in the store: looked up, listed and removed.  What goes on is `tracking`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flows.home.environment import Home
from flows.registry.artifact_files import remove_artifacts, stored_bytes
from flows.registry.records import records_of
from flows.registry.versions import CONTENT_TAG, RUN_KEY_TAG


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """One run of the pipeline as the store knows it.

    Attributes:
        id: Its identifier.
        model: Registered model that it was for.
        status: As MLflow has it.
        started: Seconds since the epoch.
        content: Keys of the content folders that it has to do with.
        location: Of its own files.
    """

    id: str
    model: str
    status: str
    started: float
    content: tuple[str, ...]
    location: str

    @property
    def finished(self) -> bool:
        """Whether it did all that it was asked for."""
        return self.status == "FINISHED"

    @property
    def num_bytes(self) -> int:
        """Bytes of its own files, where they lie on this machine."""
        return stored_bytes(self.location)


def list_runs(home: Home, *, model: str | None) -> list[RunFacts]:
    """Every run of a model, or of all, that has a run key, oldest first."""
    return [
        RunFacts(
            id=run.run_id,
            model=run.experiment,
            status=run.status,
            started=run.start_time / 1000,
            content=tuple(run.tags.get(CONTENT_TAG, "").split()),
            location=run.artifact_uri,
        )
        for run in records_of(home).runs(model)
        if RUN_KEY_TAG in run.tags
    ]


def remove_run(home: Home, run_id: str) -> None:
    """Delete the files of a run, then the run; a second call goes on where one was killed."""
    from flows.registry.connection import connect

    client = connect(home)
    remove_artifacts(str(client.get_run(run_id).info.artifact_uri))
    client.delete_run(run_id)


def tag_values(home: Home, *, experiment_name: str, tag: str) -> list[str]:
    """One tag of every finished run of an experiment, oldest first; none where there is none."""
    finished = records_of(home).runs(experiment_name, finished=True)
    return [run.tags[tag] for run in finished if tag in run.tags]


def recent_runs(home: Home, *, model: str, limit: int) -> list[dict[str, Any]]:
    """The newest runs of a model, whatever came of them: state, times and tags.

    Returns:
        Mappings of run_id, experiment_id, name, state, started, ended (milliseconds) and tags.
    """
    return [
        {
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "name": run.name,
            "state": run.status,
            "started": run.start_time,
            "ended": run.end_time,
            "tags": dict(run.tags),
        }
        for run in records_of(home).runs(model, newest=limit)
    ]
