"""Who may ask, under which name, and how much may come in."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from flows.serving.access import Gate, Keys
from flows.serving.limits import Limits
from lmcore.errors import UserError

KEY, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    for name, key in (("ada", KEY), ("bob", OTHER), (".hidden", "x")):
        path = folder / name
        path.write_text(f"{key}\n")
        path.chmod(0o600)
    return folder


def test_a_key_names_a_client(keys: Path) -> None:
    found = Keys.read(keys)
    assert found.client(KEY.encode()) == "ada"
    assert found.client(OTHER.encode()) == "bob"
    assert Keys.read(keys / "bob").client(OTHER.encode()) == "bob"
    for wrong in (b"", b"x", KEY[:-1].encode(), f"{KEY}a".encode(), b"\xff" * 32):
        assert found.client(wrong) is None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "ada").write_text("short"), "16 or more"),
        (lambda folder: (folder / "ada").write_text(f"{KEY}\n{KEY}"), "one line"),
        (lambda folder: (folder / "ada").write_text(OTHER), "the same key"),
        (lambda folder: (folder / "ada").write_bytes(b"\xff" * 32), "ASCII"),
        (lambda folder: (folder / "ada").chmod(0o604), "everybody may read"),
        (lambda folder: (folder / "inner").mkdir(), "not a file"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "holds no key"),
        (lambda folder: folder.rename(folder.with_name("else")), "cannot be read"),
    ],
)
def test_keys_that_are_none_are_named(keys: Path, spoil: Any, words: str) -> None:
    spoil(keys)
    with pytest.raises(UserError, match=words):
        Keys.read(keys)


def test_without_a_known_key_nothing_is_answered(
    serve_home: Any, served_home: Any, keys: Path
) -> None:
    with serve_home(served_home, keys=Keys.read(keys)) as served:
        for path in ("/v1/models", "/metrics", "/docs", "/openapi.json"):
            assert served.client.get(path).status_code == 401
        for path in ("/health", "/ready"):
            assert served.client.get(path).status_code == 200
        for given in ("", "Bearer", "Bearer x", f"Basic {KEY}", f"Bearer {KEY[:-1]}"):
            found = served.client.get("/v1/models", headers={"Authorization": given})
            assert found.status_code == 401
            assert found.json()["error"]["code"] == "invalid_api_key"
            assert found.headers["www-authenticate"] == "Bearer"
        for given in (f"Bearer {KEY}", f"bearer  {OTHER}"):
            found = served.client.get("/v1/models", headers={"Authorization": given})
            assert found.status_code == 200


def test_only_its_own_names_reach_it(served: Any) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil", "", "[::2]:80"):
        found = served.client.get("/v1/models", headers={"Host": host})
        assert found.status_code == 421, host
    for host in ("localhost", "LOCALHOST:9", "127.0.0.1:1", "[::1]:8000"):
        assert served.client.get("/v1/models", headers={"Host": host}).status_code == 200
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        headers = {"Sec-Fetch-Site": site}
        assert served.client.get("/v1/models", headers=headers).status_code == status
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    found = served.client.options("/v1/completions", headers=preflight)
    assert "access-control-allow-origin" not in found.headers


def raw(served: Any, sent: bytes, *, seconds: float = 20.0) -> bytes:
    """What comes back for these bytes, until the server closes."""
    host, port = served.url.removeprefix("http://").split(":")
    found = b""
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(sent)
        while part := connection.recv(65536):
            found += part
    return found


def test_too_much_is_refused_before_it_came(serve_home: Any, served_home: Any) -> None:
    limits = Limits(body_bytes=1000, body_seconds=0.5)
    with serve_home(served_home, limits=limits) as served:
        path = "/v1/completions"
        assert served.client.post(path, content=b" " * 1001).status_code == 413
        parts = (b" " * 100 for _ in range(20))  # a length that is not said
        assert served.client.post(path, content=parts).status_code == 413
        head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
        said = raw(served, head + b"Content-Length: 52428800\r\n\r\n")
        assert b" 413 " in said.splitlines()[0]
        # A body that does not come.
        start = time.monotonic()
        late = raw(served, head + b"Content-Length: 100\r\n\r\n{")
        assert b" 408 " in late.splitlines()[0]
        assert time.monotonic() - start < 15
        assert served.complete(max_tokens=1).status_code == 200


def test_one_client_cannot_take_all(keys: Path) -> None:
    """The third request of a client is refused until one of the first two is answered."""

    async def asked() -> dict[str, list[int]]:
        goes_on = asyncio.Event()
        statuses: dict[str, list[int]] = {"ada": [], "bob": []}

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await goes_on.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        gate = Gate(slow, keys=Keys.read(keys), hosts=(), limits=Limits(per_client=2))

        async def ask(name: str, key: str) -> None:
            headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {key}".encode())]

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    statuses[name].append(message["status"])

            await gate({"type": "http", "path": "/v1/models", "headers": headers}, receive, send)

        first = [asyncio.create_task(ask("ada", KEY)) for _ in range(2)]
        await asyncio.sleep(0)
        await ask("ada", KEY)
        other = asyncio.create_task(ask("bob", OTHER))
        await asyncio.sleep(0)
        goes_on.set()
        await asyncio.gather(*first, other)
        await ask("ada", KEY)
        return statuses

    assert asyncio.run(asked()) == {"ada": [429, 200, 200, 200], "bob": [200]}
