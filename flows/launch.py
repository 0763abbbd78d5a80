"""Start the pipeline from a shell: load the configuration, start Prefect, call the flow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.home.configurations import names_the_hub
from flows.home.environment import allow_hub, current
from flows.home.signals import StoppedError, polite_signals
from flows.notices.webhook import notify
from flows.registry.run_result import RunResult
from flows.servers.prefect_server import PrefectServer
from lmcore.config import RunConfig
from lmcore.config_file import default_config_path, load_config
from lmcore.data.sources.located import glance_at_sources
from lmcore.errors import SourceError


def launch(config_file: Path | None, *, overrides: Sequence[str], force: bool) -> RunResult:
    """Run the pipeline in this process and wait for its result.

    Raises:
        UserError: If the configuration or a source is wrong.
        StoppedError: If the user stopped it; the message says how to go on.
    """
    with prepared(config_file, overrides=overrides) as (config, server):
        from flows.pipeline import retrain  # heavy imports, while the server comes up

        server.wait()
        state = retrain(config, force=force, return_state=True)
    if state.is_cancelled():
        raise StoppedError(state.message or "stopped")
    answer = state.result(raise_on_failure=True)
    assert isinstance(answer, RunResult)
    return answer


def launch_monitor(config_file: Path | None, *, overrides: Sequence[str]) -> dict[str, Any]:
    """Look for drift in this process and wait for the answer.

    Raises:
        UserError: If the configuration or a source is wrong, or there is no champion.
    """
    with prepared(config_file, overrides=overrides) as (config, server):
        from flows.monitor_drift import monitor  # heavy imports, while the server comes up

        server.wait()
        answer = monitor(config, return_state=True).result(raise_on_failure=True)
    assert isinstance(answer, dict)
    return answer


def launch_timeline(config_file: Path | None, *, overrides: Sequence[str]) -> dict[str, Any]:
    """Walk through the days of a configuration in this process.

    Raises:
        UserError: If the configuration or a source is wrong.
        StoppedError: If the user stopped it; the same command goes on.
    """
    started = time.perf_counter()
    chosen = config_file or default_config_path().with_name("timeline.yaml")
    with prepared(chosen, overrides=overrides) as (config, server):
        from flows.timeline import timeline  # heavy imports, while the server comes up

        server.wait()
        state = timeline(config, return_state=True)
    if state.is_cancelled():
        raise StoppedError(state.message or "stopped")
    rows = state.result(raise_on_failure=True)
    seconds = round(time.perf_counter() - started, 1)
    return {"model": config.name, "rows": rows, "seconds": seconds}


@contextmanager
def prepared(
    config_file: Path | None, *, overrides: Sequence[str]
) -> Iterator[tuple[RunConfig, PrefectServer]]:
    """The configuration and a Prefect server that comes up; signals are polite inside.

    Import what is heavy inside, and then wait for the server.

    Raises:
        UserError: If the configuration is wrong, or a source is not there.
    """
    home = current()
    config = load_config(
        home.resolve(config_file) if config_file else None,
        overrides=overrides,
        started_in=home.started_in,
    )
    if names_the_hub(config):
        allow_hub()
    try:
        glance_at_sources(config.sources)
    except SourceError as error:
        # No flow run has started that would tell people.
        notify("failed", model=config.name, reason=str(error))
        raise
    with polite_signals(), PrefectServer(home) as server:
        yield config, server
