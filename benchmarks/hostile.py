"""Requests that mean no good, and an honest client beside them: a part of `benchmarks.serving`.

In: the port of a server.  Out: how each was answered, and how long the honest client waited.  What
is sent follows from its number alone.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

PATHS = ("/v1/completions", "/v1/chat/completions", "/v1/predict", "/v1/feedback")
_STRANGE: tuple[Any, ...] = (
    *(None, True, [], {}, [[]], "", "\0", "x" * 5000, -1, 0.5, 1 << 70, 1e308, [None], {"a": {}}),
    *(float("nan"), float("inf"), ["a"] * 5000, "\ud800", list(range(100))),
)
_KEYS = (
    *("model", "prompt", "max_tokens", "temperature", "top_p", "n", "stop", "seed", "stream"),
    *("logprobs", "echo", "messages", "input", "id", "rating", "suffix", "unknown", "best_of"),
)
_HEADS: tuple[bytes, ...] = (
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"X-Long: " + b"a" * 100_000,
    b"".join(b"X-%d: a\r\n" % i for i in range(5000)) + b"\r\n",
    b"Host: evil.example\r\nContent-Length: 2\r\n\r\n{}",
    b"Origin: http://evil.example\r\nContent-Length: 2\r\n\r\n{}",
    b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
)
_LARGE = 50_000_000
_SECONDS = 60.0


def hostile(port: int, name: str, *, requests: int) -> dict[str, Any]:
    """So many hostile requests from four clients, and one honest client after another.

    Args:
        port: Of the server.
        name: Of a model that it serves.
        requests: How many; each hundredth is 50 MB long, each twentieth is never ended.
    """
    before = [_honest(port, name) for _ in range(20)]
    answers: Counter[str] = Counter()
    waited: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            waited.append(_honest(port, name))

    def send(first: int) -> None:
        for number in range(first, requests, 4):
            answers[_send(port, name, number)] += 1

    watcher = threading.Thread(target=watch)
    senders = [threading.Thread(target=send, args=(first,)) for first in range(4)]
    for thread in (watcher, *senders):
        thread.start()
    for thread in senders:
        thread.join()
    over.set()
    watcher.join()
    return {
        "requests": sum(answers.values()),
        "answers": dict(sorted(answers.items())),
        "server_errors": sum(n for status, n in answers.items() if status.startswith("5")),
        "honest": {
            "requests": len(waited),
            "most_seconds": round(max(waited), 3),
            "most_seconds_before": round(max(before), 3),
        },
    }


def _honest(port: int, name: str) -> float:
    """Seconds that a short question takes; it must be answered."""
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    asked = {"model": name, "prompt": "The year", "max_tokens": 8, "seed": 1}
    connection.request("POST", "/v1/completions", json.dumps(asked))
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise SystemExit(f"an honest request was answered with {status}")
    return time.perf_counter() - start


def _send(port: int, name: str, number: int) -> str:
    """Send one, and how it was answered: a status, `closed`, or `left` where nobody waited."""
    rng = random.Random(number)
    path = rng.choice(PATHS)
    head = f"POST {path} HTTP/1.1\r\n".encode()
    plain = head + b"Host: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
        # A server may answer, and close, before it has read all.
        with contextlib.suppress(OSError):
            if number % 100 == 0:
                connection.sendall(plain + b"Content-Length: %d\r\n\r\n" % _LARGE)
                for _ in range(_LARGE >> 20):
                    connection.sendall(b"a" * (1 << 20))
            elif number % 20 == 0:
                connection.sendall(plain + b'Content-Length: 500\r\n\r\n{"model": ')
                time.sleep(rng.random())
                return "left"
            elif number % 10 == 0:
                connection.sendall(head + b"Host: localhost\r\n" + rng.choice(_HEADS))
                connection.shutdown(socket.SHUT_WR)
            else:
                body = rng.choice(_BODIES)(rng, name)
                connection.sendall(plain + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        with contextlib.suppress(OSError):
            answer = connection.recv(1 << 12)
            if answer.startswith(b"HTTP/1.1 "):
                return answer.split()[1].decode()
    return "closed"


def _noise(rng: random.Random, name: str) -> bytes:
    return rng.randbytes(rng.randrange(300))


def _cut(rng: random.Random, name: str) -> bytes:
    body = json.dumps({"model": name, "prompt": "a", "max_tokens": 2}).encode()
    return body[: rng.randrange(len(body))]


def _deep(rng: random.Random, name: str) -> bytes:
    return rng.choice((b"[", b'{"a":')) * rng.randrange(1, 50_000)


def _wrong(rng: random.Random, name: str) -> bytes:
    """A request some of whose values are none that it may have."""
    values: dict[str, Any] = {"model": name, "prompt": "a", "max_tokens": 2}
    for key in rng.sample(_KEYS, rng.randrange(1, 4)):
        values[key] = rng.choice(_STRANGE)
    return json.dumps(values).encode("utf-8", "surrogatepass")


_BODIES: tuple[Callable[[random.Random, str], bytes], ...] = (_noise, _cut, _deep, _wrong, _wrong)
