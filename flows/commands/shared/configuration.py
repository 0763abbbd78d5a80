"""The configuration that a command was given, and what must be there before it is worked on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flows.home.configurations import (
    glance_at_model,
    names_the_hub,
    read_config,
    schedule_is_kept,
)
from flows.home.environment import Home, allow_hub, current
from flows.home.patience import gone
from flows.home.signals import StoppedError, interruptible, polite_signals
from flows.notices.webhook import notify
from flows.progress.job import current as current_job
from flows.servers.prefect_server import PrefectServer
from flows.steps.stopwatch import GO_ON
from lmcore.config import RunConfig
from lmcore.data.sources.located import glance_at_sources
from lmcore.errors import LmcoreError, SourceError, StorageError

#: Databases of a new home, twice, and the smallest of content.
_LEAST_BYTES = 16 << 20


def configuration(
    config_file: Path | None, overrides: Sequence[str] = (), *, check_schedule: bool = True
) -> RunConfig:
    """The configuration in a file, or the embedded default; the network is open where it needs it.

    Args:
        config_file: None: the embedded default.
        overrides: `dotted.key=value`.
        check_schedule: As of `read_config`.

    Raises:
        UserError: If it is wrong.
    """
    config = read_config(current(), config_file, overrides=overrides, check_schedule=check_schedule)
    if names_the_hub(config):
        allow_hub()
    return config


def answer_of_flow(
    load: Callable[[], Any],
    config_file: Path | None,
    overrides: Sequence[str] = (),
    **parameters: Any,
) -> Any:
    """What a flow gives that runs in this process, beside a server of Prefect's.

    Args:
        load: Imports the flow, which is heavy, while the server comes up.
        config_file: Of the configuration that the flow is given; None: the embedded default.
        overrides: Of it.
        parameters: Further ones of the flow.

    Raises:
        StoppedError: If the user stopped it, or SIGTERM comes while Prefect begins or ends it.
        Exception: What the flow raises, and as `beside_prefect`.
    """
    with beside_prefect(config_file, overrides) as (config, server):
        with interruptible():
            flow = load()
            _open_registry()
            server.wait()
        state = flow(config, return_state=True, **parameters)
    if state.is_cancelled():
        raise StoppedError(state.message or "stopped")
    return state.result(raise_on_failure=True)


@contextmanager
def beside_prefect(
    config_file: Path | None, overrides: Sequence[str]
) -> Iterator[tuple[RunConfig, PrefectServer]]:
    """The configuration and a Prefect server that comes up; signals are polite inside.

    Import what is heavy inside, and then wait for the server.

    Raises:
        UserError: If it is wrong, or a source or the model to start from is not there.
        StorageError: If the home's disk has no room to begin.
        StoppedError: If SIGTERM comes while Prefect begins or ends the flow run.
    """
    config = configuration(config_file, overrides, check_schedule=False)
    _look_for_room(current())
    try:
        glance_at_sources(config.sources)
        glance_at_model(config)
    except SourceError as error:
        # No flow run has started that would tell people.
        notify("failed", model=config.name, reason=str(error))
        raise
    current_job().model = config.name
    current_job().count("libraries, and a server of Prefect's")
    with polite_signals(), PrefectServer(current()) as server:
        try:
            with interruptible():
                # What this imports is imported while the server comes up, as all else.
                schedule_is_kept(current(), config, config_file)
            yield config, server
        except Exception as error:
            # What Prefect's engine raises that could not tell it to the server.
            if (outage := gone()) is not None and error is not outage:
                raise outage from error
            raise
        except BaseException as error:
            if _is_sigterm(error):
                raise StoppedError(f"stopped; {GO_ON}.") from error
            raise
        finally:
            current_job().count("ending what was started")


def _open_registry() -> None:
    """Make MLflow's tables where a home has none, while Prefect's server comes up.

    What is wrong with them is the flow's to tell: Prefect records it there.
    """
    from flows.registry.connection import connect

    home = current()
    if home.embedded:
        with suppress(LmcoreError):
            connect(home)


def _is_sigterm(error: BaseException) -> bool:
    """Whether it is what Prefect's engine makes of SIGTERM outside of our own part of a flow."""
    # Who is stopped twice while libraries are imported must not wait for one.
    exceptions = sys.modules.get("prefect.exceptions")
    kind: type[BaseException] | None = getattr(exceptions, "TerminationSignal", None)
    return kind is not None and isinstance(error, kind)


def _look_for_room(home: Home) -> None:
    """It saves the start in vain; what fills the disk later is told by whoever meets it."""
    free = shutil.disk_usage(home.root).free
    if free < _LEAST_BYTES:
        raise StorageError(
            f"{home.root}: {free / 2**20:.0f} MB are free on its disk, and a run needs"
            f" {_LEAST_BYTES >> 20} MB to begin; make room there, and give the command again."
        )
