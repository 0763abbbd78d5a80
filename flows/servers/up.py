"""`lmcore up`: Prefect, MLflow, the schedules and the dashboard of one home, until it is stopped.

In: configurations.  Out: five child processes on loopback, one login for all of them, and a file
by which every other command of this home finds them.

The servers work on the databases that `lmcore run` uses, so whatever ran before is there.  They are
for one machine: all of them ask for a password that is drawn at each start, and none of them
encrypts, so no other address than loopback is offered.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock, Timeout

from flows.home import prefect_database
from flows.home.configurations import load_configs
from flows.home.environment import Home, current
from flows.home.publication import Publication, exclusive_use, publish, withdraw
from flows.home.registry_database import ready
from flows.home.schedules import described
from flows.progress.console import jobs_shown
from flows.servers.addresses import take_addresses
from flows.servers.services import services
from flows.servers.supervisor import ServiceError, Supervisor
from lmcore.config import RunConfig
from lmcore.durable import atomic_write
from lmcore.errors import UserError
from lmcore.kept_database import being_made

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_READY_SECONDS = 180.0
_LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}

_stop = threading.Event()
_again = threading.Event()


@dataclass(frozen=True, kw_only=True)
class _Running:
    """Everything that answers."""

    home: Home
    supervisor: Supervisor
    publication: Publication
    configs: Sequence[RunConfig]
    seconds: float

    def answer(self) -> dict[str, Any]:
        """What the command says when everything answers."""
        return {
            "prefect": self.publication.prefect_url,
            "mlflow": self.publication.mlflow_url,
            "dashboard": self.publication.dashboard_url,
            "serve": self.publication.serve_url,
            "user": self.publication.user,
            "password": self.publication.password,
            "pid": self.publication.pid,
            "processes": self.supervisor.pids,
            "logs": str(self.home.logs),
            "models": [
                {
                    "model": config.name,
                    "schedule": described(config),
                    "watch_minutes": config.schedule.watch_minutes if config.schedule else None,
                }
                for config in self.configs
            ],
            "seconds": round(self.seconds, 1),
        }


def up(config_files: Sequence[Path], *, host: str) -> tuple[dict[str, Any], Callable[[], None]]:
    """Start everything.

    Args:
        config_files: One configuration a model; none means the installed default.
        host: A loopback address.

    Returns:
        The answer of the command, and what keeps everything running until a signal stops it.

    Raises:
        UserError: If a configuration or the address is wrong, another `up` runs in this home, or
            the environment names servers of the user's own.
        ServiceError: If a server does not come up.
    """
    with contextlib.ExitStack() as starting:
        starting.enter_context(_stop_signals())
        running = _start(current(), config_files, host, starting)
        stack = starting.pop_all()

    def stay() -> None:
        with stack, jobs_shown(running.home.running):
            running.supervisor.watch(_stop.is_set)
            logger.info("stopping; flow runs in progress are ended first")

    return running.answer(), stay


def _start(
    home: Home, config_files: Sequence[Path], host: str, stack: contextlib.ExitStack
) -> _Running:
    begun = time.monotonic()
    address = _LOOPBACK.get(host)
    if address is None:
        raise UserError(
            f"--host {host} would offer the servers to other machines without encryption, and every"
            " registered model with them; use 127.0.0.1 and a tunnel (`ssh -L`), or the servers of"
            " docker-compose.yml behind a proxy with TLS."
        )
    configs = load_configs(home, config_files)
    stack.enter_context(exclusive_use(home.root))
    if home.prefect_api_url is not None or not home.embedded:
        raise UserError(
            "PREFECT_API_URL or MLFLOW_TRACKING_URI names a server of your own, and `lmcore up`"
            " starts its own; unset both, or deploy to that server with `lmcore deploy`."
        )
    addresses = take_addresses(home.root, address)
    withdraw(home.root)
    stack.callback(withdraw, home.root)
    _store_configs(home, configs)
    publication, found = services(home, address, configs, addresses)
    supervisor = Supervisor(found)
    with _start_locks(home):
        ready(home)
        prefect_database.ready(home, alone=contextlib.nullcontext)
        with being_made(home.mlflow_database), prefect_database.being_started(home):
            supervisor.start(timeout_seconds=_READY_SECONDS, should_stop=_stop.is_set)
    stack.callback(supervisor.stop, hurry=_again.is_set)
    publish(home.root, publication)
    return _Running(
        home=home,
        supervisor=supervisor,
        publication=publication,
        configs=configs,
        seconds=time.monotonic() - begun,
    )


def _store_configs(home: Home, configs: Sequence[RunConfig]) -> None:
    values = [config.model_dump(mode="json") for config in configs]
    atomic_write(home.up / "configs.json", json.dumps(values, ensure_ascii=False))
    folder = home.up / "configs"
    folder.mkdir(exist_ok=True)
    for config in configs:
        atomic_write(folder / f"{config.name}.yaml", config.to_yaml())


@contextlib.contextmanager
def _start_locks(home: Home) -> Iterator[None]:
    """Nobody else creates or upgrades the databases meanwhile."""
    with contextlib.ExitStack() as stack:
        for name in ("prefect-start", "mlflow-start"):
            lock = FileLock(home.locks / f"{name}.lock")
            try:
                stack.enter_context(lock.acquire(timeout=_READY_SECONDS))
            except Timeout as error:
                raise ServiceError(
                    f"another command has held {lock.lock_file} for {_READY_SECONDS:.0f} s; end it."
                ) from error
        yield


@contextlib.contextmanager
def _stop_signals() -> Iterator[None]:
    """Inside, the first Ctrl-C, SIGTERM or SIGHUP asks to stop, the second one not to wait."""
    _stop.clear()
    _again.clear()

    def handle(number: int, frame: FrameType | None) -> None:
        (_again if _stop.is_set() else _stop).set()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
