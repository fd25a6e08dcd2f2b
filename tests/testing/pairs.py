"""
Two hosts that are connected: where many tests begin.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from zope.interface import implementer

from mycorrizal.testing import World
from tests.contract.place import Recorder, Remembering


class Pair:
    """A world with two connected hosts, one millisecond apart."""

    def __init__(
        self, seed: int = 1, server: Any = Recorder, client: Any = Recorder
    ) -> None:
        self.world = World(seed)
        self.world.latency_ms(1, 1)
        self.a, self.b = self.world.host("a"), self.world.host("b")
        factory = Remembering(server)
        self.b.reactor.listenTCP(7, factory)
        endpoint = TCP4ClientEndpoint(self.a.reactor, self.b.address, 7)
        self.client: Any = self.world.result_of(
            endpoint.connect(Factory.forProtocol(client))
        )
        self.world.advance(0.01)
        self.server: Any = factory.made[0]


@implementer(IHalfCloseableProtocol)
class Patient(Recorder):
    """A recorder that does not end when the other end does."""

    def readConnectionLost(self) -> None:
        pass

    def writeConnectionLost(self) -> None:
        pass
