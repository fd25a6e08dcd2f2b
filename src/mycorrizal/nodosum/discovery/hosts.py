# -*- test-case-name: tests.nodosum.discovery.test_static -*-
"""
The addresses of a host's name, from the reactor's name resolver.  (A shell.)
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from mycorrizal.nodosum.config import Address
from mycorrizal.runtime import Runtime


@implementer(IResolutionReceiver)
class _Receiver:
    """Collects the addresses of one name."""

    def __init__(self, port: int) -> None:
        self.found: Deferred[list[Address]] = Deferred()
        self._port = port
        self._addresses: list[Address] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        pass

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, (IPv4Address, IPv6Address)):
            self._addresses.append((address.host, self._port))

    def resolutionComplete(self) -> None:
        self.found.callback(self._addresses)


def is_literal(host: str) -> bool:
    """Whether this is an IP address already, perhaps with its interface."""
    return isIPAddress(host) or isIPv6Address(host.partition("%")[0])


def addresses_of(runtime: Runtime, host: str, port: int) -> Deferred[list[Address]]:
    """
    Look a name up as the system does: ``/etc/hosts`` and search domains count.

    :return: Fires with each of its addresses and that port; with an empty
        list if there is no such name, or nobody could be asked.
    """
    if is_literal(host):
        return succeed([(host, port)])
    receiver = _Receiver(port)
    resolver: Any = runtime.reactor.nameResolver
    resolver.resolveHostName(receiver, host, port)
    return receiver.found
