"""Where a server of this project listens."""

from __future__ import annotations

import socket

_BACKLOG = 1024


def listen(host: str, port: int = 0) -> socket.socket:
    """A listening socket whose connections send what is written at once.

    An event loop writes the head of an answer and its body one after the other.  Without the option
    the second part waits until the client acknowledges the first, which it does 40 ms later.
    asyncio sets it on sockets that name their protocol, and `socket.create_server` names none.

    Args:
        host: Address.
        port: 0 takes a free one.

    Raises:
        OSError: If it cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    # Accepted sockets inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
