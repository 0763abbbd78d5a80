"""One web server as a child process: `python -P serve_app.py FD MODULE:ATTRIBUTE [--factory]`.

Serves an application on the listening socket that it inherits, so no port is ever guessed or raced
for, and ends when its standard input does: whatever kills the parent, no server is left behind
holding a database.  Prefect's own temporary server outlives a parent that was killed.

Where LMCORE_SERVER_LOGIN holds `user:password`, every request but `GET /health` must present it
(HTTP basic authentication); MLflow and the dashboard have no login of their own.  Of Prefect, which
has one, only its description of the API is open; LMCORE_SERVER_LOGIN_PATHS names what to guard.

A browser sends a login that it knows with whatever a page asks for.  So only names of this machine
are answered to, and no page of another origin: neither server sees to both by itself (Prefect looks
at no `Host`, and MLflow lets in a page that any other program serves on this machine).
LMCORE_SERVER_NAMES and LMCORE_SERVER_ORIGINS add what else may be asked for and may ask: names with
their port, and addresses of pages.
Where LMCORE_ARTIFACT_ROOT names a folder, MLflow takes no place of artifacts that is not below it;
it would read and write files anywhere that a client names.

In a container, where the network is a server's own, LMCORE_SERVER_APP names the application, and
whatever serves it calls `application`.  This file is copied there without the rest of the package.
"""

import atexit
import base64
import gc
import hmac
import importlib
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

App = Callable[[Any, Any, Any], Awaitable[None]]

LOGIN_VARIABLE = "LMCORE_SERVER_LOGIN"
PATHS_VARIABLE = "LMCORE_SERVER_LOGIN_PATHS"
ROOT_VARIABLE = "LMCORE_ARTIFACT_ROOT"
APP_VARIABLE = "LMCORE_SERVER_APP"
NAMES_VARIABLE = "LMCORE_SERVER_NAMES"
ORIGINS_VARIABLE = "LMCORE_SERVER_ORIGINS"
_THIS_MACHINE = re.compile(rb"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?")
_CREATE_EXPERIMENT = "/mlflow/experiments/create"
_MOST_BODY_BYTES = 1 << 20
_START_SECONDS = 120.0
_GRACE_SECONDS = 8.0
#: New objects before Python looks for garbage among them: with its own 700 a server of Prefect's
#: takes a sixth longer to import.
_GARBAGE_THRESHOLD = 10_000
_PLAIN = (b"content-type", b"text/plain; charset=utf-8")
_ASK = (b"www-authenticate", b'Basic realm="lmcore", charset="UTF-8"')
#: Of the pages of Prefect and MLflow, which bring scripts and styles of their own.
_POLICY = (
    b"content-security-policy",
    b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
)


def fenced(app: App, names: Iterable[str] = (), origins: Iterable[str] = ()) -> App:
    """An ASGI application that only this machine's names and its own pages reach.

    Args:
        app: Any.
        names: What it may be asked for as well, as `name:port`.
        origins: Pages of which addresses may ask as well, as `http://name:port`.
    """
    others = {name.lower().encode() for name in names}
    pages = {origin.lower().encode() for origin in origins}

    async def fence(scope: Any, receive: Any, send: Any) -> None:
        headers = scope.get("headers", ())
        hosts = [value.lower() for key, value in headers if key == b"host"]
        asking = {value.lower() for key, value in headers if key == b"origin"}
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif len(hosts) != 1 or not (hosts[0] in others or _THIS_MACHINE.fullmatch(hosts[0])):
            await _refuse(scope, send, 403, "this is no name of this machine")
        elif not asking <= {b"http://" + hosts[0], *pages}:
            await _refuse(scope, send, 403, "a page of another origin asks")
        else:
            await app(scope, receive, send)

    return fence


def contained(app: App, root: str) -> App:
    """MLflow's application, which takes no place of artifacts outside of a folder.

    Args:
        app: MLflow's.
        root: The folder, or an address whose scheme is that of the places, as
            `mlflow-artifacts:/` of a server that hands files on.
    """

    async def contain(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].rstrip("/").endswith(_CREATE_EXPERIMENT):
            await app(scope, receive, send)
            return
        body = b""
        more = True
        while more and len(body) <= _MOST_BODY_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if more or not _within(body, root):
            await _refuse(scope, send, 400, f"artifacts have their place below {root}")
            return
        given = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Any:
            return next(given, None) or await receive()

        await app(scope, again, send)

    return contain


