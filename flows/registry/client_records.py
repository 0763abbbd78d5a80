"""MLflow's tables as its client answers: of a server, and of a schema that is not the pinned one.

In: a client.  Out: rows (`flows.registry.records`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from flows.registry.connection import missing, pages
from flows.registry.records import ModelRecord, RunRecord, StoredRecord, VersionRecord


class ClientRecords:
    """Asks through MLflow's client.

    Args:
        client: Of a registry.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def models(self) -> list[ModelRecord]:
        """See `Records`."""
        found = [_model(model) for model in pages(self._client.search_registered_models)]
        return sorted(found, key=lambda model: model.name)

    def model(self, name: str) -> ModelRecord | None:
        """See `Records`."""
        # A missing alias is "invalid" to MLflow, a missing model is "missing": ask for all.
        found = _unless_missing(self._client.get_registered_model, name)
        return None if found is None else _model(found)

    def versions(self, name: str | None = None) -> list[VersionRecord]:
        """See `Records`."""
        only = {} if name is None else {"filter_string": f"name = '{name}'"}
        found = [_version(v) for v in pages(self._client.search_model_versions, **only)]
        return sorted(found, key=lambda version: (version.name, version.version))

    def version(self, name: str, number: int) -> VersionRecord | None:
        """See `Records`."""
        found = _unless_missing(self._client.get_model_version, name, str(number))
        return None if found is None else _version(found)

    def latest(self, name: str) -> VersionRecord | None:
        """See `Records`."""
        found = self._client.search_model_versions(
            filter_string=f"name = '{name}'", order_by=["version_number DESC"], max_results=1
        )
        return _version(found[0]) if found else None

    def sources(self) -> list[str]:
        """See `Records`."""
        return [version.source for version in self.versions()]

    def location(self, model_id: str) -> str | None:
        """See `Records`."""
        found = _unless_missing(self._client.get_logged_model, model_id)
        return None if found is None else str(found.artifact_location)

    def stored(self, experiment: str | None = None) -> list[StoredRecord]:
        """See `Records`."""
        found = [
            StoredRecord(
                model_id=str(model.model_id),
                experiment=str(known.name),
                artifact_location=str(model.artifact_location),
                creation_timestamp=int(model.creation_timestamp),
            )
            for known in self._experiments(experiment)
            for model in pages(
                self._client.search_logged_models, experiment_ids=[known.experiment_id]
            )
        ]
        return sorted(found, key=lambda model: model.model_id)

    def runs(
        self, experiment: str | None = None, *, finished: bool = False, newest: int | None = None
    ) -> list[RunRecord]:
        """See `Records`."""
        names = {str(one.experiment_id): str(one.name) for one in self._experiments(experiment)}
        if not names:
            return []
        asked: dict[str, Any] = {
            "experiment_ids": list(names),
            "filter_string": "attributes.status = 'FINISHED'" if finished else "",
            "order_by": [f"attributes.start_time {'ASC' if newest is None else 'DESC'}"],
        }
        if newest is None:
            return [_run(run, names) for run in pages(self._client.search_runs, **asked)]
        return [_run(run, names) for run in self._client.search_runs(max_results=newest, **asked)]

    def _experiments(self, name: str | None) -> list[Any]:
        """The experiment of a name, if there is one; or all, as runs of a deleted one are there."""
        if name is None:
            return list(pages(self._client.search_experiments, view_type=ViewType.ALL))
        known = self._client.get_experiment_by_name(name)
        return [] if known is None else [known]


def _unless_missing(ask: Any, *arguments: str) -> Any:
    try:
        return ask(*arguments)
    except MlflowException as error:
        if not missing(error):
            raise
        return None


def _model(model: Any) -> ModelRecord:
    return ModelRecord(
        name=str(model.name),
        tags=dict(model.tags),
        aliases={str(alias): int(number) for alias, number in model.aliases.items()},
    )


def _version(version: Any) -> VersionRecord:
    return VersionRecord(
        name=str(version.name),
        version=int(version.version),
        run_id=version.run_id,
        creation_timestamp=int(version.creation_timestamp),
        source=str(version.source),
        tags=dict(version.tags),
    )


def _run(run: Any, names: Mapping[str, str]) -> RunRecord:
    return RunRecord(
        run_id=str(run.info.run_id),
        experiment_id=str(run.info.experiment_id),
        experiment=names[str(run.info.experiment_id)],
        name=str(run.info.run_name or ""),
        status=str(run.info.status),
        start_time=int(run.info.start_time),
        end_time=run.info.end_time,
        artifact_uri=str(run.info.artifact_uri),
        tags=dict(run.data.tags),
    )
