"""Runs that are in the store: looked up, listed and removed.  What goes on is `tracking`'s."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.home.environment import Home
from flows.registry.artifact_files import remove_artifacts, stored_bytes
from flows.registry.connection import connect
from flows.registry.tracking import CONTENT_TAG
from flows.registry.versions import RUN_KEY_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """One run of the pipeline as the store knows it.

    Attributes:
        id: Its identifier.
        status: As MLflow has it.
        started: Seconds since the epoch.
        content: Keys of the content folders that it has to do with.
        num_bytes: Of its own files, where they lie on this machine.
    """

    id: str
    status: str
    started: float
    content: tuple[str, ...]
    num_bytes: int

    @property
    def finished(self) -> bool:
        """Whether it did all that it was asked for."""
        return self.status == "FINISHED"


def list_runs(home: Home, *, model: str) -> list[RunFacts]:
    """Every run of a model that has a run key, oldest first."""
    return [
        RunFacts(
            id=str(run.info.run_id),
            status=str(run.info.status),
            started=run.info.start_time / 1000,
            content=tuple(run.data.tags.get(CONTENT_TAG, "").split()),
            num_bytes=stored_bytes(str(run.info.artifact_uri)),
        )
        for run in _runs(home, experiment_name=model)
        if RUN_KEY_TAG in run.data.tags
    ]


def remove_run(home: Home, run_id: str) -> None:
    """Delete the files of a run, then the run; a second call goes on where one was killed."""
    client = connect(home)
    remove_artifacts(str(client.get_run(run_id).info.artifact_uri))
    client.delete_run(run_id)


def tag_values(home: Home, *, experiment_name: str, tag: str) -> list[str]:
    """One tag of every finished run of an experiment, oldest first; none where there is none."""
    finished = _runs(home, experiment_name=experiment_name, only="attributes.status = 'FINISHED'")
    return [run.data.tags[tag] for run in finished if tag in run.data.tags]


def _runs(home: Home, *, experiment_name: str, only: str = "") -> Iterator[Run]:
    client = connect(home)
    found = client.get_experiment_by_name(experiment_name)
    token = None
    while found is not None:
        page = client.search_runs(
            [found.experiment_id],
            filter_string=only,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def recent_runs(home: Home, *, model: str, limit: int) -> list[dict[str, Any]]:
    """The newest runs of a model, whatever came of them: state, times and tags.

    Returns:
        Mappings of run_id, experiment_id, name, state, started, ended (milliseconds) and tags.
    """
    client = connect(home)
    found = client.get_experiment_by_name(model)
    if found is None:
        return []
    runs = client.search_runs(
        [found.experiment_id], order_by=["attributes.start_time DESC"], max_results=limit
    )
    return [
        {
            "run_id": str(run.info.run_id),
            "experiment_id": str(run.info.experiment_id),
            "name": str(run.info.run_name or ""),
            "state": str(run.info.status),
            "started": run.info.start_time,
            "ended": run.info.end_time,
            "tags": dict(run.data.tags),
        }
        for run in runs
    ]
