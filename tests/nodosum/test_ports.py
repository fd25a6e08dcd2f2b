"""
One port number for TCP and UDP, or one sentence that says what is wrong.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import CannotListen
from mycorrizal.nodosum.ports import Ports
from mycorrizal.testing import World


class PortsTests(SynchronousTestCase):
    """Ports of a simulated host."""

    def setUp(self) -> None:
        self.world = World(seed=1)
        self.reactor: Any = self.world.host("here", "10.0.0.1", "fd00::1").reactor
        self.factory: Any = Factory.forProtocol(Protocol)

    def open(self, host: str, port: int) -> Ports:
        """Open both."""
        hello: Any = DatagramProtocol()
        return Ports.open(self.reactor, (host, port), self.factory, hello)

    def close(self, ports: Ports) -> None:
        """Close both."""
        self.world.result_of(ports.close_tcp())
        self.world.result_of(ports.close_udp())

    def test_same_number(self) -> None:
        """Port 0 takes a free number, the same for TCP and UDP."""
        for host in ("10.0.0.1", "0.0.0.0", "fd00::1", "::"):
            ports = self.open(host, 0)
            self.assertEqual(ports.address[0], host)
            number = ports.address[1]
            self.assertGreater(number, 0)
            with self.assertRaises(CannotListenError):
                self.reactor.listenTCP(number, self.factory, interface=host)
            with self.assertRaises(CannotListenError):
                self.reactor.listenUDP(number, DatagramProtocol(), interface=host)
            self.close(ports)

    def test_busy(self) -> None:
        """A busy port is one sentence that names it and says what to do."""
        self.open("10.0.0.1", 7000)
        with self.assertRaises(CannotListen) as caught:
            self.open("10.0.0.1", 7000)
        error = caught.exception
        self.assertEqual(error.address, "10.0.0.1:7000")
        self.assertIn("cannot listen on 10.0.0.1:7000: address ", str(error))
        self.assertIn("--listen HOST:PORT", str(error))
        with self.assertRaises(CannotListen) as caught:
            self.open("fd00::9", 7000)
        self.assertIn("[fd00::9]:7000", str(caught.exception))

    def test_busy_udp(self) -> None:
        """If only UDP is busy it is said, and TCP is given back."""
        self.reactor.listenUDP(7000, DatagramProtocol(), interface="10.0.0.1")
        with self.assertRaises(CannotListen) as caught:
            self.open("10.0.0.1", 7000)
        self.assertIn("UDP: address ", str(caught.exception))
        self.world.advance(0.1)
        self.reactor.listenTCP(7000, self.factory, interface="10.0.0.1")

    def test_closing(self) -> None:
        """When they are closed they can be opened again."""
        for _ in range(2):
            ports = self.open("10.0.0.1", 7000)
            self.close(ports)
