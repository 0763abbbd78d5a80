"""Who may ask, under which name the server is asked, and how much may come in.

In: HTTP requests.  Out: those that are let through, with `scope["lmcore.client"]` set and their
body read; the others are refused before any work is done.

Keys are files of a folder, one key each; the file's name is the client's.  A key is compared by
hash, with all keys, in constant time.  The name that a server is asked under is checked, so that
no web page can reach it through a name of its own, and no other origin is allowed (no CORS).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from flows.serving.limits import Limits
from flows.serving.refusal import RefusalError
from lmcore.errors import UserError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: Answered without a key: whether it lives says nothing about anybody.
_OPEN = frozenset({"/health", "/ready"})
_LEAST_KEY_CHARACTERS = 16
_NAME_CHARACTERS = 64
ANYBODY = "anybody"


class Keys:
    """Names of clients by the hashes of their keys.

    Args:
        hashes: Name to SHA-256.
    """

    def __init__(self, hashes: Mapping[str, bytes]) -> None:
        self._hashes = dict(hashes)

    @classmethod
    def of(cls, keys: Mapping[str, str]) -> Keys:
        """Of keys by the name of their client."""
        return cls({name: hashlib.sha256(key.encode()).digest() for name, key in keys.items()})

    @classmethod
    def read(cls, folder: Path) -> Keys:
        """The keys in a folder, or the only one in a file; files that begin with a dot are none.

        Raises:
            UserError: If there is no key, or one is too short, read by others, or there twice.
        """
        try:
            found = [folder] if folder.is_file() else folder.iterdir()
            files = sorted(path for path in found if not path.name.startswith("."))
        except OSError as error:
            raise UserError(
                f"{folder}: the folder of keys cannot be read ({error.strerror}); give a folder"
                " with one file for each client."
            ) from error
        hashes: dict[str, bytes] = {}
        for path in files:
            name = path.name
            if not path.is_file() or len(name) > _NAME_CHARACTERS or not name.isprintable():
                raise UserError(f"{path}: not a file named like a client; take it away.")
            if path.stat().st_mode & 0o004:
                raise UserError(f"{path}: everybody may read this key; `chmod 600` it.")
            key = path.read_bytes().strip()
            if len(key) < _LEAST_KEY_CHARACTERS or not key.isascii() or b"\n" in key:
                raise UserError(
                    f"{path}: expected one line of {_LEAST_KEY_CHARACTERS} or more ASCII"
                    " characters; `openssl rand -hex 32` makes one."
                )
            hashed = hashlib.sha256(key).digest()
            if hashed in hashes.values():
                raise UserError(f"{path}: another client has the same key; give each its own.")
            hashes[name] = hashed
        if not hashes:
            raise UserError(f"{folder}: holds no key; put one file for each client there.")
        return cls(hashes)

    def client(self, key: bytes) -> str | None:
        """Whose key it is; all are compared, whichever it is."""
        given = hashlib.sha256(key).digest()
        found = None
        for name, known in self._hashes.items():
            if hmac.compare_digest(given, known):
                found = name
        return found


class Gate:
    """ASGI middleware.

    Args:
        app: What is behind it.
        keys: None: everybody may ask.
        hosts: Names that the server may be asked under.
        limits: Of a request.
        refused: Told the status of each refusal.
    """

    def __init__(
        self,
        app: App,
        *,
        keys: Keys | None,
        hosts: Sequence[str],
        limits: Limits,
        refused: Callable[[int], None] = lambda status: None,
    ) -> None:
        self._app, self._keys, self._limits = app, keys, limits
        self._hosts = frozenset(host.lower() for host in (*LOOPBACK, *hosts))
        self._refused = refused
        self._at_once: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        client = None
        try:
            headers = _headers(scope)
            self._check_host(headers)
            client = self._who(scope["path"], headers)
            body = await self._body(receive, headers)
            if self._at_once[client] >= self._limits.per_client:
                client = None
                raise RefusalError(
                    429,
                    f"{self._limits.per_client} requests of this client are under way; wait for"
                    " one to end",
                    code="rate_limit_exceeded",
                    retry_after=1,
                )
            self._at_once[client] += 1
        except RefusalError as refusal:
            self._refused(refusal.status)
            await refuse(send, refusal)
            return
        scope["lmcore.client"] = client
        try:
            await self._app(scope, _given(body, receive), send)
        finally:
            self._at_once[client] -= 1
            if not self._at_once[client]:
                del self._at_once[client]

    def _check_host(self, headers: Mapping[str, bytes]) -> None:
        host = headers.get("host", b"").decode("latin-1").lower()
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if name not in self._hosts:
            raise RefusalError(
                421, f"this server is not {host!r}; name it with --allow-host to allow that"
            )
        # A page of another site cannot read an answer, but it could make one be drawn.
        if headers.get("sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise RefusalError(403, "asked by a page of another site")

    def _who(self, path: str, headers: Mapping[str, bytes]) -> str:
        if self._keys is None or path in _OPEN:
            return ANYBODY
        kind, _, key = headers.get("authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not key.strip():
            raise RefusalError(
                401, "no key was given; send `Authorization: Bearer KEY`", code="invalid_api_key"
            )
        client = self._keys.client(key.strip())
        if client is None:
            raise RefusalError(401, "the key is not known here", code="invalid_api_key")
        return client

    async def _body(self, receive: Receive, headers: Mapping[str, bytes]) -> bytes:
        most = self._limits.body_bytes
        said = headers.get("content-length", b"0")
        if not said.isdigit() or int(said) > most:
            raise _too_large(most)
        parts, size = [], 0
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limits.body_seconds
        while True:
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError as error:
                raise RefusalError(
                    408, f"the body did not come in {self._limits.body_seconds:.0f} s"
                ) from error
            if message["type"] == "http.disconnect":
                raise RefusalError(400, "the client went away")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise _too_large(most)
            if not message.get("more_body"):
                return b"".join(parts)


def _too_large(most: int) -> RefusalError:
    return RefusalError(
        413, f"the body is larger than {most} bytes; ask in smaller parts", retry_after=1
    )


def _headers(scope: Scope) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in ("host", "authorization", "content-length") and key in found:
            raise RefusalError(400, f"the header {key} is there twice")
        found[key] = value
    return found


def _given(body: bytes, receive: Receive) -> Receive:
    """The body that was read, then whatever the client does."""
    sent = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


async def refuse(send: Send, refusal: RefusalError) -> None:
    """Answer with a refusal; the connection is closed, as a body may still be on its way."""
    body = json.dumps(refusal.body(), ensure_ascii=False).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **refusal.headers(),
    }
    await send(
        {
            "type": "http.response.start",
            "status": refusal.status,
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
