"""Tests for `mycorrizal.testing.udp`; what is common to all is in the contract."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError, InvalidAddressError
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mycorrizal.testing import World
from tests.contract.place import Mailbox


class UdpTests(SynchronousTestCase):
    """Two hosts that speak both IPv4 and IPv6."""

    def setUp(self) -> None:
        self.world = World(1)
        self.a = self.world.host("a", "10.0.0.1", "fd00::1")
        self.b = self.world.host("b", "10.0.0.2", "fd00::2")
        self.inbox = Mailbox()
        self.port: Any = self.b.reactor.listenUDP(9, self.inbox)
        self.answers = Mailbox()
        self.sender: Any = self.a.reactor.listenUDP(0, self.answers)

    def send(self, count: int = 1) -> list[bytes]:
        """Send numbered datagrams and return what arrived."""
        for number in range(count):
            self.sender.write(b"%d" % number, ("10.0.0.2", 9))
        self.world.advance(5)
        return [data for data, _ in self.inbox.received]

    def test_interfaces(self) -> None:
        """A port is what Twisted expects."""
        verifyObject(IUDPTransport, self.port)
        verifyObject(IListeningPort, self.port)

    def test_overtaking(self) -> None:
        """Datagrams overtake each other when the latency varies."""
        self.world.latency_ms(1, 50)
        arrived = self.send(20)
        self.assertEqual(len(arrived), 20)
        self.assertNotEqual(arrived, sorted(arrived, key=int))

    def test_loss(self) -> None:
        """All, some or none are lost."""
        self.world.udp_loss = 1.0
        self.assertEqual(self.send(5), [])
        self.world.udp_loss = 0.5
        self.assertTrue(20 < len(self.send(100)) < 80)

    def test_duplicates(self) -> None:
        """A datagram can arrive twice, but not three times."""
        self.world.udp_duplicate = 1.0
        self.assertEqual(sorted(self.send(3)), [b"0", b"0", b"1", b"1", b"2", b"2"])

    def test_damage(self) -> None:
        """A damaged datagram differs in one bit."""
        self.world.udp_corrupt = 1.0
        self.sender.write(bytes(100), ("10.0.0.2", 9))
        self.world.advance(1)
        ((data, _),) = self.inbox.received
        self.assertEqual(sum(byte.bit_count() for byte in data), 1)

    def test_loopback_is_safe(self) -> None:
        """What a host sends to itself is neither lost nor slow."""
        self.world.udp_loss = 1.0
        mailbox = Mailbox()
        self.a.reactor.listenUDP(9, mailbox)
        self.sender.write(b"x", ("127.0.0.1", 9))
        self.world.advance(0.001)
        self.assertEqual(len(mailbox.received), 1)
        self.assertEqual(mailbox.received[0][1][0], "127.0.0.1")

    def test_spoofed(self) -> None:
        """A datagram can pretend to come from anywhere."""
        self.world.inject(b"x", ("192.0.2.1", 53), ("10.0.0.2", 9))
        self.world.inject(b"x", ("192.0.2.1", 53), ("192.0.2.2", 9))
        self.world.advance(1)
        self.assertEqual(self.inbox.received, [(b"x", ("192.0.2.1", 53))])

    def test_nobody_there(self) -> None:
        """What is sent to nowhere, or to nobody, is gone."""
        self.sender.write(b"x", ("10.0.0.77", 9))
        self.sender.write(b"x", ("10.0.0.2", 10))
        self.world.advance(1)
        self.assertEqual(self.answers.refused, 0)

    def test_both_families(self) -> None:
        """A port on :: hears both, and answers both."""
        inbox = Mailbox()
        port: Any = self.b.reactor.listenUDP(10, inbox, interface="::")
        self.assertEqual(port.getHost().host, "::")
        six_answers = Mailbox()
        six: Any = self.a.reactor.listenUDP(0, six_answers, interface="::")
        six.write(b"6", ("fd00::2", 10))
        self.world.advance(1)
        self.sender.write(b"4", ("10.0.0.2", 10))
        self.world.advance(1)
        senders = [address for _, address in inbox.received]
        self.assertEqual(senders[0][0], "fd00::1")
        self.assertEqual(senders[1][0], "::ffff:10.0.0.1")
        for address in senders:
            port.write(b"answer", address)
        self.world.advance(1)
        self.assertEqual(len(six_answers.received), 1)
        self.assertEqual(self.answers.received, [(b"answer", ("10.0.0.2", 10))])

    def test_wrong_addresses(self) -> None:
        """A port knows only addresses of its own family, of its own host."""
        listen = self.a.reactor.listenUDP
        self.assertRaises(InvalidAddressError, listen, 0, Mailbox(), "name")
        self.assertRaises(CannotListenError, listen, 0, Mailbox(), "10.0.0.2")
        six: Any = listen(0, Mailbox(), "fd00::1")
        self.assertRaises(InvalidAddressError, six.write, b"x", ("10.0.0.2", 9))
        self.assertRaises(InvalidAddressError, six.connect, "10.0.0.2", 9)

    def test_broadcast(self) -> None:
        """A broadcast comes to every host, also to its own."""
        own = Mailbox()
        self.a.reactor.listenUDP(9, own)
        self.sender.setBroadcastAllowed(True)
        self.sender.write(b"all", ("<broadcast>", 9))
        self.world.advance(1)
        self.assertEqual((len(own.received), len(self.inbox.received)), (1, 1))

    def test_stopped(self) -> None:
        """A port that is stopped neither hears nor speaks; once is enough."""
        self.sender.write(b"x", ("10.0.0.2", 9))
        stopped = self.port.stopListening()
        self.assertIsNone(self.port.stopListening())
        self.world.result_of(stopped)
        self.world.advance(1)
        self.assertEqual(self.inbox.received, [])
        self.port.write(b"x", ("10.0.0.1", self.sender.getHost().port))
        self.world.advance(1)
        self.assertEqual(self.answers.received, [])
        self.port.startListening()
        self.assertEqual(len(self.send()), 1)
