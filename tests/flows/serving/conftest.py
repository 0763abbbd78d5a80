"""A registry with versions, and a server on loopback that answers with them."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from flows.home.environment import Home, make_home
from flows.registry.models import Registry
from flows.registry.promotion import Promotion, promote
from flows.registry.reader import HomeReader
from flows.registry.versions import Version
from flows.serving.access import Keys
from flows.serving.desk import Desk
from flows.serving.limits import Limits
from flows.serving.wiring import Wired
from lmcore.version_folder import VersionFolder

NAME = "speeches"
WAIT_SECONDS = 60.0


@pytest.fixture(scope="session")
def three_versions(
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_template: Path,
    register_in: Callable[..., Version],
    assemble_in: Callable[..., VersionFolder],
) -> Home:
    """Three versions of different weights; nothing is promoted."""
    root = tmp_path_factory.mktemp("three")
    home = make_home(root / "home")
    shutil.copy(mlflow_template, home.mlflow_database)
    registry = Registry(home)
    for number in (1, 2, 3):
        folder = assemble_in(root, f"v{number}", seed=number)
        register_in(registry, folder, run_key=f"k{number}")
    return home


def copied(three: Home, root: Path) -> Home:
    """A home of its own, whose database names the files of the shared one."""
    home = make_home(root)
    shutil.copy(three.mlflow_database, home.mlflow_database)
    shutil.copytree(three.mlflow_artifacts, home.mlflow_artifacts, dirs_exist_ok=True)
    return home


def promoted(home: Home, number: int, expected: int | None) -> Promotion:
    """Promote a version as ada does."""
    return promote(
        Registry(home),
        NAME,
        number,
        expected_champion=expected,
        who="ada",
        reason="better",
        smoke=lambda version: None,
    )


@pytest.fixture
def served_home(tmp_path: Path, three_versions: Home) -> Home:
    """Version 1 is the champion."""
    home = copied(three_versions, tmp_path / "served")
    promoted(home, 1, None)
    return home


@pytest.fixture
def go() -> Callable[[Home, int, int | None], Promotion]:
    return promoted


@dataclass(frozen=True)
class Served:
    """A server that answers.

    Attributes:
        url: Its address.
        home: Of its registry.
        desk: What answers.
        client: Asks it.
    """

    url: str
    home: Home
    desk: Desk
    client: httpx.Client

    def complete(self, **asked: Any) -> httpx.Response:
        return self.client.post("/v1/completions", json={"model": NAME, "prompt": "The", **asked})


@contextlib.contextmanager
def serving(
    home: Home,
    *,
    keys: Keys | None = None,
    limits: Limits | None = None,
    hosts: Sequence[str] = (),
    **settings: Any,
) -> Iterator[Served]:
    """A server in a thread, on a port of its own."""
    wired = Wired(HomeReader(home), limits=limits or Limits(), requests=home.requests, **settings)
    wired.open()
    listener = socket.create_server(("127.0.0.1", 0))
    app = wired.app(keys=keys, hosts=hosts)
    config = uvicorn.Config(app, log_level="critical", lifespan="off", server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=WAIT_SECONDS, trust_env=False) as client:
            until(lambda: server.started)
            yield Served(url, home, wired.desk, client)
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)
        wired.close()


def until(holds: Callable[[], object]) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.01)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    return until


@pytest.fixture(scope="session")
def serve_home() -> Callable[..., contextlib.AbstractContextManager[Served]]:
    return serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, three_versions: Home) -> Iterator[Served]:
    """Version 1 answers; tests of a module share it and change nothing."""
    home = copied(three_versions, tmp_path_factory.mktemp("served") / "home")
    promoted(home, 1, None)
    with serving(home) as running:
        yield running
