"""Who reads the parts of a corpus: a task runner of Prefect, where one is asked for.

`LMCORE_READERS` names it: `threads`, `processes`, `dask` or `ray`.  Without it the processes of
this machine read (`lmcore.data.ingest.part_pool`), which needs no server.  A cluster that runs
already has its address in `LMCORE_READERS_ADDRESS`; its workers see sources and LMCORE_HOME at the
same paths, and `LMCORE_READERS_WORKERS` says how many there are.  What is read, and every bit of
what comes of it, is the same with all of them.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from flows.progress.artifact import flow_run_id
from lmcore.data.ingest.part_pool import in_order, reading_on
from lmcore.data.ingest.part_reading import Told, read_part
from lmcore.data.ingest.part_task import PartFolder, Task
from lmcore.errors import ConfigError, LmcoreError

READERS, ADDRESS = "LMCORE_READERS", "LMCORE_READERS_ADDRESS"
WORKERS = "LMCORE_READERS_WORKERS"
_MOST_WORKERS = 10_000
# Parts that wait for each worker.
_AHEAD = 2

_Runner = Callable[[int], AbstractContextManager[Any]]


@contextlib.contextmanager
def chosen_readers() -> Iterator[None]:
    """Inside, the parts of a flow's corpus are read by the task runner that is asked for.

    Raises:
        ConfigError: If there is none of that name, its extra is missing, it is not safe to use, or
            the number of workers is none.
    """
    name = os.environ.get(READERS, "")
    if not name:
        yield
        return
    if name not in _RUNNERS:
        raise ConfigError(
            f"{READERS}={name!r}: expected one of {', '.join(_RUNNERS)}, or nothing for the"
            " processes of this machine"
        )
    runner, workers = _RUNNERS[name](), _workers()
    if flow_run_id() is None:  # a task runner serves a flow; a command reads by itself
        yield
        return
    with reading_on(_on(runner, workers)):
        yield


def read_pickled(given: bytes) -> PartFolder | LmcoreError:
    """Read a part on a worker; what is wrong with a source is an answer, and no failed task."""
    try:
        return read_part(pickle.loads(given))  # noqa: S301 - it was pickled by who submits it
    except LmcoreError as error:
        return error


def _workers() -> int:
    """How many read side by side."""
    given = os.environ.get(WORKERS, "")
    if not given:
        return len(os.sched_getaffinity(0))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= _MOST_WORKERS):
        raise ConfigError(
            f"{WORKERS}={given[:40]!r}: expected a number from 1 to {_MOST_WORKERS:,}, or nothing"
            " for one a core of this machine"
        )
    return int(given)


def _on(runner: _Runner, workers: int) -> Callable[[Sequence[Task], Told], Generator[PartFolder]]:
    def read(tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        # Content folders are the cache, and a part that is there costs a look.
        part = task(name="read a part", cache_policy=NO_CACHE, persist_result=False)(read_pickled)
        with runner(workers) as started:

            def submit(one: Task) -> Any:
                # As bytes: Prefect would look for futures in every file of a part.
                return started.submit(part, parameters={"given": pickle.dumps(one)})

            yield from in_order(submit, tasks, told, ahead=_AHEAD * workers)

    return read


def _threads() -> _Runner:
    from prefect.task_runners import ThreadPoolTaskRunner

    return lambda workers: ThreadPoolTaskRunner(max_workers=workers)


def _processes() -> _Runner:
    from prefect.task_runners import ProcessPoolTaskRunner

    return lambda workers: ProcessPoolTaskRunner(max_workers=workers)


def _dask() -> _Runner:
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise _missing("dask", error) from error
    if address := os.environ.get(ADDRESS):
        return lambda workers: DaskTaskRunner(address=address)
    # Scheduler and workers of a cluster that ends with the step are nobody else's business.
    local = {"host": "127.0.0.1", "dashboard_address": None, "threads_per_worker": 1}
    return lambda workers: DaskTaskRunner(cluster_kwargs={**local, "n_workers": workers})


def _ray() -> _Runner:
    try:
        from prefect_ray import RayTaskRunner
    except ImportError as error:
        raise _missing("ray", error) from error
    address = os.environ.get(ADDRESS)
    if os.environ.get("RAY_AUTH_MODE", "token" if address is None else "").lower() != "token":
        raise ConfigError(
            f"{READERS}=ray at {address or 'this machine'} without RAY_AUTH_MODE=token: whoever"
            " reaches a Ray cluster without it runs code on it; set it, here and on the cluster,"
            " with the token in RAY_AUTH_TOKEN_PATH"
        )
    if address is not None:
        return lambda workers: RayTaskRunner(address=address)
    os.environ["RAY_AUTH_MODE"] = "token"
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        # Drawn for this process and those it begins; Ray would write one into the user's folder.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

    @contextlib.contextmanager
    def local(workers: int) -> Iterator[Any]:
        # Ray's sockets lie in it, and the path of a socket has 107 bytes at most.
        with tempfile.TemporaryDirectory(prefix="lmcore-ray-", dir="/tmp") as place:
            options = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
            options |= {"num_cpus": workers, "_temp_dir": place}
            with RayTaskRunner(init_kwargs=options) as runner:
                yield runner

    return local


def _missing(extra: str, error: ImportError) -> ConfigError:
    return ConfigError(
        f"{READERS}={extra} needs the extra `{extra}`, which is not installed ({error}); give"
        f" `pip install 'lmcore[{extra}]'`"
    )


_RUNNERS: dict[str, Callable[[], _Runner]] = {
    "threads": _threads,
    "processes": _processes,
    "dask": _dask,
    "ray": _ray,
}
