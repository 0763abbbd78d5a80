"""Endpoints read back as they are written, and sockets that listen on one address."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.errors import ConfigError
from lmcore.training.hosts.addresses import (
    DEFAULT_PORT,
    Endpoint,
    interface_of,
    listen,
    own_address,
)

PORTS = st.integers(1, (1 << 16) - 1)
HOSTS = st.one_of(
    st.ip_addresses().map(str),
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{1,8})?", fullmatch=True),
)


@given(host=HOSTS, port=PORTS)
def test_an_endpoint_reads_back_as_it_is_written(host: str, port: int) -> None:
    endpoint = Endpoint(host=host, port=port)
    assert Endpoint.parse(str(endpoint)) == endpoint


@given(host=HOSTS)
def test_a_host_alone_has_the_port_of_torchrun(host: str) -> None:
    text = f"[{host}]" if ":" in host else host
    assert Endpoint.parse(text) == Endpoint(host=host, port=DEFAULT_PORT)


@given(st.text(max_size=30))
def test_any_text_is_an_endpoint_or_named_as_none(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except ValueError:
        return
    assert 0 < endpoint.port < 1 << 16
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize("text", ["", "a:0", "a:65536", "a b", "fd00::1", "[10.0.0.1]", ":29400"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no address; expected HOST:PORT"):
        Endpoint.parse(text)


@given(st.ip_addresses())
def test_loopback_is_told_by_the_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert Endpoint(host=str(address), port=1).is_loopback == address.is_loopback


def test_a_name_that_means_this_machine_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.1.1", 29400))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(ConfigError, match=r"node1:29400, which is 127\.0\.1\.1 here"):
        Endpoint.parse("node1").reachable()
    assert Endpoint.parse("127.0.0.1:5").reachable().is_loopback


def test_a_name_without_an_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(ConfigError, match=r"nowhere has no address here .*training\.rendezvous"):
        Endpoint.parse("nowhere").resolved()


def test_a_socket_listens_on_its_address_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with listen(Endpoint(host="127.0.0.1", port=port)), socket.socket() as caller:
        assert caller.connect_ex(("127.0.0.2", port)) != 0
        with pytest.raises(ConfigError, match=rf"nothing can listen on 127\.0\.0\.1:{port}"):
            listen(Endpoint(host="127.0.0.1", port=port))
    with pytest.raises(ConfigError, match=r"address of the first host"):
        listen(Endpoint(host="192.0.2.1", port=port))


@pytest.mark.skipif(not Path("/proc/net").exists(), reason="interfaces are asked of Linux")
def test_the_own_address_belongs_to_its_interface() -> None:
    there = Endpoint(host="127.0.0.1", port=9)
    assert own_address(there) == "127.0.0.1"
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("192.0.2.1") is None
    assert own_address(there, "lo") == "127.0.0.1"
    with pytest.raises(ConfigError, match=r"training\.interface='none0' has no IPv4 address"):
        own_address(there, "none0")
    with pytest.raises(ConfigError, match=r"has no IPv6 address"):
        own_address(Endpoint(host="fd00::1", port=9), "none0")
