# -*- test-case-name: tests.nodosum.discovery.test_static -*-
"""
Discovery by a list of addresses that the user wrote down.  (A shell.)
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from twisted.logger import Logger
from zope.interface import implementer

from mycorrizal.errors import DiscoveryError
from mycorrizal.nodosum.config import Address, canonical
from mycorrizal.nodosum.discovery.interfaces import IDiscovery
from mycorrizal.runtime import Runtime

#: Names are looked up again this often; their addresses may change.
ROUND_S = 10.0


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


@implementer(IDiscovery)
class StaticDiscovery:
    """
    A list of addresses; names in it are looked up anew in each round.

    Names go through the reactor's name resolver, so ``/etc/hosts`` and search
    domains count.
    """

    _log = Logger()

    name = "static list"
    round_s = ROUND_S

    def __init__(self, runtime: Runtime, addresses: tuple[Address, ...]) -> None:
        self._runtime = runtime
        self._addresses = addresses
        self._unknown: set[str] = set()

    def discover(self) -> Deferred[list[Address]]:
        """
        Look once.

        :return: Fires with the addresses of all names that could be looked
            up; fails with `DiscoveryError` if there are names and none could.
        """
        lookups = [self._look_up(host, port) for host, port in self._addresses]
        return gatherResults(lookups).addCallback(self._found)

    def _found(self, answers: list[list[Address]]) -> list[Address]:
        named = (canonical(address) for answer in answers for address in answer)
        addresses = list(dict.fromkeys(named))
        if self._addresses and not addresses:
            names = ", ".join(sorted({host for host, _ in self._addresses}))
            raise DiscoveryError(
                f"none of the names in --static has an address: {names}"
            )
        return addresses

    def _look_up(self, host: str, port: int) -> Deferred[list[Address]]:
        receiver = _Receiver(port)
        if isIPAddress(host) or isIPv6Address(host.partition("%")[0]):
            receiver.found.callback([(host, port)])
            return receiver.found
        resolver: Any = self._runtime.reactor.nameResolver
        resolver.resolveHostName(receiver, host, port)
        return receiver.found.addCallback(self._looked_up, host)

    def _looked_up(self, addresses: list[Address], host: str) -> list[Address]:
        if addresses:
            self._unknown.discard(host)
        elif host not in self._unknown:
            self._unknown.add(host)
            self._log.warn("{host} has no address; it is looked up again", host=host)
        return addresses
