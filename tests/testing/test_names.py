"""Tests for `mycorrizal.testing.names`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mycorrizal.testing import World
from mycorrizal.testing.names import SimResolution
from tests.contract.place import Recorder


class NamesTests(SynchronousTestCase):
    """The name service of a simulated world."""

    def setUp(self) -> None:
        self.world = World(1)
        self.a = self.world.host("a", "10.0.0.1", "fd00::1")
        self.b = self.world.host("b")

    def test_interfaces(self) -> None:
        """Resolver and resolution are what Twisted expects."""
        verifyObject(IHostnameResolver, self.a.reactor.nameResolver)
        verifyObject(IHostResolution, SimResolution("x"))

    def test_hosts_have_names(self) -> None:
        """A host is known by its name at once."""
        self.assertEqual(self.world.names.addresses_of("a"), ["10.0.0.1", "fd00::1"])
        resolved = self.b.reactor.resolve("a")
        self.assertEqual(self.world.result_of(resolved), "10.0.0.1")

    def test_spelling(self) -> None:
        """Case and a final dot make no difference."""
        self.assertEqual(self.world.names.addresses_of("B."), [self.b.address])

    def test_unknown(self) -> None:
        """A name that is not there fails as it really does."""
        for name in ("nowhere", "empty"):
            self.world.names["empty"] = []
            resolved = self.b.reactor.resolve(name)
            endpoint = HostnameEndpoint(self.b.reactor, name, 80)
            dialled = endpoint.connect(Factory.forProtocol(Recorder))
            self.world.advance(1)
            self.failureResultOf(resolved, DNSLookupError)
            self.failureResultOf(dialled, DNSLookupError)

    def test_change_while_it_runs(self) -> None:
        """The table is asked each time."""
        self.world.names["seeds"] = ["10.0.0.1"]
        first = self.world.result_of(self.b.reactor.resolve("seeds"))
        self.world.names["seeds"] = ["10.0.0.2"]
        second = self.world.result_of(self.b.reactor.resolve("seeds"))
        self.assertEqual((first, second), ("10.0.0.1", "10.0.0.2"))

    def test_slow_answer(self) -> None:
        """An answer takes as long as it is told to; a literal takes no time."""
        self.world.names.answer_s = 3.0
        self.world.result_of(self.b.reactor.resolve("10.0.0.9"))
        self.assertEqual(self.world.now_s, 0.0)
        self.world.result_of(self.b.reactor.resolve("a"))
        self.assertEqual(self.world.now_s, 3.0)

    def test_cancelled_question(self) -> None:
        """Who does not want to know any more is not told."""
        resolved = self.b.reactor.resolve("a")
        resolved.cancel()
        self.failureResultOf(resolved, CancelledError)
        self.world.advance(1)

    def test_both_families(self) -> None:
        """A client without IPv6 comes to a host with both."""
        port = self.a.reactor.listenTCP(80, Factory.forProtocol(Recorder))
        self.assertEqual(port.getHost().port, 80)
        endpoint = HostnameEndpoint(self.b.reactor, "a", 80)
        made: Any = self.world.result_of(
            endpoint.connect(Factory.forProtocol(Recorder))
        )
        self.assertEqual(made.transport.getPeer().host, "10.0.0.1")

    def test_another_resolver(self) -> None:
        """A resolver can be put in the place of the reactor's own."""
        mine = self.b.reactor.nameResolver
        previous = self.a.reactor.installNameResolver(mine)
        self.assertIsNot(previous, mine)
        self.assertIs(self.a.reactor.nameResolver, mine)
