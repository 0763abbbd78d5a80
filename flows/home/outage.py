"""A Prefect server that goes away under a run.

In: a flow in progress, or flows within flows.  Out: one that waits for the server before it has to
tell it something, and that ends with one sentence where the server does not come back.

Prefect's client asks for minutes, each time that a state is to be told, and ends with a traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from flows.home.folders import Home
from flows.home.patience import gone, patiently
from flows.home.publication import remedy


def await_prefect(home: Home) -> None:
    """Return when Prefect answers; at once outside of a flow run.

    Raises:
        ServerGoneError: If it is not back in time.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    if FlowRunContext.get() is None:
        return

    def ask() -> None:
        # The client's own repetitions take a minute, in which nobody is told anything.
        once = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})
        with once, get_client(sync_client=True) as client:
            failure = client.api_healthcheck()
        # Any answer is one: a proxy may keep the address of the health check to itself.
        if isinstance(failure, httpx.TransportError):
            raise failure

    patiently(
        ask,
        server=f"Prefect at {PREFECT_API_URL.value()}",
        away=lambda e: "it does not answer" if isinstance(e, httpx.TransportError) else None,
        remedy=remedy(home),
    )


#: Until the process ends.
_kept = ExitStack()


@contextmanager
def heard_by_prefect(home: Home) -> Iterator[None]:
    """Inside a flow: at its end Prefect is waited for; what a vanished server ends, ends at once.

    Raises:
        ServerGoneError: If Prefect is not back in time.
    """
    try:
        yield
        await_prefect(home)
    except Exception as error:
        if (outage := gone()) is None:
            raise
        _let_prefect_be()
        if error is outage:
            raise
        # What Prefect's engine raises of a flow within, whose state nobody heard.
        raise outage from error


def _let_prefect_be() -> None:
    """Its engine has a state to tell that nobody hears, and a traceback of the attempt."""
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    _kept.enter_context(temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}))
    for name in list(logging.Logger.manager.loggerDict):
        if name.partition(".")[0] == "prefect":
            logging.getLogger(name).disabled = True
