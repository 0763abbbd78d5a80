"""The dashboard on a loopback port: `python -m flows.dashboard.server [FD]`.

In: a listening socket that it inherits (its descriptor as the argument), or none, for a port of its
own that is printed; LMCORE_MLFLOW_PAGES and LMCORE_PREFECT_PAGES, addresses to link to.  Out: the
page at `/`, drawn again when the registry has changed, and the same as measures for Prometheus at
`/metrics`.  It only reads, answers to names of this
machine alone (so that no web page reaches it through a name of its own), and ends when its standard
input does: whatever kills the parent leaves no server behind.
"""

from __future__ import annotations

import functools
import html
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from flows.home.environment import Home, current
from flows.home.listening import listen
from lmcore.errors import LmcoreError

_POLL_SECONDS = 15.0
_IDLE_SECONDS = 60.0
_GRACE_SECONDS = 5.0
#: Environment variables: addresses of MLflow's and Prefect's pages to link to.
MLFLOW_PAGES = "LMCORE_MLFLOW_PAGES"
PREFECT_PAGES = "LMCORE_PREFECT_PAGES"
#: As in the page, and: no other page may frame it.
_FRAMES = "frame-ancestors 'none'"


class Page:
    """A text as it was last drawn; drawn again when `stamp` says something else."""

    def __init__(self, draw: Callable[[], str], stamp: Callable[[], object]) -> None:
        self._draw = draw
        self._stamp = stamp
        self._lock = threading.Lock()
        self._seen: object = None
        self._text = ""

    def text(self) -> str:
        """The present text; one request at a time draws it, the others wait for that one."""
        with self._lock:
            stamp = self._stamp()
            if not self._text or stamp != self._seen:
                self._text, self._seen = self._draw(), stamp
            return self._text


def create_app(
    home: Home,
    *,
    host: str = "127.0.0.1",
    names: Sequence[str] = (),
    mlflow_url: str | None = None,
    prefect_url: str | None = None,
) -> Any:
    """A Starlette application that serves the page.

    Args:
        home: A prepared home.
        host: Further name under which it may be asked for.
        names: More of these.
        mlflow_url: As of `flows.dashboard.page.build`.
        prefect_url: As of `flows.dashboard.page.build`.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, PlainTextResponse
    from starlette.routing import Route

    from flows.dashboard.page import build, gather
    from flows.progress.board import running
    from flows.registry.models import Registry
    from flows.registry.reader import registry_stamp
    from lmcore.reporting.dashboard.measures import exposition
    from lmcore.reporting.dashboard.page import CONTENT_SECURITY_POLICY

    stamp = functools.partial(registry_stamp, home, poll_seconds=_POLL_SECONDS)

    def seen() -> object:
        # What runs is told every second, and the time until the next run changes by itself.
        return stamp(), running(home.running), int(time.monotonic() / _IDLE_SECONDS)

    page = Page(
        lambda: build(
            home,
            mlflow_url=mlflow_url,
            prefect_url=prefect_url,
            report=lambda version: f"/reports/{quote(version.model)}/{version.number}",
            live=True,
        ),
        seen,
    )
    measures = Page(lambda: exposition(gather(home)), stamp)
    headers = {
        "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; {_FRAMES}",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }

    def show(request: Request) -> HTMLResponse:
        return HTMLResponse(page.text(), headers=headers)

    def health(request: Request) -> HTMLResponse:
        return HTMLResponse("ok", headers=headers)

    def report(request: Request) -> HTMLResponse:
        try:
            registry = Registry(home)
            version = registry.version(request.path_params["model"], request.path_params["number"])
            text = registry.read(version, whole=False).report.read_text(encoding="utf-8")
        except (LmcoreError, OSError) as error:
            return HTMLResponse(html.escape(str(error)), status_code=404, headers=headers)
        return HTMLResponse(text, headers=headers)

    def metrics(request: Request) -> PlainTextResponse:
        return PlainTextResponse(measures.text(), headers=headers)

    return Starlette(
        routes=[
            Route("/", show),
            Route("/reports/{model}/{number:int}", report),
            Route("/metrics", metrics),
            Route("/health", health),
        ],
        middleware=[
            Middleware(
                TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", host, *names]
            )
        ],
    )


def site() -> Any:
    """The application for the home of this process, with links to the addresses it was told."""
    return create_app(
        current(),
        mlflow_url=os.environ.get(MLFLOW_PAGES),
        prefect_url=os.environ.get(PREFECT_PAGES),
    )


def serve(
    descriptor: int | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    names: Sequence[str] = (),
) -> None:
    """Serve until standard input ends.

    Args:
        descriptor: Of an inherited listening socket; None: listen on `host` and `port`.
        host: Address to listen on.
        port: Port; 0 takes a free one.
        names: Further names under which it may be asked for.
    """
    import uvicorn

    from flows.home.environment import prepare

    home = prepare()
    if descriptor is None:
        listener = listen(host, port)
        print(f"http://{host}:{listener.getsockname()[1]}/", flush=True)  # noqa: T201
    else:
        listener = socket.socket(fileno=descriptor)
    app = create_app(
        home,
        host=host,
        names=names,
        mlflow_url=os.environ.get(MLFLOW_PAGES),
        prefect_url=os.environ.get(PREFECT_PAGES),
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))

    def end_with_parent() -> None:
        while os.read(0, 4096):
            pass
        server.should_exit = True
        time.sleep(_GRACE_SECONDS)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run(sockets=[listener])


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else None)
