"""Tests for `mycorrizal.testing.dialing`."""

from __future__ import annotations

from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ClientEndpoint,
    TCP6ServerEndpoint,
    clientFromString,
    serverFromString,
)
from twisted.internet.error import (
    ConnectionRefusedError,
    NoRouteError,
    NotConnectingError,
    TimeoutError,
)
from twisted.internet.interfaces import IConnector, IListeningPort
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mycorrizal.testing import World
from tests.contract.place import Echo, Recorder, Remembering
from tests.contract.streams import Calls


class DialingTests(SynchronousTestCase):
    """Three hosts: one with both families, one with IPv4, one with IPv6."""

    def setUp(self) -> None:
        self.world = World(1)
        self.both = self.world.host("both", "10.0.0.1", "fd00::1")
        self.four = self.world.host("four", "10.0.0.4")
        self.six = self.world.host("six", "fd00::6")
        self.factory = Remembering(Echo)

    def listen(self, interface: str = "") -> Any:
        """Listen on port 7 of the host that has both families."""
        return self.both.reactor.listenTCP(7, self.factory, interface=interface)

    def dial(self, endpoint: Any) -> Any:
        """Connect, and return the protocol when the server has accepted."""
        made: Any = self.world.result_of(
            endpoint.connect(Factory.forProtocol(Recorder))
        )
        self.world.advance(1)
        return made

    def test_interfaces(self) -> None:
        """Ports and connectors are what Twisted expects."""
        verifyObject(IListeningPort, self.listen())
        connector = self.four.reactor.connectTCP("10.0.0.1", 7, Calls())
        verifyObject(IConnector, connector)

    def test_endpoints(self) -> None:
        """Twisted's endpoints work, those from strings included."""
        for server in (
            TCP4ServerEndpoint(self.both.reactor, 0),
            TCP6ServerEndpoint(self.both.reactor, 0),
            serverFromString(self.both.reactor, "tcp:0"),
        ):
            port = self.world.result_of(server.listen(self.factory))
            number = port.getHost().port
            if port.getHost().host == "::":
                endpoint = TCP6ClientEndpoint(self.six.reactor, "fd00::1", number)
            else:
                endpoint = clientFromString(
                    self.four.reactor, f"tcp:host=10.0.0.1:port={number}"
                )
            made = self.dial(endpoint)
            made.transport.write(b"hello")
            self.world.advance(1)
            self.assertEqual(made.received, b"hello")
            self.world.result_of(port.stopListening())

    def test_both_families(self) -> None:
        """Who listens on :: sees IPv4 clients, in IPv6's way of writing."""
        self.listen("::")
        self.dial(TCP4ClientEndpoint(self.four.reactor, "10.0.0.1", 7))
        self.dial(TCP6ClientEndpoint(self.six.reactor, "fd00::1", 7))
        peers = [it.transport.getPeer().host for it in self.factory.made]
        self.assertEqual(peers, ["::ffff:10.0.0.4", "fd00::6"])

    def test_no_route(self) -> None:
        """A host without IPv6 cannot reach an IPv6 address."""
        endpoint = TCP6ClientEndpoint(self.four.reactor, "fd00::1", 7)
        dialled = endpoint.connect(self.factory)
        self.world.advance(1)
        self.failureResultOf(dialled, NoRouteError)

    def test_loopback(self) -> None:
        """A host reaches itself by its loopback address, which is not another's."""
        self.listen()
        made = self.dial(TCP4ClientEndpoint(self.both.reactor, "127.0.0.1", 7))
        self.assertEqual(made.transport.getHost().host, "127.0.0.1")
        endpoint = TCP4ClientEndpoint(self.four.reactor, "127.0.0.1", 7)
        dialled = endpoint.connect(self.factory)
        self.world.advance(1)
        self.failureResultOf(dialled, ConnectionRefusedError)

    def test_bound_addresses(self) -> None:
        """A client can choose its own address and port."""
        self.listen()
        endpoint = TCP4ClientEndpoint(
            self.four.reactor, "10.0.0.1", 7, bindAddress=("10.0.0.4", 1234)
        )
        made = self.dial(endpoint)
        self.assertEqual(made.transport.getHost().port, 1234)
        self.assertEqual(self.factory.made[0].transport.getPeer().port, 1234)

    def test_names(self) -> None:
        """A connector resolves a name by itself, or fails by itself."""
        self.listen()
        calls = Calls()
        calls.protocol = Recorder
        self.four.reactor.connectTCP("both", 7, calls)
        self.world.advance(1)
        self.assertEqual(len(self.factory.made), 1)
        self.four.reactor.connectTCP("nowhere", 7, calls)
        self.world.advance(1)
        self.assertEqual(calls.log, ["started", "started", "failed", "stopped"])

    def test_nobody_answers(self) -> None:
        """Where there is no host, or a partition, dialling times out."""
        self.listen()
        self.world.isolate("both")
        for address in ("10.0.0.1", "10.9.9.9"):
            endpoint = TCP4ClientEndpoint(self.four.reactor, address, 7, timeout=10)
            dialled = endpoint.connect(self.factory)
            self.world.advance(9.9)
            self.assertNoResult(dialled)
            self.world.advance(0.1)
            self.failureResultOf(dialled, TimeoutError)
        self.world.heal()
        self.world.advance(10)
        self.assertEqual(self.factory.made, [])
        self.assertEqual(self.both.sockets(), ["TCP port 7"])

    def test_healed_in_time(self) -> None:
        """Who is still dialling when a partition ends gets through."""
        self.listen()
        self.world.isolate("both")
        endpoint = TCP4ClientEndpoint(self.four.reactor, "10.0.0.1", 7)
        dialled = endpoint.connect(Factory.forProtocol(Recorder))
        self.world.advance(5)
        self.world.heal()
        self.world.advance(1.1)
        self.successResultOf(dialled)

    def test_the_answer_is_lost(self) -> None:
        """When only the way back is cut, the server waits with the client."""
        self.listen()
        self.world.cut("both", "four", one_way=True)
        endpoint = TCP4ClientEndpoint(self.four.reactor, "10.0.0.1", 7, timeout=10)
        dialled = endpoint.connect(self.factory)
        self.world.advance(20)
        self.failureResultOf(dialled, TimeoutError)
        self.assertEqual(self.factory.made, [])
        self.world.heal()
        self.world.advance(20)
        self.assertEqual(self.both.sockets(), ["TCP port 7"])

    def test_no_timeout(self) -> None:
        """Who wants to wait for ever can."""
        calls = Calls()
        connector: Any = self.four.reactor.connectTCP(
            "10.9.9.9",
            7,
            calls,
            timeout=None,  # type: ignore[arg-type]
        )
        self.world.advance(1e6)
        self.assertEqual(connector.state, "connecting")
        connector.disconnect()
        self.assertEqual(calls.log, ["started", "failed", "stopped"])
        self.assertRaises(NotConnectingError, connector.stopConnecting)

    def test_stopped_while_resolving(self) -> None:
        """A name that is resolved too late leads nowhere."""
        self.listen()
        calls = Calls()
        connector = self.four.reactor.connectTCP("both", 7, calls)
        self.world.advance(0.0005)
        connector.stopConnecting()
        connector.connect()
        self.assertRaises(RuntimeError, connector.connect)
        self.world.advance(0.0001)
        connector.stopConnecting()
        self.world.advance(1)
        self.assertEqual(self.factory.made, [])

    def test_stopped_with_connections_waiting(self) -> None:
        """Connections that were not accepted are reset when the port stops."""
        port = self.listen()
        endpoint = TCP4ClientEndpoint(self.four.reactor, "10.0.0.1", 7)
        made: Any = self.world.result_of(
            endpoint.connect(Factory.forProtocol(Recorder))
        )
        stopped = port.stopListening()
        self.assertIsNone(port.stopListening())
        self.world.result_of(stopped)
        self.world.advance(1)
        self.assertEqual(self.factory.made, [])
        self.assertIsNotNone(made.reason)

    def test_client_service(self) -> None:
        """Twisted's `ClientService` comes back by itself after a restart."""
        self.listen()
        made: list[object] = []
        service = ClientService(
            HostnameEndpoint(self.four.reactor, "both", 7),
            Factory.forProtocol(Recorder),
            retryPolicy=lambda attempt: 0.5,
            clock=self.four.reactor,
            prepareConnection=made.append,
        )
        service.startService()
        self.world.until(lambda: len(made) == 1)
        self.both.crash()
        self.world.advance(5)
        self.both.restart()
        self.listen()
        self.world.until(lambda: len(made) == 2)
        self.world.result_of(service.stopService())
        self.world.advance(1)
        self.assertEqual(self.four.sockets(), [])
        self.assertEqual(self.four.reactor.getDelayedCalls(), [])
