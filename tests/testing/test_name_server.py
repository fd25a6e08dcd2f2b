"""Tests for `mycorrizal.testing.name_server`."""

from __future__ import annotations

from typing import Any

from twisted.names import client, dns, error
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import SimNameServer, World
from mycorrizal.testing.name_server import with_code


class SimNameServerTests(SynchronousTestCase):
    """A server, asked by Twisted's own resolver."""

    def setUp(self) -> None:
        self.world = World(1)
        self.server = SimNameServer(self.world.host("dns"))
        self.here = self.world.host("here")
        self.resolver: Any = client.Resolver(
            servers=[self.server.address], reactor=self.here.reactor, timeout=(1,)
        )

    def ask(self, name: str, kind: str = "Address") -> tuple[Any, Any, Any]:
        """Answers, authority and additional."""
        asked = getattr(self.resolver, f"lookup{kind}")(name)
        found: tuple[Any, Any, Any] = self.world.result_of(asked)
        return found

    def test_names_of_the_world(self) -> None:
        """It knows what the world's table says, at each moment."""
        (answer,), _, _ = self.ask("here")
        self.assertEqual(answer.payload.dottedQuad(), self.here.address)
        self.world.names["moved"] = ["10.9.9.9", "fd00::9"]
        (answer,), _, _ = self.ask("moved")
        self.assertEqual(answer.payload.dottedQuad(), "10.9.9.9")
        self.assertEqual(len(self.ask("moved", "IPV6Address")[0]), 1)

    def test_records(self) -> None:
        """It can be told of any record, and send addresses along."""
        self.server.add("_x._tcp.example", dns.Record_SRV(0, 0, 7, "here"), ttl_s=5)
        (answer,), _, additional = self.ask("_x._tcp.example", "Service")
        self.assertEqual((answer.payload.port, answer.ttl, additional), (7, 5, []))
        self.server.with_additional = True
        self.assertEqual(len(self.ask("_x._tcp.example", "Service")[2]), 1)

    def test_no_such_name(self) -> None:
        """A name that nobody has does not exist; one of another kind does."""
        with self.assertRaises(error.DNSNameError):
            self.ask("nowhere")
        answers, authority, _ = self.ask("here", "Text")
        self.assertEqual((answers, len(authority)), ([], 1))

    def test_aliases(self) -> None:
        """An alias comes with what it leads to."""
        self.server.add("www", dns.Record_CNAME("here"))
        self.assertEqual(len(self.ask("www")[0]), 2)

    def test_long_answers(self) -> None:
        """What does not fit a datagram is cut, and told by TCP if that is open."""
        self.world.names["many"] = [f"10.1.0.{n}" for n in range(100)]
        self.assertEqual(len(self.ask("many")[0]), 100)
        self.server.close_tcp()
        self.world.advance(1)
        for connection in self.resolver.connections:
            connection.transport.abortConnection()
        self.world.advance(1)
        self.world.names["many2"] = self.world.names["many"]
        asked = self.resolver.lookupAddress("many2")
        self.world.advance(10)
        self.failureResultOf(asked)

    def test_misbehaviour(self) -> None:
        """It fails, or says nothing, when it is told to."""
        self.server.misbehave = lambda query, right: [with_code(right, dns.ESERVER)]
        with self.assertRaises(error.DNSServerError):
            self.ask("here")
        self.server.misbehave = lambda query, right: []
        asked = self.resolver.lookupAddress("here")
        self.world.advance(10)
        self.failureResultOf(asked)
        self.assertEqual(self.server.asked[-1], ("here", dns.A))

    def test_garbage(self) -> None:
        """What is no question gets no answer."""
        self.assertEqual(list(self.server.answers(b"", 0)), [])
        self.assertEqual(list(self.server.answers(bytes(12), 0)), [])
