"""Servers of a model, and clients that ask them: what the benchmarks of serving share.

In: a home with a champion.  Out: what came back to so many clients at once, and how long it took.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.recording import ROOT

TOKENS = 64
PROMPT = (
    "{}. Fellow citizens of the Senate and of the House of Representatives: the year that has"
    " passed since you were last in this place has been one of peace abroad and of honest labor at"
    " home, and the"
)
Ask = Callable[[http.client.HTTPConnection, int], str]


@contextlib.contextmanager
def served(home: Path) -> Iterator[tuple[int, int, float]]:
    """`lmcore serve`: port, process and seconds until it is ready."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "serve", "--no-key", "--port", "0", "--json"],
        env={**os.environ, "LMCORE_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        answer = json.loads(process.stdout.readline())
        port = int(answer["url"].rpartition(":")[2])
        _wait(port, "/ready")
        try:
            yield port, process.pid, time.perf_counter() - start
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


@contextlib.contextmanager
def served_by_mlflow(home: Path, name: str) -> Iterator[tuple[int, int, float]]:
    """`mlflow models serve`: port, process and seconds until it answers its ping."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["-m", f"models:/{name}@champion", "--host", "127.0.0.1", "--port", str(port)]
    environ = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
        "LMCORE_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=home,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(port, "/ping")
        yield port, process.pid, time.perf_counter() - start
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(port: int, path: str) -> None:
    for _ in range(6000):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing answers on port {port}")


def ours(name: str, *, one_prompt: bool = False) -> Ask:
    """Ask `lmcore serve`; each request with another prompt, or all with one."""

    def ask(connection: http.client.HTTPConnection, seed: int) -> str:
        prompt = PROMPT.format(0 if one_prompt else seed)
        asked = {"model": name, "prompt": prompt, "max_tokens": TOKENS, "seed": seed}
        asked |= {"temperature": 0.8, "top_p": 0.95}
        found = post(connection, "/v1/completions", asked)
        return str(found["choices"][0]["text"])

    return ask


def mlflows(connection: http.client.HTTPConnection, seed: int) -> str:
    """Ask `mlflow models serve`."""
    params = {"max_tokens": TOKENS, "seed": seed, "temperature": 0.8, "top_p": 0.95}
    rows = {"columns": ["prompt"], "data": [[PROMPT.format(seed)]]}
    found = post(connection, "/invocations", {"dataframe_split": rows, "params": params})
    return str(found["predictions"][0]["text"])


def post(connection: http.client.HTTPConnection, path: str, asked: Any) -> Any:
    """What a server answers, which must be 200."""
    connection.request("POST", path, json.dumps(asked), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path} answered {answer.status}: {body[:300]!r}")
    return json.loads(body)


def load(port: int, ask: Ask, *, clients: int, each: int, first: int = 0) -> dict[str, Any]:
    """So many clients at once: texts, seconds of all, and of each request.

    Args:
        port: Where they ask.
        ask: How.
        clients: How many.
        each: Requests of each, one after the other.
        first: Seed of the first; what was asked before may be answered faster.
    """
    latencies: list[float] = []
    texts: list[str] = []

    def one(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        for turn in range(each):
            start = time.perf_counter()
            texts.append(ask(connection, first + number * each + turn))
            latencies.append(time.perf_counter() - start)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if len(texts) != clients * each:
        raise SystemExit("a client failed")
    ordered = sorted(latencies)
    return {
        "texts": texts,
        "seconds": seconds,
        "p50": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
    }
