"""Servers that went away: how long a command waits for one, and the sentence it ends with.

In: a call, and how to tell that its server is away.  Out: its answer once the server is back; or,
after one line and a stated time, one sentence.

The first call that needs the server waits.  Once that was in vain no other one of the process does
until the server answers, so that a run ends at once instead of waiting again for each thing that it
still has to tell.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar

from flows.home.signals import stop_requested
from lmcore.errors import LmcoreError, UserError

logger = logging.getLogger(__name__)

#: Seconds that a command waits for a server that went away.
WAIT_VARIABLE = "LMCORE_SERVER_WAIT_SECONDS"
_WAIT_SECONDS = 180.0
_ASK_SECONDS = 1.0

R = TypeVar("R")
_gone: dict[str, ServerGoneError] = {}


class ServerGoneError(LmcoreError):
    """A server that the command needs went away and did not come back in time."""


def gone() -> ServerGoneError | None:
    """What this process ends with, once it has waited in vain."""
    return next(iter(_gone.values()), None)


def patiently(
    call: Callable[[], R], *, server: str, away: Callable[[Exception], str | None], remedy: str
) -> R:
    """What a call answers, asked again while its server is away.

    Args:
        call: May be repeated.
        server: Its name and address, for people.
        away: How an error says that the server is not there, or not able to answer; None: it does
            not say that.
        remedy: What to do when it does not come back.

    Raises:
        ServerGoneError: If it is not back in time, or the user asks to stop meanwhile.
        UserError: If LMCORE_SERVER_WAIT_SECONDS is no number of seconds.
    """
    begun: float | None = None
    seconds = 0.0
    while True:
        try:
            answer = call()
        except LmcoreError:
            raise
        except Exception as error:
            if (how := away(error)) is None:
                raise
            if (outage := _gone.get(server)) is not None:
                raise outage from error
            if begun is None:
                begun = time.monotonic()
                seconds = wait_seconds()
                logger.warning("%s: %s; waiting up to %.0f s for it", server, how, seconds)
            if time.monotonic() - begun >= seconds or stop_requested():
                raise _give_up(server, how, remedy) from error
            time.sleep(_ASK_SECONDS)
        else:
            _gone.pop(server, None)
            if begun is not None:
                logger.warning("%s is back", server)
            return answer


def wait_seconds() -> float:
    """How long a command waits.

    Raises:
        UserError: If the variable is no number of seconds.
    """
    text = os.environ.get(WAIT_VARIABLE, "").strip()
    if not text:
        return _WAIT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{WAIT_VARIABLE}={text!r}; expected a number of seconds, 0 or more.")
    return seconds


def _give_up(server: str, how: str, remedy: str) -> ServerGoneError:
    return _gone.setdefault(
        server,
        ServerGoneError(
            f"{server} was not back after {wait_seconds():.0f} s ({how}); all that was done is"
            f" kept: {remedy}."
        ),
    )
