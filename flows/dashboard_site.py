"""The place of the dashboard: the files of one folder, and a page while there are none.

An ASGI application for `_serve.py`, which asks for the login.  Only files inside the folder are
served: no listing, no link that leads out.
"""

from __future__ import annotations

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_EMPTY = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="30">
<meta name="viewport" content="width=device-width"><title>lmcore</title>
<body style="font: 16px/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem">
<h1>No dashboard yet</h1>
<p>It appears here after the first run, or when <code>lmcore dashboard</code> has written it.</p>
"""
# The dashboard is one file without scripts of others; nothing may frame it or be loaded by it.
_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline';"
        b" frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
]


def create_app() -> ASGIApp:
    """The application for the home of this process."""
    folder = Path(os.environ["LMCORE_HOME"]) / "dashboard"
    folder.mkdir(parents=True, exist_ok=True)

    def health(request: Request) -> Response:
        return PlainTextResponse("OK")

    def index(request: Request) -> Response:
        page = folder / "index.html"
        if not page.is_file() or page.is_symlink():
            return HTMLResponse(_EMPTY)
        return HTMLResponse(page.read_bytes())

    routes = [
        Route("/health", health),
        Route("/", index),
        Mount("/", StaticFiles(directory=folder)),
    ]
    return _with_headers(Starlette(routes=routes))


def _with_headers(app: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        await app(scope, receive, send_more)

    return wrapped
