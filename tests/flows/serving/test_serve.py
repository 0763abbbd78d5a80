"""`lmcore serve` as a user starts it: what it refuses, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.home.environment import Home
from flows.serving.serve import Asked, serve
from lmcore.errors import UserError


def started(home: Home, *arguments: str) -> subprocess.Popen[str]:
    # Registering leaves the address of another test's store in the environment.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "serve", "--port", "0", "--json", *arguments],
        env={**kept, "LMCORE_HOME": str(home.root), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def process(served_home: Home) -> Iterator[subprocess.Popen[str]]:
    running = started(served_home, "--no-key")
    yield running
    if running.poll() is None:
        running.kill()
    running.communicate()


def answer_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def test_a_signal_lets_requests_under_way_end(process: subprocess.Popen[str]) -> None:
    answer = answer_of(process)
    assert answer["models"][0] | {"fingerprint": ""} == {
        "model": "speeches",
        "task": "language_modelling",
        "version": 1,
        "fingerprint": "",
    }
    assert (answer["keys"], answer["alias"], answer["problems"]) == (False, "champion", [])
    url, drawn = answer["url"], []
    begun = threading.Event()
    asked = {"model": "speeches", "prompt": "a", "max_tokens": 1500, "seed": 1, "stream": True}

    def ask() -> None:
        with httpx.stream(
            "POST", f"{url}/v1/completions", json=asked, timeout=60, trust_env=False
        ) as response:
            for line in response.iter_lines():
                drawn.append(line)
                begun.set()

    thread = threading.Thread(target=ask)
    thread.start()
    assert begun.wait(60)
    process.send_signal(signal.SIGHUP)
    thread.join(60)
    assert drawn[-2:] == ["data: [DONE]", ""] or drawn[-1] == "data: [DONE]"
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out == ""
    assert "Traceback" not in err
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health", trust_env=False)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "nobody could be told apart"),
        ({"without_key": True, "host": "0.0.0.0"}, "others could reach it"),
        ({"without_key": True, "keys": Path("x")}, "choose one"),
        ({"keys": Path("nowhere")}, "cannot be read"),
        ({"without_key": True, "host": "203.0.113.1"}, "others could reach it"),
        ({"without_key": True, "models": ["others"]}, "does not exist"),
        ({"without_key": True, "alias": "nobody"}, "has no alias 'nobody'"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    served_home: Home, asked: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.serving.serve.current", lambda: served_home)
    with pytest.raises(UserError, match=words):
        serve(Asked(**{"port": 0, **asked}))


def test_a_port_that_is_taken_is_named(served_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.serving.serve.current", lambda: served_home)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} cannot be listened on"):
            serve(Asked(without_key=True, port=port))


def test_it_may_start_before_anything_is_promoted(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.serving.serve.current", lambda: home)
    with pytest.raises(UserError, match="no model has the alias"):
        serve(Asked(without_key=True, port=0))
    answer, stay = serve(Asked(without_key=True, port=0, wait=True))
    assert (answer["models"], answer["problems"]) == ([], [])
    monkeypatch.setattr("flows.serving.serve._answer", lambda *given: None)
    stay()
