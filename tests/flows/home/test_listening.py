"""Where servers listen, and that what they write is sent at once."""

import asyncio
import socket

import pytest

from flows.home.listening import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_sockets_are_bound_to_loopback_alone(host: str) -> None:
    try:
        listener = listen(host)
    except OSError:
        pytest.skip(f"no {host} here")
    with listener:
        assert listener.getsockname()[0] == host
        assert listener.getsockname()[1] > 0


def test_a_port_in_use_is_refused() -> None:
    with listen("127.0.0.1") as listener, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", listener.getsockname()[1])


def test_no_part_of_an_answer_waits_for_the_one_before_it() -> None:
    """Each connection that an event loop accepts has Nagle's algorithm off."""
    found: list[int] = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        found.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def ask() -> None:
        with listen("127.0.0.1") as listener:
            port = listener.getsockname()[1]
            server = await asyncio.start_server(answer, sock=listener)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await reader.read()
            writer.close()
            server.close()

    asyncio.run(ask())
    assert found == [1]
