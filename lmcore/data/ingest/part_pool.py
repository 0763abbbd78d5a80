"""Read parts on all cores, and hand over what came of them in their order.

In: tasks.  Out: their folders, one after the other.  Which process reads which part, and when,
changes nothing; a part that is there already costs a look at it.  An engine of its own (Prefect's
task runners, Dask, Ray) can stand in for the processes of this machine: it is a `Pool`.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillReading
from contextvars import ContextVar
from typing import Any

from lmcore.data.ingest.part_reading import PartFolder, Task, Told, read_part
from lmcore.errors import SourceError
from lmcore.lifeline import end_with

#: Reads tasks, told how many records came since it last asked; yields folders in order.
Pool = Callable[[Sequence[Task], Told], Iterator[PartFolder]]
#: Bytes below which the start of further processes costs more than they read.
WORTH_BYTES = 16 << 20
_chosen: ContextVar[Pool | None] = ContextVar("pool", default=None)
# Between two answers to who waits.
_SECONDS = 0.5
# Tasks that wait beside those that are read: a process never stands still, and an error or a stop
# leaves few half read.
_AHEAD = 2


def read_here(tasks: Sequence[Task], told: Told) -> Iterator[PartFolder]:
    """One after the other, in this process."""
    for task in tasks:
        yield read_part(task, told=told)


def read_in_processes(workers: int) -> Pool:
    """On so many processes of this machine, which end with this one."""

    def read(tasks: Sequence[Task], told: Told) -> Iterator[PartFolder]:
        # Its processes do not run the main module again, which could be anybody's.
        from joblib.externals.loky.backend import get_context
        from joblib.externals.loky.process_executor import (
            ProcessPoolExecutor,
            TerminatedWorkerError,
        )

        executor = ProcessPoolExecutor(
            max_workers=min(workers, len(tasks)),
            context=get_context("loky"),
            initializer=_begin,
            initargs=(os.getpid(),),
        )
        waiting = iter(tasks)
        going: deque[Future[PartFolder]] = deque()
        try:
            while True:
                while len(going) < _AHEAD + workers and (task := next(waiting, None)) is not None:
                    going.append(executor.submit(read_part, task))
                if not going:
                    return
                try:
                    folder = going[0].result(timeout=_SECONDS)
                except StillReading:
                    told(0)
                    continue
                except TerminatedWorkerError as error:
                    raise SourceError(
                        "a process that read the sources was ended from outside (the system does"
                        " that when memory is short); what it had finished is kept, and the same"
                        f" command goes on ({_first_line(error)})"
                    ) from error
                going.popleft()
                told(int(folder.summary["texts"]))
                yield folder
        finally:
            executor.shutdown(kill_workers=True)

    return read


@contextlib.contextmanager
def reading_on(pool: Pool) -> Iterator[None]:
    """Inside, this pool reads, whatever there is to read."""
    token = _chosen.set(pool)
    try:
        yield
    finally:
        _chosen.reset(token)


def pool_for(tasks: Sequence[Task]) -> Pool:
    """Who reads tasks: who was chosen, else all cores, where there is enough to read.

    Args:
        tasks: What is to be read; what is there already counts for nothing.
    """
    if (chosen := _chosen.get()) is not None:
        return chosen
    workers = len(os.sched_getaffinity(0))
    unread = [task for task in tasks if not task.folder.exists()]
    if workers < 2 or len(unread) < 2:
        return read_here
    if sum(task.part.num_bytes for task in unread) < WORTH_BYTES:
        return read_here
    return read_in_processes(workers)


def _begin(parent: int) -> None:
    """A process that reads: it ends with its parent, which also hears Ctrl-C for it."""
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _first_line(error: Any) -> str:
    return str(error).strip().partition("\n")[0][:200]
