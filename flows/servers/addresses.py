"""Where the servers of `lmcore up` listen: sockets, and the password that goes with them.

In: a home.  Out: listening sockets on free ports and a new password.  After an `up` that was killed
they are its own again: a run of another process still looks for the servers there, and goes on.
Its password is used again only together with all of its ports, so that nobody else who has taken
one meanwhile was told it and learns what is in use.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flows.home.listening import listen
from flows.home.publication import Publication, left_behind

NAMES = ("prefect", "mlflow", "dashboard", "serve")
#: What a killed `up` had started ends by itself, with its sockets, in less (serve_app.py).
_PREDECESSOR_SECONDS = 12.0


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """What the servers are started with.

    Attributes:
        listeners: Listening sockets by name of the server.
        password: For all of them.
    """

    listeners: Mapping[str, socket.socket]
    password: str


def take_addresses(root: Path, host: str) -> Addresses:
    """Listen, where an `up` that was killed has listened if that is possible.

    Args:
        root: LMCORE_HOME; the caller is its only `up`.
        host: A loopback address.
    """
    before = left_behind(root)
    found = _again(before, host) if before is not None else None
    if before is not None and found is not None:
        return Addresses(listeners=found, password=before.password)
    return Addresses(
        listeners={name: listen(host) for name in NAMES}, password=secrets.token_urlsafe(24)
    )


def _again(before: Publication, host: str) -> dict[str, socket.socket] | None:
    urls = (before.prefect_api_url, before.mlflow_url, before.dashboard_url, before.serve_url)
    places = [urlsplit(url) for url in urls]
    if any(place.hostname != host or not place.port for place in places):
        return None
    deadline = time.monotonic() + _PREDECESSOR_SECONDS
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            found = {
                name: stack.enter_context(listen(host, place.port or 0))
                for name, place in zip(NAMES, places, strict=True)
            }
            stack.pop_all()
            return found
        if time.monotonic() > deadline:
            return None
        time.sleep(0.2)
