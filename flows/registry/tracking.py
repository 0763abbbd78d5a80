"""One MLflow run for each run of the pipeline, open while it goes.

In: metrics by step, the resolved configuration, fingerprints, files.  Out: a run of the
experiment that is named after the model, whose curves grow while the model trains.

A run is found again by its key.  So a pipeline that was killed and started again goes on in the
same MLflow run, and steps that are trained a second time are not logged a second time.  Every
call names its run: MLflow's own "active run" belongs to one thread.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from flows.home.environment import Home
from flows.home.patience import gone
from flows.registry.connection import TrackingError, connect, experiment
from flows.registry.metric_queue import MetricQueue, Point, first_line, now_milliseconds
from flows.registry.parameters import KEY_CHARACTERS, flatten, valid_key
from flows.registry.patient_client import hasty, outage
from flows.registry.versions import CONTENT_TAG, RUN_KEY_TAG, clean

logger = logging.getLogger(__name__)

_INTERRUPTIONS = ("Interrupted", "StoppedError")
Status = Literal["FINISHED", "FAILED", "KILLED"]

# Limits of MLflow's own validation; longer values are cut and say so.
_PARAMS_A_BATCH = 100
_METRICS_A_BATCH = 1000
# How long a step may wait for metrics to be stored, and how long the end of a run may.
_FLUSH_SECONDS = 10.0
_END_SECONDS = 600.0
_PARAM_CHARACTERS = 6000
_TAG_CHARACTERS = 8000
_DIGEST_CHARACTERS = 36
_SOURCE_CHARACTERS = 60_000
_PROFILE_CHARACTERS = 500_000


class TrackedRun:
    """An open MLflow run; safe to use from any thread.

    As a context manager it ends FINISHED, FAILED after an error, or KILLED after an
    interruption (KeyboardInterrupt, or an error that is named `...Interrupted` or
    `...StoppedError`), which the same run key opens again.
    """

    def __init__(self, client: MlflowClient, run: Run, *, resumed: bool, spool: Path) -> None:
        self._client = client
        self._lock = threading.RLock()
        self._content: list[str] = []
        self._ended = False
        self._flushed = 0.0
        self.run_id = str(run.info.run_id)
        self.experiment_id = str(run.info.experiment_id)
        self.resumed = resumed
        self._queue = MetricQueue(
            self._send, spool=spool / f"{self.run_id}.json", batch=_METRICS_A_BATCH
        )
        # Now, because in the middle of training the store may be away.
        self._logged: dict[str, set[int]] = {
            key: {metric.step for metric in client.get_metric_history(self.run_id, key)}
            for key in (run.data.metrics if resumed else ())
        }
        for point in self._queue.waiting():
            self._steps(point.key).add(point.step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.end("FINISHED")
        elif issubclass(kind, KeyboardInterrupt) or kind.__name__.endswith(_INTERRUPTIONS):
            self.end("KILLED")
        else:
            self.end("FAILED")

    def log_metrics(
        self, values: Mapping[str, float], *, step: int = 0, patience_seconds: float = 0.0
    ) -> None:
        """Log values of one step; a step that the run already has is left alone.

        They are sent now, or together with later ones within `patience_seconds`: a transaction
        of the store takes as long as a step of a small model.

        A value that is not finite is not stored (MLflow turns infinity into 1.8e308) and is
        reported.  Where the store fails, training goes on: the values are kept, also on disk,
        and sent when it is back.
        """
        with self._lock:
            points = []
            for name, value in values.items():
                key = valid_key(name)
                if not math.isfinite(value):
                    logger.warning("%s=%s at step %d is not finite; not logged", key, value, step)
                elif step not in self._steps(key):
                    self._logged[key].add(step)
                    points.append(Point(key, float(value), now_milliseconds(), step))
            self._queue.put(points)
            if patience_seconds <= 0:
                self._queue.flush(timeout=_FLUSH_SECONDS)
            elif time.monotonic() - self._flushed >= patience_seconds:
                self._flushed = time.monotonic()
                self._queue.flush()

    def _steps(self, key: str) -> set[int]:
        return self._logged.setdefault(key, set())

    def _send(self, points: Sequence[Point]) -> None:
        # The store knows a point by all of its parts, so what did arrive is not stored twice.
        metrics = [Metric(p.key, p.value, p.milliseconds, p.step) for p in points]
        try:
            hasty(self._client).log_batch(self.run_id, metrics=metrics)
        except MlflowException as error:
            if (how := outage(error)) is None:
                raise
            raise TrackingError(how) from error

    def log_params(self, config: Mapping[str, Any]) -> None:
        """Log a configuration, flattened to `section.key`; what the run already has is kept."""
        with self._lock:
            known = set(self._client.get_run(self.run_id).data.params)
            params = [
                Param(key, clean(value, limit=_PARAM_CHARACTERS))
                for key, value in flatten(config).items()
                if key not in known
            ]
            for start in range(0, len(params), _PARAMS_A_BATCH):
                self._client.log_batch(self.run_id, params=params[start : start + _PARAMS_A_BATCH])

    def set_tags(self, tags: Mapping[str, str | None]) -> None:
        """Set tags; those without a value are left out."""
        with self._lock:
            entities = _tags(tags)
            for start in range(0, len(entities), _PARAMS_A_BATCH):
                self._client.log_batch(self.run_id, tags=entities[start : start + _PARAMS_A_BATCH])

    def log_dataset(
        self,
        name: str,
        *,
        digest: str,
        context: str = "training",
        source: Mapping[str, Any] | None = None,
        profile: Mapping[str, Any] | None = None,
    ) -> None:
        """Log which data was used, under our own digest (MLflow keeps its first 36 characters).

        Args:
            name: Shown by MLflow.
            digest: Fingerprint of the data.
            context: `training` or `evaluation`.
            source: Where it came from, its licence.
            profile: Small facts: documents, bytes.
        """
        dataset = Dataset(
            name=clean(name, limit=KEY_CHARACTERS),
            digest=digest[:_DIGEST_CHARACTERS],
            source_type="code",
            source=_json({"tags": {"digest": digest, **(source or {})}}, _SOURCE_CHARACTERS),
            profile=_json(profile or {}, _PROFILE_CHARACTERS),
        )
        tag = InputTag("mlflow.data.context", context)
        with self._lock:
            self._client.log_inputs(self.run_id, datasets=[DatasetInput(dataset, tags=[tag])])

    def use_content(self, *keys: str) -> None:
        """Say which content folders the run works with, so that they are kept for it."""
        with self._lock:
            self._content += [key for key in keys if key not in self._content]
            self.set_tags({CONTENT_TAG: " ".join(self._content)})

    def log_text(self, text: str, name: str) -> None:
        """Store a text with the run under a file name."""
        with self._lock:
            self._client.log_text(self.run_id, text, name)

    def end(self, status: Status) -> None:
        """End the run; the second call does nothing.

        Raises:
            TrackingError: If metrics that waited for the store cannot be stored now either.
        """
        with self._lock:
            if self._ended:
                return
            if gone() is not None:  # the same run key opens it again, and sends what waits
                self._queue.close()
                return
            try:
                if len(self._queue) and not self._queue.flush(timeout=_END_SECONDS):
                    raise TrackingError(self._queue.error or "it does not answer")
                self._client.set_terminated(self.run_id, status)
            except Exception as error:
                if status == "FINISHED":
                    raise TrackingError(
                        f"MLflow run {self.run_id}: {len(self._queue)} metrics could not be"
                        f" stored ({first_line(error)}); the same command goes on from here."
                    ) from error
                logger.warning("MLflow run %s stays open: %s", self.run_id, first_line(error))
                return
            self._queue.close()
            self._ended = True


def open_run(
    home: Home, *, model: str, run_key: str, name: str, tags: Mapping[str, str | None] | None = None
) -> TrackedRun:
    """Open the run of this key again if it did not finish, else begin one.

    Args:
        home: A prepared home.
        model: Registered model; also the experiment's name.
        run_key: Digest of data, configuration and code; a forced run has its own.
        name: Shown by MLflow for a new run.
        tags: Further tags.
    """
    client = connect(home)
    experiment_id = experiment(home, model)
    found = client.search_runs(
        [experiment_id],
        filter_string=f"tags.`{RUN_KEY_TAG}` = '{run_key}' and attributes.status != 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    if found:
        run = found[0]
        client.update_run(run.info.run_id, status="RUNNING")
    else:
        run = client.create_run(experiment_id, run_name=name, tags={RUN_KEY_TAG: run_key})
    tracked = TrackedRun(client, run, resumed=bool(found), spool=home.work / "metrics")
    tracked.set_tags(tags or {})
    return tracked


def _json(value: Mapping[str, Any], limit: int) -> str:
    text = clean(json.dumps(value, sort_keys=True, default=str))
    return text if len(text) <= limit else json.dumps({"left out": f"{len(text)} characters"})


def _tags(tags: Mapping[str, str | None]) -> list[RunTag]:
    return [
        RunTag(valid_key(key), clean(value, limit=_TAG_CHARACTERS))
        for key, value in tags.items()
        if value is not None
    ]
