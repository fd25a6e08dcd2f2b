"""
Connections of Twisted around handshakes and links, and the UDP port.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.channel import Channel
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.protocol import (
    CLOSE_TIMEOUT_S,
    HELD_BYTES_MAX,
    HelloProtocol,
)
from mycorrizal.nodosum.wire.frame import encode_frame
from mycorrizal.nodosum.wire.limits import Feature, FrameType
from mycorrizal.testing import World
from mycorrizal.testing.tls import SimTls
from tests.nodosum.doors import Door
from tests.nodosum.test_link import Route


class LinkProtocolTests(SynchronousTestCase):
    """Two nodes that are linked."""

    def connect(self, tls: Any = None) -> None:
        """Node a has dialled node b."""
        self.world = World(seed=5)
        self.world.latency_ms(1, 1)
        self.a, self.b = (Door(self.world, name, tls=tls) for name in "ab")
        self.route = Route()
        self.b.routes[b"chat"] = self.route
        self.a.dial(self.b)
        self.world.advance(0.1)
        self.at_a, self.at_b = self.a.links[0], self.b.links[0]

    def test_many_messages(self) -> None:
        """Ten thousand messages arrive in order, with TLS and without."""
        channel = Channel("chat")
        for tls in (None, SimTls()):
            self.connect(tls)
            sent = [b"%d" % at for at in range(10_000)]
            flow = self.at_a.lanes.flow(channel.app_id)
            for payload in sent:
                self.assertTrue(flow.post(channel.head(len(payload)), payload))
            self.world.advance(5)
            self.assertEqual(self.route.messages, sent)
            self.assertEqual(self.world.errors(), [])

    def test_slow_reader(self) -> None:
        """
        A peer that does not read fills our queue, and then no more is taken (F31).
        """
        self.connect()
        channel, payload = Channel("chat"), bytes(50_000)
        transport: Any = self.b.protocols[0].transport
        transport.pauseProducing()
        flow = self.at_a.lanes.flow(channel.app_id)
        sent = 0
        for _ in range(1000):
            sent += flow.post(channel.head(len(payload)), payload)
            self.world.advance(0.001)
        self.assertLess(sent, 250)
        self.assertLessEqual(self.at_a.queued_bytes, 8 * 1024 * 1024)
        self.assertTrue(self.at_a.lanes.paused)
        transport.resumeProducing()
        self.world.advance(30)
        self.assertEqual(len(self.route.messages), sent)
        self.assertFalse(self.at_a.lanes.paused)

    def test_frames_right_behind_the_handshake(self) -> None:
        """What comes in one segment with AUTH is received as well."""
        self.connect()
        self.world.latency_ms(50, 50)
        self.b.takes = True
        original = self.b.authenticated

        def authenticated(protocol: Any, link: Any) -> None:
            original(protocol, link)
            link.send_control(FrameType.PING, bytes(16))

        self.b.authenticated = authenticated  # type: ignore[method-assign]
        self.a.dial(self.b)
        self.world.advance(1)
        self.assertEqual(self.a.received, [(FrameType.PING, bytes(16))])

    def test_lost(self) -> None:
        """When the other machine is gone the link is closed, and told of once (F1)."""
        self.connect()
        self.b.place.crash()
        self.world.advance(1)
        self.assertTrue(self.at_a.closed)
        self.assertEqual(len(self.a.gone), 1)
        # What comes later is ignored.
        protocol = self.a.protocols[0]
        protocol.clear_received(encode_frame(FrameType.PING, bytes(16)))
        protocol.close()
        protocol.abort()
        self.assertEqual((len(self.a.gone), self.a.received), (1, []))

    def test_close_that_hangs(self) -> None:
        """A connection that won't close in good order is closed after 5 s (F31)."""
        self.connect()
        self.world.cut(self.a.place, self.b.place)
        self.at_a.ping(1, 2)
        self.world.advance(0.1)
        protocol = self.a.protocols[0]
        transport: Any = protocol.transport
        # Bytes that can't leave keep it open.
        transport.write(bytes(4 * 1024 * 1024))
        protocol.close()
        self.world.advance(CLOSE_TIMEOUT_S - 0.2)
        self.assertEqual(self.a.gone, [])
        self.world.advance(0.4)
        self.assertEqual(self.a.gone, [protocol])

    def test_dial_of_a_wall(self) -> None:
        """A dialled node that says nothing is given up after 2 s."""
        self.connect()
        self.b.place.pause()
        protocol = self.a.dial(self.b)
        self.world.advance(1.9)
        self.assertEqual(self.a.gone, [])
        self.world.advance(0.2)
        self.assertEqual(self.a.gone, [protocol])
        self.assertIsNone(protocol.refusal)