def _within(body: bytes, root: str) -> bool:
    """Whether a request names no place of artifacts, or one below a folder."""
    try:
        asked = json.loads(body or b"{}")
        places = [asked.get(key) for key in ("artifact_location", "artifactLocation")]
        parts = [urlsplit(place) for place in places if place]
        inside = urlsplit(root)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return False
    schemes = (inside.scheme,) if inside.scheme else ("", "file")
    if any(part.scheme not in schemes or part.netloc != inside.netloc for part in parts):
        return False
    # Links are of this machine's folders.
    real = os.path.normpath if inside.scheme else os.path.realpath
    top = real(inside.path)
    found = [real(unquote(part.path)) for part in parts]
    return all(path[:1] == "/" and os.path.commonpath([top, path]) == top for path in found)


def guarded(app: App, login: str, paths: tuple[str, ...] = ()) -> App:
    """An ASGI application that asks for `login` before it lets anybody in.

    Args:
        app: Any.
        login: `user:password`.
        paths: Where what is asked for begins with one of these; none: everywhere.
    """
    expected = b"basic " + base64.b64encode(login.encode())

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        given = next((v for k, v in scope.get("headers", ()) if k == b"authorization"), b"")
        scheme, _, credentials = given.partition(b" ")
        allowed = hmac.compare_digest(scheme.lower() + b" " + credentials.strip(), expected)
        probe = scope["type"] == "http" and (scope["method"], scope["path"]) == ("GET", "/health")
        free = scope["type"] == "lifespan" or (paths and not scope["path"].startswith(paths))
        if allowed or probe or free:
            await app(scope, receive, send)
        else:
            await _refuse(scope, send, 401, "log in first", _ASK)

    return guard


def kept_here(app: App) -> App:
    """An ASGI application whose pages may ask this server alone.

    Prefect's page asks a statistics service for its settings when it opens, whatever the setting
    of the server says; a browser refuses it by this header.
    """

    async def keep(scope: Any, receive: Any, send: Any) -> None:
        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if not any(name.lower() == _POLICY[0] for name, _ in headers):
                    message = {**message, "headers": [*headers, _POLICY]}
            await send(message)

        await app(scope, receive, tell if scope["type"] == "http" else send)

    return keep


async def _refuse(
    scope: Any, send: Any, status: int, reason: str, *headers: tuple[bytes, bytes]
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": status, "headers": [_PLAIN, *headers]})
    await send({"type": "http.response.body", "body": f"{reason}\n".encode()})


def application(target: str = "", *, factory: bool = True) -> App:
    """An application as the environment wants it guarded.

    Args:
        target: `module:attribute`; default: what LMCORE_SERVER_APP names.
        factory: Whether that makes the application, instead of being it.
    """
    names, origins, paths = (
        tuple(os.environ.pop(name, "").split())
        for name in (NAMES_VARIABLE, ORIGINS_VARIABLE, PATHS_VARIABLE)
    )
    login, root = os.environ.pop(LOGIN_VARIABLE, ""), os.environ.pop(ROOT_VARIABLE, "")
    module, _, attribute = (target or os.environ.pop(APP_VARIABLE)).partition(":")
    app = getattr(importlib.import_module(module), attribute)
    app = app() if factory else app
    app = kept_here(contained(app, root) if root else app)
    return fenced(guarded(app, login, paths) if login else app, names, origins)


def serve(descriptor: int, target: str, *, factory: bool) -> None:
    """Serve an application on an inherited listening socket until standard input ends."""
    import uvicorn

    opening = threading.Event()

    def made() -> App:
        app = application(target, factory=factory)
        opening.set()
        return app

    server = uvicorn.Server(
        uvicorn.Config(
            made,
            factory=True,
            log_level="error",
            lifespan="on",
        )
    )

    def end_with_parent() -> None:
        while os.read(0, 4096):
            pass
        server.should_exit = True
        if not opening.is_set():
            os._exit(0)  # it is importing, and has opened nothing
        # A database that is being created or upgraded is not left half done.
        deadline = time.monotonic() + _START_SECONDS
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(_GRACE_SECONDS)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run(sockets=[socket.socket(fileno=descriptor)])
    # Its loop has closed the database.  To take thousands of modules apart would keep who waits for
    # its end for one or two seconds more.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    gc.set_threshold(_GARBAGE_THRESHOLD)
    serve(int(sys.argv[1]), sys.argv[2], factory="--factory" in sys.argv[3:])
