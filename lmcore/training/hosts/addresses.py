"""Where hosts meet: endpoints, the own address, and the interface that it belongs to.

The address family follows from the address: a rendezvous at `[fd00::1]:29400` is IPv6 throughout.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from lmcore.errors import ConfigError

# Of torchrun as well.
DEFAULT_PORT = 29400
_SIOCGIFADDR = 0x8915  # linux/sockios.h


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A host, by name or address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.

        Raises:
            ValueError: If it is none of these.
        """
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?", text, re.ASCII)
        port = DEFAULT_PORT if found is None or found[3] is None else int(found[3])
        if found is None or not 0 < port < 1 << 16 or (found[1] and not _is_ipv6(found[1])):
            raise ValueError(
                f"{text!r} is no address; expected HOST:PORT, or [ADDRESS]:PORT for IPv6"
            )
        return cls(host=found[1] or found[2], port=port)

    def resolved(self) -> Endpoint:
        """The same with an address instead of a name.

        Raises:
            ConfigError: If the name has none.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(
                f"the hosts are to meet at {self}, but {self.host} has no address here ({error});"
                " name one in training.rendezvous or MASTER_ADDR"
            ) from None
        return Endpoint(host=str(found[0][4][0]), port=self.port)

    def reachable(self, interface: str | None = None) -> Endpoint:
        """The address of this host, which others are to meet at.

        Args:
            interface: Whose address; None: the one that is named.

        Raises:
            ConfigError: If a name stands for this machine alone, or has no address.
        """
        found = self.resolved()
        if interface is not None:
            return Endpoint(host=own_address(found, interface), port=self.port)
        if found.is_loopback and not self.is_loopback:
            raise ConfigError(
                f"the hosts are to meet at {self}, which is {found.host} here, and other hosts"
                " cannot reach that; give the address itself in training.rendezvous or"
                " MASTER_ADDR, or name training.interface"
            )
        return found

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; of a name it is not known."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def listen(endpoint: Endpoint) -> socket.socket:
    """A socket that accepts connections to this very address and no other one.

    Raises:
        ConfigError: If the address is not one of this host, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    try:
        return socket.create_server((endpoint.host, endpoint.port), family=family)
    except OSError as error:
        raise ConfigError(
            f"nothing can listen on {endpoint} here ({error.strerror}); training.rendezvous, or"
            " MASTER_ADDR and MASTER_PORT, name an address of the first host and a free port of it"
        ) from None


def own_address(towards: Endpoint, interface: str | None = None) -> str:
    """The address of this host that others reach it by.

    Args:
        towards: What it is about to talk to, by address; decides the family.
        interface: Whose address; None: of the one that leads there.

    Raises:
        ConfigError: If there is none.
    """
    if interface is not None:
        family = socket.AF_INET6 if ":" in towards.host else socket.AF_INET
        for address in _addresses(interface, family):
            return address
        raise ConfigError(
            f"training.interface={interface!r} has no {_family(family)} address on"
            f" {socket.gethostname()}, as {towards} asks for; there are"
            f" {', '.join(name for _, name in socket.if_nameindex())}"
        )
    family = socket.AF_INET6 if ":" in towards.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards.host, towards.port))  # a datagram socket sends nothing by this
        except OSError as error:
            raise ConfigError(
                f"no way leads from {socket.gethostname()} to {towards} ({error.strerror}); see"
                " training.rendezvous and training.interface"
            ) from None
        return str(probe.getsockname()[0])


def interface_of(address: str) -> str | None:
    """The interface that an address of this host belongs to; None where that cannot be told."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _, name in socket.if_nameindex():
        if address in _addresses(name, family):
            return name
    return None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _family(family: socket.AddressFamily) -> str:
    return "IPv6" if family == socket.AF_INET6 else "IPv4"


def _addresses(interface: str, family: socket.AddressFamily) -> list[str]:
    """Addresses of an interface, on Linux; one of IPv4, those of IPv6 that are not link-local."""
    if family == socket.AF_INET:
        # Imported here: it is not everywhere.
        import fcntl

        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            request = struct.pack("256s", interface.encode()[:15])
            try:
                answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, request)
            except OSError:
                return []
        return [socket.inet_ntoa(answer[20:24])]
    try:
        lines = Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    rows = [line.split() for line in lines]
    found = [ipaddress.IPv6Address(int(row[0], 16)) for row in rows if row[5] == interface]
    return [str(address) for address in found if not address.is_link_local]
