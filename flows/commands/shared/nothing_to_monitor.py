"""A monitoring that would find what is known, answered without Prefect, torch and a model.

In: a configuration.  Out: the answer, or None where the flow has to look.  It is known where text,
configuration, champion, requests, code, libraries and machine are those of the last answer, or,
before there is one, those that the champion was made with: then no document is fresh.  The files of
the champion are verified as they are before they score anything.  What has drifted is measured, and
told to people, each time.
"""

from __future__ import annotations

from filelock import Timeout

from flows.home.environment import Home
from flows.home.locks import using_content
from flows.registry.models import Registry
from flows.registry.monitor_results import answer_to, log_monitoring
from flows.registry.removals import current_removals
from flows.steps.begin_run import begin_run
from flows.steps.monitoring import (
    Answer,
    InUse,
    answer_of,
    champion_to_monitor,
    monitor_key,
    now,
)
from flows.steps.run_key import processor_name
from flows.steps.source_fingerprint import fingerprint_once
from lmcore.config import RunConfig
from lmcore.data.sources.located import glance_at_sources
from lmcore.errors import LmcoreError, NotFoundError
from lmcore.evaluation.drift.monitoring import nothing_arrived
from lmcore.model.config import PretrainedConfig
from lmcore.tasks.task import TASKS


def nothing_to_monitor(config: RunConfig, home: Home) -> Answer | None:
    """The answer of a monitoring that finds nothing new; None: the flow has to look.

    It has to, also, where a Prefect server runs that records every flow run.

    Raises:
        NotFoundError: If there is no champion.
    """
    if home.prefect_api_url is not None:
        return None
    try:
        glance_at_sources(config.sources)  # whether they are there is told first
        with using_content(home.locks):
            return _look(config, home)
    except NotFoundError:
        raise
    except (LmcoreError, OSError, Timeout):
        return None


def _look(config: RunConfig, home: Home) -> Answer | None:
    registry = Registry(home)
    champion = champion_to_monitor(registry, config.name)
    folder = registry.open(champion)
    use = InUse.read(home.requests / config.name)
    removals = current_removals(registry).for_model(config.name)
    language = TASKS[config.task].is_language_model
    sources = fingerprint_once(config.sources) if language else None
    key = monitor_key(config, champion, use, sources=sources, removals=removals)
    answer: Answer | None = None
    if (last := answer_to(home, config.name, key=key)) is not None:
        if last["outcome"] != "DRIFTED":
            since = last["unchanged_since"] or last["at"]
            answer = {**last, "at": now(), "unchanged_since": since, "prefect_flow_run_id": None}
    elif sources is not None and not use and not isinstance(config.model, PretrainedConfig):
        run = begin_run(config, home=home, sources=sources)
        same = champion.tags.get("run_base") == run.key.base
        if same and folder.lineage().get("processor") == processor_name():
            known = sum(1 for _ in folder.documents())
            found = nothing_arrived(known, limits=config.monitor)
            answer = answer_of(
                config,
                champion,
                {**found.to_json(), "requests": None},
                unchanged_since=champion.created.isoformat(timespec="milliseconds"),
            )
    if answer is None:
        return None
    return {**answer, "mlflow_run_id": log_monitoring(home, answer, key=key)}
