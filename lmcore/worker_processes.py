"""Processes of this machine that work for this one, and end with it.

In: how many, and what each does first.  Out: an executor of `concurrent.futures`' kind, which is
handed work a little ahead.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from lmcore.errors import LmcoreError
from lmcore.lifeline import end_with

_T = TypeVar("_T")


@contextlib.contextmanager
def worker_processes(
    number: int, begin: Callable[..., None], *arguments: Any, ended: Callable[[str], LmcoreError]
) -> Iterator[Any]:
    """Start processes as they are needed; inside, `submit` hands work over and gives a future.

    On the way out they are ended, whatever they are at.

    Args:
        number: How many, at most.
        begin: Called once in each of them.
        arguments: Of `begin`.
        ended: Makes the error of what the library says where one was ended from outside.

    Raises:
        LmcoreError: What `ended` makes.
    """
    # Its processes do not run the main module again, which could be anybody's.
    from joblib.externals.loky.backend import get_context
    from joblib.externals.loky.process_executor import ProcessPoolExecutor, TerminatedWorkerError

    executor = ProcessPoolExecutor(
        max_workers=number,
        context=get_context("loky"),
        initializer=_begin,
        initargs=(os.getpid(), begin, arguments),
    )
    try:
        yield executor
    except TerminatedWorkerError as error:
        raise ended(str(error).strip().partition("\n")[0][:200]) from error
    finally:
        executor.shutdown(kill_workers=True)


def handed_over(submit: Callable[[_T], Any], items: Iterable[_T], *, ahead: int) -> Iterator[Any]:
    """Hand items over a few ahead, and yield their futures in order.

    Args:
        submit: Hands one over; gives a future.
        items: Taken as they are handed over.
        ahead: How many are handed over, at most, when the first of them is waited for.
    """
    going = deque[Any]()
    for item in items:
        going.append(submit(item))
        if len(going) == ahead:
            yield going.popleft()
    while going:
        yield going.popleft()


def _begin(parent: int, begin: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """It ends with its parent, which also hears Ctrl-C for it."""
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    begin(*arguments)
