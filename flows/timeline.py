"""`lmcore timeline`: what a schedule would have done, day by day, on a dated corpus.

    for each day: documents up to it -> monitor -> retrain -> promoted or refused

In: a configuration with `timeline.dates`; each date is `data.as_of` in its turn.  Out: one row a
day.  The steps are the flows that a schedule starts, in one flow around them, so Prefect's page
shows them nested.  A walk that was stopped goes on: what is finished is found, and says "nothing
new".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import date
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Cancelled

from flows.home.artifact_keys import artifact_key
from flows.home.environment import Home, current
from flows.home.outage import await_prefect, heard_by_prefect
from flows.monitor_drift import monitor
from flows.pipeline import retrain
from flows.progress.job import current as current_job
from flows.registry.models import Registry
from flows.registry.run_result import RunResult
from lmcore.config import RunConfig
from lmcore.errors import ConfigError

logger = logging.getLogger(__name__)

Answer = dict[str, Any]


@flow(name="timeline", flow_run_name="timeline {config.name}", persist_result=False)
def timeline(config: RunConfig) -> list[Answer]:
    """Walk through the days of a configuration.

    Args:
        config: With `timeline.dates`.

    Returns:
        One row a day, as `lmcore timeline --json` prints them.

    Raises:
        ConfigError: If it names no days.
    """
    if config.timeline is None:
        raise ConfigError(
            "the configuration has no days to walk through; expected for example"
            " `timeline: {dates: [2020-12-31, 2024-12-31]}`, and sources with a date_field"
        )
    home = current()
    with heard_by_prefect(home):
        return _walk(config, config.timeline.dates, home)


def _walk(config: RunConfig, days: Sequence[date], home: Home) -> list[Answer]:
    rows: list[Answer] = []
    registry = Registry(home)
    for number, day in enumerate(days, start=1):
        logger.info("timeline: %s", day)
        current_job().stage = f"{day} ({number} of {len(days)})"
        row = _one_day(config, day, registry)
        if isinstance(row, str):
            return Cancelled(message=row)  # type: ignore[return-value]
        rows.append(row)
    await_prefect(home)
    create_table_artifact(
        [{**row, "drift": (row["drift"] or {}).get("outcome")} for row in rows],
        key=artifact_key("timeline", config.name),
        description=config.name,
    )
    return rows


def _one_day(config: RunConfig, day: date, registry: Registry) -> Answer | str:
    """The row of a day, or where it was stopped."""
    await_prefect(registry.home)
    started = time.perf_counter()
    until = config.model_copy(update={"data": config.data.model_copy(update={"as_of": day})})
    before = registry.aliases(config.name).get("champion")
    found: Answer | None = None
    if before is not None:
        monitored: State[Answer] = monitor(until, return_state=True)
        if monitored.is_cancelled():
            return monitored.message or "stopped"
        found = monitored.result(raise_on_failure=True)
    await_prefect(registry.home)
    state: State[RunResult] = retrain(until, return_state=True)
    if state.is_cancelled():
        return state.message or "stopped"
    result = state.result(raise_on_failure=True)
    assert isinstance(result, RunResult)
    version = None if result.version is None else registry.version(config.name, result.version)
    documents = None if found is None else found["documents"]
    start, total = None, None
    if version is not None:
        folder = registry.read(version)
        start = folder.lineage()["start"]
        total = sum(1 for _ in folder.documents())
    elif documents is not None:
        total = sum(documents[name] for name in ("known", "near_copies", "excluded", "fresh"))
    return {
        "date": day.isoformat(),
        "documents": total,
        "fresh": None if documents is None else documents["fresh"],
        "drift": None
        if found is None
        else {
            "outcome": found["outcome"],
            "reason": found["reason"],
            "difference": (found["bits_per_byte"] or {}).get("difference"),
        },
        "champion_before": before,
        "champion": result.champion,
        "version": result.version,
        "start": start,
        "outcome": result.outcome,
        "reason": result.reason,
        "bits_per_byte": result.metrics.get("val_bits_per_byte"),
        "seconds": round(time.perf_counter() - started, 1),
    }
