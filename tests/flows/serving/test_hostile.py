"""Whatever is sent, the answer is one of the announced kind, and the next client is answered."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.serving.protocol import CompletionRequest, PredictRequest

PATHS = ("/v1/completions", "/v1/predict", "/v1/chat/completions")
KEYS = sorted({*CompletionRequest.model_fields, *PredictRequest.model_fields, "messages", "other"})
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["speeches", "speeches:1", "speeches@x", "\u0000", "\ud800", "a" * 2000])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
BODIES = st.one_of(
    st.binary(max_size=300),
    VALUES.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)
    .map(lambda value: {"model": "speeches", "prompt": "a", "max_tokens": 2, **value})
    .map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
)


@given(path=st.sampled_from(PATHS), body=BODIES)
@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_body_breaks_it(served: Any, path: str, body: bytes) -> None:
    found = served.client.post(path, content=body)
    assert found.status_code < 500, (body, found.text)
    if found.status_code != 200:
        error = found.json()["error"]
        assert error["message"].isprintable()
        assert set(error) == {"message", "type", "param", "code"}


HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
RAW = {
    "nothing": b"\r\n\r\n",
    "noise": bytes(range(256)) * 8,
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length that is none": HEAD + b"Content-Length: many\r\n\r\n",
    "a length beyond any": HEAD + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
    "a bad chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "an endless header": HEAD + b"X-Long: " + b"a" * 100_000,
    "many headers": HEAD + b"".join(b"X-%d: a\r\n" % i for i in range(5000)) + b"\r\n",
    "a path of another kind": b"GET /v1/models/..%2f..%2fetc HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a proxy's question": b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a tunnel": b"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "another protocol": HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("kind", RAW)
def test_no_bytes_break_it(served: Any, kind: str) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(RAW[kind])
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert not answer or answer.split()[1] < b"500", answer
    assert b"Traceback" not in answer
    assert served.complete(max_tokens=1).status_code == 200


def test_slow_clients_hold_nobody_up(served: Any) -> None:
    """Fifty that send a byte now and then, and one that waits for an answer."""
    host, port = served.url.removeprefix("http://").split(":")
    stop = threading.Event()
    slow = [socket.create_connection((host, int(port)), timeout=20) for _ in range(50)]

    def trickle() -> None:
        while not stop.is_set():
            for connection in slow:
                connection.sendall(b"P")
            time.sleep(0.05)

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        for _ in range(5):
            assert served.complete(max_tokens=4).status_code == 200
    finally:
        stop.set()
        thread.join()
        for connection in slow:
            connection.close()


def test_a_client_that_does_not_read_holds_nobody_up(serve_home: Any, served_home: Any) -> None:
    asked = {"model": "speeches", "prompt": ["a"] * 4, "max_tokens": 4000, "stream": True}
    body = json.dumps({**asked, "logprobs": 5}).encode()
    with serve_home(served_home) as served:
        host, port = served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            for _ in range(5):
                assert served.complete(max_tokens=4).status_code == 200
