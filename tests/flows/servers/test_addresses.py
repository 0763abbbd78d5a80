import socket
from dataclasses import replace
from pathlib import Path

import pytest

from flows.home.environment import Home, make_home
from flows.home.publication import Publication, publish, withdraw
from flows.servers import addresses
from flows.servers.addresses import NAMES, Addresses, take_addresses


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_PREDECESSOR_SECONDS", 0.5)


def ports(taken: Addresses) -> dict[str, int]:
    return {name: s.getsockname()[1] for name, s in taken.listeners.items()}


def close(taken: Addresses) -> None:
    for listener in taken.listeners.values():
        listener.close()


def published(home: Home) -> tuple[Publication, dict[str, int]]:
    """An `up` that was killed: its file is there, its sockets are not."""
    first = take_addresses(home.root, "127.0.0.1")
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports(first).items()}
    written = Publication(
        pid=1,
        prefect_api_url=f"{urls['prefect']}/api",
        mlflow_url=urls["mlflow"],
        dashboard_url=urls["dashboard"],
        serve_url=f"{urls['serve']}/v1",
        user="lmcore",
        password=first.password,
    )
    publish(home.root, written)
    close(first)
    return written, {name: int(url.rpartition(":")[2]) for name, url in urls.items()}


def test_after_a_kill_servers_are_where_a_run_looks_for_them(home: Home) -> None:
    before, at = published(home)
    again = take_addresses(home.root, "127.0.0.1")
    assert (ports(again), again.password) == (at, before.password)
    close(again)


def test_a_port_that_somebody_has_taken_gives_new_ports_and_another_password(home: Home) -> None:
    before, at = published(home)
    with socket.create_server(("127.0.0.1", at["serve"])):
        other = take_addresses(home.root, "127.0.0.1")
    assert other.password != before.password
    assert not set(ports(other).values()) & {at["serve"]}
    close(other)


@pytest.mark.parametrize("change", ["withdrawn", "another address", "none"])
def test_without_a_killed_one_everything_is_drawn(home: Home, change: str) -> None:
    before, _ = published(home)
    if change == "withdrawn":
        withdraw(home.root)
    elif change == "none":
        publish(home.root, replace(before, serve_url=""))
    host = "::1" if change == "another address" and socket.has_ipv6 else "127.0.0.1"
    if change == "another address" and host == "127.0.0.1":
        pytest.skip("this machine has one loopback address")
    new = take_addresses(home.root, host)
    assert tuple(new.listeners) == NAMES
    assert new.password != before.password
    close(new)