class SpareTests(SynchronousTestCase):
    """A connection that a link is to move to."""

    def setUp(self) -> None:
        self.world = World(seed=5)
        self.world.latency_ms(1, 1)
        self.a, self.b = (Door(self.world, name, tls=SimTls()) for name in "ab")
        for door in (self.a, self.b):
            local = attrs.evolve(door.local, features=Feature.RENEWAL)
            door.admission.local = local
        self.route = Route()
        self.b.routes[b"chat"] = self.route
        self.a.dial(self.b)
        self.a.dial(self.b, spare=True)
        self.world.advance(0.1)
        ((self.spare_a, _),) = self.a.renewals.got
        ((self.spare_b, _),) = self.b.renewals.got

    def test_is_no_link(self) -> None:
        """It is announced in the handshake, and becomes no link of its own."""
        self.assertEqual((len(self.a.links), len(self.b.links)), (1, 1))
        for spare in (self.spare_a, self.spare_b):
            self.assertTrue(spare.spare)
            self.assertIsNone(spare.link)
        opening = self.spare_b.opening
        assert opening is not None
        self.assertEqual(opening, self.spare_a.opening)

    def test_of_an_older_version(self) -> None:
        """Who does not offer it is not asked what the announcement means."""
        self.a.admission.local = self.a.local
        self.a.dial(self.b, spare=True)
        self.world.advance(0.1)
        self.assertEqual((len(self.b.links), len(self.b.renewals.got)), (2, 1))

    def test_held_back(self) -> None:
        """
        What comes before the link has moved is kept up to 1 MiB, and then left
        where it is; when it has moved, all of it is received, in order.
        """
        transport: Any = self.spare_b.transport
        channel = Channel("chat")
        size = 4096 - len(channel.head(4000))
        payloads = [bytes([at % 256]) * size for at in range(512)]
        frames = [channel.head(size) + payload for payload in payloads]
        at_the_bound = HELD_BYTES_MAX // 4096
        self.write(frames[:at_the_bound])
        self.assertEqual(self.spare_b._held_bytes, HELD_BYTES_MAX)
        self.assertTrue(transport._reading)
        self.write(frames[at_the_bound:])
        self.assertFalse(transport._reading)
        self.assertLessEqual(self.spare_b._held_bytes, HELD_BYTES_MAX + 65_536)
        self.assertEqual(self.route.messages, [])
        self.spare_b.adopt(self.b.links[0])
        self.world.advance(1)
        self.assertEqual(self.route.messages, payloads)

    def write(self, frames: list[bytes]) -> None:
        """Node a writes frames to the spare connection."""
        for frame in frames:
            self.spare_a.clear_transport.write(frame)
        self.world.advance(1)

    def test_broken(self) -> None:
        """What was held back may be no frames: the link ends then."""
        self.spare_a.clear_transport.write(b"GET / HTTP/1.1\r\n\r\n")
        self.world.advance(0.1)
        link = self.b.links[0]
        self.b.protocols[0].release()
        self.spare_b.adopt(link)
        self.assertTrue(link.closed)
        self.world.advance(0.1)
        self.assertIn(self.spare_b, self.b.gone)


class HelloProtocolTests(SynchronousTestCase):
    """UDP ports of both families."""

    def setUp(self) -> None:
        self.world = World(seed=1)
        self.one = self.world.host("one", "10.0.0.1", "fd00::1")
        self.two = self.world.host("two", "10.0.0.2", "fd00::2")

    def port(self, host: Any, interface: str) -> tuple[HelloProtocol, list[Any]]:
        """A port of a host, and what it gets."""
        got: list[tuple[bytes, Address]] = []
        protocol = HelloProtocol(lambda data, source: got.append((data, source)))
        host.reactor.listenUDP(7000, protocol, interface=interface)
        return protocol, got

    def test_both_families_on_one_port(self) -> None:
        """A port on :: talks to IPv4 hosts, and sees them as IPv4."""
        six, at_six = self.port(self.one, "::")
        four, at_four = self.port(self.two, "0.0.0.0")
        six.send(b"question", ("10.0.0.2", 7000))
        self.world.advance(0.1)
        self.assertEqual(at_four, [(b"question", ("10.0.0.1", 7000))])
        four.send(b"answer", ("10.0.0.1", 7000))
        self.world.advance(0.1)
        self.assertEqual(at_six, [(b"answer", ("10.0.0.2", 7000))])
        six.send(b"answer again", at_six[0][1])
        self.world.advance(0.1)
        self.assertEqual(len(at_four), 2)

    def test_other_family(self) -> None:
        """What can't be sent is as good as lost, and no error."""
        four, _ = self.port(self.one, "0.0.0.0")
        four.send(b"x", ("fd00::2", 7000))
        four.send(b"x", ("10.0.0.9", 7000))
        self.world.advance(0.1)
        HelloProtocol(lambda data, source: None).send(b"x", ("10.0.0.2", 7000))
        self.assertEqual(self.world.errors(), [])
