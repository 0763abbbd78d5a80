"""A run that would find nothing new, answered without Prefect, torch and the rest of the pipeline.

In: a configuration.  Out: the answer that the pipeline would give, or None.  The same functions
decide here and there (`flows.steps.begin_run`, `flows.steps.nothing_new`).  Whatever else is the
case, an error too, is the pipeline's to find and to tell, where Prefect records it.
"""

from __future__ import annotations

from filelock import FileLock, Timeout

from flows.dashboard.page import refresh
from flows.home.environment import Home
from flows.home.locks import using_content
from flows.home.schedules import described
from flows.home.traces import traced
from flows.registry.last_run import remember_run
from flows.registry.models import Registry
from flows.registry.run_result import RunResult
from flows.steps.begin_run import begin_run, check_task, usable
from flows.steps.nothing_new import finished_versions, nothing_new
from flows.steps.source_fingerprint import fingerprint_once
from flows.steps.stopwatch import Stopwatch
from lmcore.config import RunConfig
from lmcore.errors import LmcoreError
from lmcore.model.config import PretrainedConfig


def nothing_to_do(config: RunConfig, home: Home) -> RunResult | None:
    """The answer of a run that finds nothing new; None: the pipeline has to look.

    It has to, also, where a Prefect server runs that records every run, where another run of the
    model is in progress, and where a model must be imported to know what it is.
    """
    if home.prefect_api_url is not None or isinstance(config.model, PretrainedConfig):
        return None
    try:
        guard = FileLock(home.locks / f"run-{config.name}.lock", timeout=0)
        with guard, using_content(home.locks), traced("retrain") as span:
            found = _look(config, home, Stopwatch(span=span))
            if found is not None:
                span.note(model=found.model, outcome=found.outcome)
            return found
    except (LmcoreError, OSError, Timeout):
        return None


def _look(config: RunConfig, home: Home, watch: Stopwatch) -> RunResult | None:
    registry = Registry(home)
    if not registry.aliases(config.name) and registry.latest(config.name) is None:
        return None
    check_task(config, registry)
    with watch.step("fingerprint"):
        sources = fingerprint_once(config.sources)
        run = begin_run(config, home=home, sources=sources)
    earlier = finished_versions(registry, config.name, run.key)
    if not earlier or not earlier[-1].tags.get("run_complete"):
        return None
    if not usable(registry, earlier):
        return None
    result = nothing_new(registry, config, earlier[-1], watch=watch)
    remember_run(registry, result, schedule=described(config))
    refresh(home)
    return result
