"""One web server as a child process: `python -P serve_app.py FD MODULE:ATTRIBUTE [--factory]`.

Serves an application on the listening socket that it inherits, so no port is ever guessed or raced
for, and ends when its standard input does: whatever kills the parent, no server is left behind
holding a database.  Prefect's own temporary server outlives a parent that was killed.

Where LMCORE_SERVER_LOGIN holds `user:password`, every request but `GET /health` must present it
(HTTP basic authentication); MLflow and the dashboard have no login of their own.
"""

import base64
import gc
import hmac
import importlib
import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]

LOGIN_VARIABLE = "LMCORE_SERVER_LOGIN"
_START_SECONDS = 120.0
_GRACE_SECONDS = 8.0
#: New objects before Python looks for garbage among them: with its own 700 a server of Prefect's
#: takes a sixth longer to import.
_GARBAGE_THRESHOLD = 10_000
_UNAUTHORIZED = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"www-authenticate", b'Basic realm="lmcore", charset="UTF-8"'),
]


def guarded(app: App, login: str) -> App:
    """An ASGI application that asks for `login` before it lets anybody in."""
    expected = b"basic " + base64.b64encode(login.encode())

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        given = next((v for k, v in scope.get("headers", ()) if k == b"authorization"), b"")
        scheme, _, credentials = given.partition(b" ")
        allowed = hmac.compare_digest(scheme.lower() + b" " + credentials.strip(), expected)
        probe = scope["type"] == "http" and (scope["method"], scope["path"]) == ("GET", "/health")
        if allowed or probe or scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 401, "headers": _UNAUTHORIZED})
            await send({"type": "http.response.body", "body": b"log in first\n"})

    return guard


def serve(descriptor: int, target: str, *, factory: bool) -> None:
    """Serve an application on an inherited listening socket until standard input ends."""
    import uvicorn

    login = os.environ.pop(LOGIN_VARIABLE, "")

    def application() -> App:
        module, _, attribute = target.partition(":")
        app = getattr(importlib.import_module(module), attribute)
        app = app() if factory else app
        return guarded(app, login) if login else app

    server = uvicorn.Server(
        uvicorn.Config(application, factory=True, log_level="error", lifespan="on")
    )

    def end_with_parent() -> None:
        while os.read(0, 4096):
            pass
        server.should_exit = True
        # A database that is being created or upgraded is not left half done.
        deadline = time.monotonic() + _START_SECONDS
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(_GRACE_SECONDS)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    gc.set_threshold(_GARBAGE_THRESHOLD)
    serve(int(sys.argv[1]), sys.argv[2], factory="--factory" in sys.argv[3:])
