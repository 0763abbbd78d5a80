"""One process at a time: files below the home, and on a server tier a lock that machines share.

In: a home.  Out: a `Lock`, which takes a name and the seconds to wait, and frees itself when its
process dies: a file lock at once, a lock of the Prefect server when its lease ends.

Prefect's own context manager runs unlocked where the limit does not exist, and asks again only
after up to half a minute.  Here the limit is made first, must be one that excludes, and is asked
for every half second.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout

from flows.home.folders import Home
from flows.home.outage import await_prefect
from lmcore.errors import LmcoreError

logger = logging.getLogger(__name__)

#: The shortest lease that the server gives; renewed while the lock is held.
_LEASE_SECONDS = 60.0
_ASK_SECONDS = 0.5
_LOCKED = 423  # HTTP


class BusyError(LmcoreError):
    """Another process holds the lock of the model."""


class LockError(LmcoreError):
    """The lock cannot be had for another reason than that somebody holds it."""


_CONTENT = "content.lock"
Lock = Callable[[str, float], AbstractContextManager[None]]


def lock_for(home: Home) -> Lock:
    """The lock that keeps apart everybody who can reach the registry of this home.

    The embedded registry is a file of this machine, and so is its lock.  A registry on a server is
    locked on the Prefect server that PREFECT_API_URL names; without one, on this machine only.
    """
    local = file_lock(home.locks)
    if home.embedded or home.prefect_api_url is None:
        return local
    shared = prefect_lock()

    @contextlib.contextmanager
    def lock(name: str, timeout: float) -> Iterator[None]:
        await_prefect(home)
        deadline = time.monotonic() + timeout
        with local(name, timeout), shared(name, max(0.0, deadline - time.monotonic())):
            yield

    return lock


def file_lock(folder: Path) -> Lock:
    """Locks for all processes of this machine that share `folder`; freed when a process dies."""

    @contextlib.contextmanager
    def lock(name: str, timeout: float) -> Iterator[None]:
        guard = FileLock(folder / f"{name}.lock", timeout=timeout)
        try:
            guard.acquire()
        except Timeout as error:
            raise _busy(name, timeout) from error
        try:
            yield
        finally:
            guard.release()

    return lock


def prefect_lock() -> Lock:
    """Locks for all processes that share a Prefect server: a limit of one slot for each name.

    Whoever loses the lease while holding it (the server was away for longer) is interrupted by
    Prefect; the next process settles what is half done.
    """

    @contextlib.contextmanager
    def lock(name: str, timeout: float) -> Iterator[None]:
        from prefect.concurrency.sync import concurrency

        # It reports each answer "somebody holds it" as an error of its own.
        logging.getLogger("prefect._internal.concurrency").addFilter(_is_no_refusal)
        limit = f"lmcore-{name}"
        held = contextlib.ExitStack()
        deadline = time.monotonic() + timeout
        _make_limit(limit)
        while True:
            try:
                slot = concurrency(limit, strict=True, max_retries=0, lease_duration=_LEASE_SECONDS)
                held.enter_context(slot)
                break
            except Exception as error:
                status = getattr(getattr(error.__cause__, "response", None), "status_code", None)
                if status != _LOCKED:
                    raise LockError(
                        f"the Prefect server gave no lock {limit} ({error}); nothing was changed."
                        " Is it running, and are PREFECT_API_URL and PREFECT_API_AUTH_STRING right?"
                    ) from error
                if time.monotonic() >= deadline:
                    raise _busy(name, timeout) from error
            time.sleep(_ASK_SECONDS)
        try:
            yield
        finally:
            # What was done under the lock is done, whether or not its end can be told.
            try:
                held.close()
            except Exception as error:
                logger.warning("the lock %s ends with its lease: %s", limit, error)

    return lock


def _is_no_refusal(record: logging.LogRecord) -> bool:
    return "ConcurrencySlotAcquisition" not in record.getMessage()


def _make_limit(name: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            try:
                limit = client.read_global_concurrency_limit_by_name(name)
            except ObjectNotFound:
                wanted = GlobalConcurrencyLimitCreate(name=name, limit=1, active=True)
                with contextlib.suppress(ObjectAlreadyExists):
                    client.create_global_concurrency_limit(wanted)
                limit = client.read_global_concurrency_limit_by_name(name)
        except Exception as error:
            raise LockError(
                f"the Prefect server gave no lock {name} ({error}); nothing was changed. Is it"
                " running, and are PREFECT_API_URL and PREFECT_API_AUTH_STRING right?"
            ) from error
    if not limit.active or limit.limit != 1:
        state = f"limit {limit.limit}" if limit.active else "switched off"
        raise LockError(
            f"the global concurrency limit {name} is {state}, so it keeps nobody apart; set it"
            f" back with `prefect gcl update {name} --limit 1 --enable`."
        )


def _busy(name: str, timeout: float) -> BusyError:
    return BusyError(
        f"another process has held the lock {name} for {timeout:.0f} s;"
        " try again when it has finished."
    )


@contextlib.contextmanager
def using_content(folder: Path) -> Iterator[None]:
    """Say that content folders are in use; many processes at a time, and prune is not among them.

    Args:
        folder: Of the home's locks.
    """
    with (folder / _CONTENT).open("ab") as file:  # freed when the process dies, too
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def owning_content(folder: Path) -> Iterator[None]:
    """Be the only process that has to do with content folders.

    Raises:
        BusyError: If another one uses them.
    """
    with (folder / _CONTENT).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                "a run, a sweep or a monitoring is in progress and uses content folders; nothing"
                " was deleted. Give the command again when it has ended."
            ) from error
        yield
