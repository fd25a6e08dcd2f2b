# -*- test-case-name: tests.testing.test_names -*-
"""
Simulated name service: one table, which a test may change while it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from zope.interface import implementer

if TYPE_CHECKING:
    from mycorrizal.testing.reactor import SimReactor

#: What an answer takes unless `Names.answer_s` says otherwise.
ANSWER_S = 0.001


def is_literal(name: str) -> bool:
    """Whether `name` is an IPv4 or IPv6 address already."""
    return isIPAddress(name) or isIPv6Address(name)


class Names(dict[str, Sequence[str]]):
    """
    A table of host names and their addresses, IPv4 and IPv6, best first.

    A name that is not in it, or has no address, does not exist::

        world.names["seeds.example"] = ["10.0.0.1", "fd00::2"]

    :ivar answer_s: How long an answer takes.
    """

    answer_s = ANSWER_S

    def addresses_of(self, name: str) -> list[str]:
        """The addresses of a name or literal; an empty list when unknown."""
        if is_literal(name):
            return [name]
        return list(self.get(name.lower().rstrip("."), ()))


@implementer(IHostResolution)
class SimResolution:
    """One question to the name service, until it is answered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cancelled = False

    def cancel(self) -> None:
        """Forget the question; the receiver hears nothing more."""
        self.cancelled = True


@implementer(IHostnameResolver)
class SimNameResolver:
    """The name resolver of a simulated reactor."""

    def __init__(self, reactor: SimReactor, names: Names) -> None:
        self._reactor = reactor
        self._names = names

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """See `IHostnameResolver.resolveHostName`."""
        resolution = SimResolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        transport: Literal["TCP", "UDP"]
        transport = "UDP" if transportSemantics == "UDP" else "TCP"
        wanted = tuple(addressTypes or (IPv4Address, IPv6Address))

        def answer() -> None:
            if resolution.cancelled:
                return
            for address in self._names.addresses_of(hostName):
                kind = IPv6Address if ":" in address else IPv4Address
                if kind in wanted:
                    resolutionReceiver.addressResolved(
                        kind(transport, address, portNumber)
                    )
            resolutionReceiver.resolutionComplete()

        # As in a real reactor, the answer comes from another thread.
        delay_s = 0.0 if is_literal(hostName) else self._names.answer_s
        self._reactor.later_from_thread(delay_s, answer)
        return resolution


@implementer(IResolutionReceiver)
class _FirstAddress:
    """A receiver of which only the first address is wanted."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.result: Deferred[str] = Deferred(lambda _: self._resolution.cancel())
        self._resolution: IHostResolution

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """See `IResolutionReceiver`."""
        self._resolution = resolutionInProgress

    def addressResolved(self, address: IAddress) -> None:
        """See `IResolutionReceiver`."""
        if not self.result.called:
            assert isinstance(address, IPv4Address)
            self.result.callback(address.host)

    def resolutionComplete(self) -> None:
        """See `IResolutionReceiver`."""
        if not self.result.called:
            self.result.errback(DNSLookupError(self._name))


def first_ipv4(resolver: IHostnameResolver, name: str) -> Deferred[str]:
    """
    Fires with one IPv4 address of `name`; fails with `DNSLookupError`.
    """
    if isIPAddress(name):
        return succeed(name)
    receiver = _FirstAddress(name)
    resolver.resolveHostName(receiver, name, 0, [IPv4Address], "TCP")
    return receiver.result
