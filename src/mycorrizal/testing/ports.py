# -*- test-case-name: tests.testing.test_ports -*-
"""
The port numbers of one simulated host.
"""

from __future__ import annotations

import errno
from typing import Generic, Literal, Protocol, TypeVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError

#: The port numbers that a host gives out by itself (Linux's).
EPHEMERAL = range(32768, 61000)

#: An IPv4 address as a socket that listens on ``::`` sees it (RFC 4291).
_MAPPED = "::ffff:"

Address = IPv4Address | IPv6Address


def address_of(kind: Literal["TCP", "UDP"], host: str, port: int) -> Address:
    """The Twisted address of a literal and a port."""
    if ":" in host:
        return IPv6Address(kind, host, port)
    return IPv4Address(kind, host, port)


def mapped(address: str) -> str:
    """An IPv4 address as IPv6 programs see it; an IPv6 address as it is."""
    return address if ":" in address else _MAPPED + address


def unmapped(address: str) -> str:
    """The IPv4 address within a mapped one; any other as it is."""
    if address.startswith(_MAPPED) and "." in address:
        return address[len(_MAPPED) :]
    return address


def is_loopback(address: str) -> bool:
    """Whether the address always means the host itself."""
    return address.startswith("127.") or address == "::1"


class Bound(Protocol):
    """What can own a port: it listens on one interface or on all."""

    interface: str


P = TypeVar("P", bound=Bound)


class PortTable(Generic[P]):
    """
    The ports of one host and one protocol, and who listens on them.

    :param addresses: The addresses that the host has.
    :param first: Where the search for an unused port begins.
    """

    def __init__(self, addresses: tuple[str, ...], first: int) -> None:
        self._addresses = addresses
        self._next = first
        self._bound: dict[int, list[P]] = {}

    def bind(self, owner: P, port: int) -> int:
        """
        Let `owner` listen on its interface.

        :param port: 0 for any unused port.
        :return: The port.
        :raises CannotListenError: When it is in use, or the host has no such
            address.
        """
        interface = owner.interface
        if interface not in ("", "::") and not (
            interface in self._addresses or is_loopback(interface)
        ):
            self._refuse(owner, port, errno.EADDRNOTAVAIL, "Cannot assign address")
        if port == 0:
            port = self.unused()
        elif any(_overlap(interface, it.interface) for it in self._bound.get(port, ())):
            self._refuse(owner, port, errno.EADDRINUSE, "Address already in use")
        self._bound.setdefault(port, []).append(owner)
        return port

    def release(self, owner: P, port: int) -> None:
        """Forget that `owner` listens; harmless when it does not."""
        owners = self._bound.get(port, [])
        if owner in owners:
            owners.remove(owner)
            if not owners:
                del self._bound[port]

    def find(self, address: str, port: int) -> P | None:
        """Who listens on that address and port, the most exact one first."""
        owners = self._bound.get(port)
        if owners is None:
            return None
        every = ("::",) if ":" in address else ("", "::")
        for interface in (address, *every):
            for owner in owners:
                if owner.interface == interface:
                    return owner
        return None

    def unused(self) -> int:
        """
        A port that nobody listens on, each time another one.

        :raises CannotListenError: When all are in use.
        """
        for _ in EPHEMERAL:
            port = self._next
            self._next = port + 1 if port + 1 in EPHEMERAL else EPHEMERAL.start
            if port not in self._bound:
                return port
        cause = OSError(errno.EADDRINUSE, "No ports left")
        raise CannotListenError("", 0, cause)

    def owners(self) -> list[tuple[int, P]]:
        """Everybody who listens, by port."""
        return [(port, it) for port, them in self._bound.items() for it in them]

    def clear(self) -> None:
        """Forget everybody; their process is gone."""
        self._bound.clear()

    @staticmethod
    def _refuse(owner: P, port: int, number: int, text: str) -> None:
        raise CannotListenError(owner.interface, port, OSError(number, text))


def _overlap(one: str, other: str) -> bool:
    if one == other or "::" in (one, other):
        return True
    if "" in (one, other):
        return ":" not in one + other
    return False
