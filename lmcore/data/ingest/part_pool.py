"""Read parts on all cores, and hand over what came of them in their order.

In: tasks.  Out: their folders, one after the other.  Which process reads which part, and when,
changes nothing; a part that is there already costs a look at it.  An engine of its own (Prefect's
task runners, Dask, Ray) can stand in for the processes of this machine: it is a `Pool`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from lmcore.data.ingest.part_reading import REPORT_EVERY, Told, read_part
from lmcore.data.ingest.part_task import PartFolder, Task
from lmcore.errors import IntegrityError, LmcoreError, SourceError
from lmcore.worker_processes import handed_over, worker_processes

#: Reads tasks, told how many records came since it last asked; yields folders in order;
#: closed, it reads no more.
Pool = Callable[[Sequence[Task], Told], Generator[PartFolder]]
#: Bytes below which the start of further processes costs more than they read.
WORTH_BYTES = 16 << 20
_chosen: ContextVar[Pool | None] = ContextVar("pool", default=None)
# Of a process that reads: where it says how far it is.
_counter: Path | None = None
# Between two answers to who waits.
_SECONDS = 0.5
# Tasks that wait beside those that are read: a process never stands still, and an error or a stop
# leaves few half read.
_AHEAD = 2


def read_here(tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
    """One after the other, in this process; what is there is verified a little ahead."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        opened = handed_over(lambda task: thread.submit(_opened, task), tasks, ahead=_AHEAD)
        for task, there in zip(tasks, opened, strict=True):
            yield there.result() or read_part(task, told=told)


def _opened(task: Task) -> PartFolder | None:
    """The folder of a part that is there and whole; `read_part` sees to all others."""
    with contextlib.suppress(IntegrityError, OSError):
        return PartFolder.open(task.folder)
    return None


def read_in_processes(workers: int) -> Pool:
    """On so many processes of this machine, which end with this one."""

    def read(tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
        with tempfile.TemporaryDirectory(prefix="lmcore-reading-") as place:
            counter = Path(place) / "records"
            counter.touch()
            with worker_processes(
                min(workers, len(tasks)), _begin, counter, ended=_ended
            ) as readers:
                yield from in_order(
                    functools.partial(readers.submit, _read),
                    tasks,
                    told,
                    ahead=workers + _AHEAD,
                    counted=lambda: counter.stat().st_size * REPORT_EVERY,
                )

    return read


def in_order(
    submit: Callable[[Task], Any],
    tasks: Sequence[Task],
    told: Told,
    *,
    ahead: int,
    counted: Callable[[], int] = lambda: 0,
) -> Generator[PartFolder]:
    """Hand tasks over a few ahead, and yield what came of them in their order.

    Args:
        submit: Hands a task over; gives a future, whose `result` is a folder or an error of ours.
        tasks: All of them.
        told: See `Pool`.
        ahead: Tasks that are handed over before the first of them has an answer.
        counted: How many records were read so far, by those who read.

    Raises:
        LmcoreError: What a task came to.
    """
    finished = reported = 0
    for going in handed_over(submit, tasks, ahead=ahead):
        folder = None
        while folder is None:
            with contextlib.suppress(TimeoutError):
                folder = going.result(timeout=_SECONDS)
            if isinstance(folder, LmcoreError):
                raise folder
            if folder is not None:
                finished += int(folder.summary["records"])
            # What was there before is not counted by those who read.
            count = max(reported, finished, counted())
            told(count - reported)
            reported = count
        yield folder


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


def _begin(counter: Path) -> None:
    """A process that reads knows where to say how far it is."""
    global _counter
    _counter = counter


def _read(task: Task) -> PartFolder:
    """Read a part; each `REPORT_EVERY` records are a byte of the counter, whoever read them."""

    def told(records: int) -> None:
        if records == REPORT_EVERY and _counter is not None:
            with _counter.open("ab") as stream:
                stream.write(b".")

    return read_part(task, told=told)


def _ended(why: str) -> SourceError:
    return SourceError(
        "a process that read the sources was ended from outside (the system does that when memory"
        f" is short); what it had finished is kept, and the same command goes on ({why})"
    )
