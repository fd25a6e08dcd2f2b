"""Tests for simulated TCP; what is common to all reactors is in the contract."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mycorrizal.testing import Segmentation, World
from mycorrizal.testing.segments import cut_up
from mycorrizal.testing.sockets import WINDOW_BYTES
from tests.contract.place import Recorder, Remembering
from tests.testing.pairs import Pair


class TransportTests(SynchronousTestCase):
    """One connection."""

    def test_interfaces(self) -> None:
        """A transport is what Twisted expects."""
        transport = Pair().client.transport
        for interface in (ITransport, ITCPTransport, IConsumer, IPushProducer):
            verifyObject(interface, transport)

    def test_connection_id(self) -> None:
        """Both ends have one number, and each connection another."""
        pair = Pair()
        endpoint = TCP4ClientEndpoint(pair.a.reactor, pair.b.address, 7)
        made: Any = pair.world.result_of(
            endpoint.connect(Factory.forProtocol(Recorder))
        )
        ids = [it.transport.connection_id for it in (pair.client, pair.server, made)]
        self.assertEqual(ids, [1, 1, 2])

    def test_one_turn_is_one_segment(self) -> None:
        """All that is written in one turn arrives together and in order."""
        pair = Pair()

        def write() -> None:
            for number in range(10):
                pair.client.transport.write(b"%d" % number)

        pair.a.reactor.callLater(0, write)
        pair.world.advance(0.002)
        self.assertEqual(pair.server.received, b"0123456789")
        self.assertEqual(pair.server.chunks, 1)

    def test_latency(self) -> None:
        """Bytes take as long as the link says."""
        pair = Pair()
        pair.client.transport.write(b"x")
        pair.world.advance(0.0009)
        self.assertEqual(pair.server.received, b"")
        pair.world.advance(0.0002)
        self.assertEqual(pair.server.received, b"x")

    def test_bandwidth(self) -> None:
        """A slow link takes its time, and lets the other direction alone."""
        pair = Pair()
        pair.world.slow(pair.a, pair.b, 10_000, one_way=True)
        pair.client.transport.write(b"x" * 30_000)
        pair.server.transport.write(b"x" * 30_000)
        pair.world.advance(2.5)
        self.assertEqual(len(pair.client.received), 30_000)
        self.assertEqual(len(pair.server.received), 0)
        pair.world.advance(1)
        self.assertEqual(len(pair.server.received), 30_000)

    def test_window(self) -> None:
        """Not more than the window is on its way while nobody reads."""
        pair = Pair()
        pair.server.transport.pauseProducing()
        pair.client.transport.write(b"x" * (WINDOW_BYTES + 1))
        pair.world.advance(1)
        self.assertEqual(pair.client.transport._out_bytes, 1)
        pair.server.transport.resumeProducing()
        pair.world.advance(1)
        self.assertEqual(len(pair.server.received), WINDOW_BYTES + 1)

    def test_marks_and_references(self) -> None:
        """Code may mark a transport, as it may mark a real one."""
        transport = Pair().client.transport
        transport.mine = "mark"
        self.assertEqual(transport.mine, "mark")


class SegmentationTests(SynchronousTestCase):
    """A stream has no boundaries, and a test can insist on that."""

    def chunks(self, segmentation: Segmentation, seed: int = 1) -> int:
        """How many pieces a hundred bytes arrive in."""
        pair = Pair(seed)
        pair.world.segmentation = segmentation
        pair.client.transport.write(bytes(range(100)))
        pair.world.advance(1)
        self.assertEqual(pair.server.received, bytes(range(100)))
        return int(pair.server.chunks)

    def test_modes(self) -> None:
        """Whole, byte by byte, or at random."""
        self.assertEqual(self.chunks("whole"), 1)
        self.assertEqual(self.chunks("one-byte"), 100)
        self.assertEqual({self.chunks("random", n) for n in range(30)}, {1, 2, 3, 4})

    def test_joined(self) -> None:
        """At random, what was written apart is read together."""
        joined = 0
        for seed in range(20):
            pair = Pair(seed)
            pair.world.segmentation = "random"
            for byte in (b"1", b"2"):
                pair.client.transport.write(byte)
                pair.world.advance(0.0005)
            pair.world.advance(1)
            self.assertEqual(pair.server.received, b"12")
            joined += pair.server.chunks == 1
        self.assertTrue(0 < joined < 20)

    def test_what_has_arrived_does_not_wait_for_a_partition(self) -> None:
        """Bytes that are there are read, also if those behind them are held."""
        for seed in range(20):
            pair = Pair(seed)
            pair.world.segmentation = "random"
            pair.client.transport.write(b"1")
            pair.world.advance(0.0005)
            pair.client.transport.write(b"2")
            pair.world.advance(0.0007)
            pair.world.cut(pair.a, pair.b)
            pair.world.advance(1)
            self.assertEqual(pair.server.received, b"1")

    def test_byte_by_byte_and_paused(self) -> None:
        """A protocol that pauses after a byte gets no other."""

        class Careful(Recorder):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                assert self.transport is not None
                self.transport.pauseProducing()  # type: ignore[attr-defined]

        pair = Pair(server=Careful)
        pair.world.segmentation = "one-byte"
        pair.client.transport.write(b"abc")
        for expected in (b"a", b"ab", b"abc", b"abc"):
            pair.world.advance(1)
            self.assertEqual(pair.server.received, expected)
            pair.server.transport.resumeProducing()

    def test_cutting(self) -> None:
        """Nothing is lost or empty, wherever the cuts are."""
        draws = iter([0.0, 0.999, 0.5, 0.999] * 10)
        for size in (1, 2, 3, 100):
            parts = cut_up(b"x" * size, "random", lambda: next(draws))
            self.assertEqual(b"".join(parts), b"x" * size)
            self.assertTrue(all(parts))


class FailureTests(SynchronousTestCase):
    """Exceptions in protocols are logged; nothing else is harmed."""

    def flushed(self) -> int:
        """How many exceptions were logged."""
        return len(self.flushLoggedErrors(ZeroDivisionError))

    def test_in_connection_made(self) -> None:
        """A protocol that fails at once is closed at once."""

        class Failing(Recorder):
            def connectionMade(self) -> None:
                raise ZeroDivisionError

        pair = Pair(server=Failing)
        self.assertIs(pair.server.ended_by, ZeroDivisionError)
        self.assertIs(pair.client.ended_by, ConnectionDone)
        self.assertEqual(self.flushed(), 1)

    def test_in_connection_lost(self) -> None:
        """A protocol that fails at the end has ended."""

        class Failing(Recorder):
            def connectionLost(self, reason: Any = None) -> None:
                raise ZeroDivisionError

        pair = Pair(server=Failing)
        pair.client.transport.loseConnection()
        pair.world.advance(1)
        self.assertEqual(self.flushed(), 1)
        self.assertEqual(pair.world.errors(), ["b: "])

    def test_in_the_factory(self) -> None:
        """A factory that fails closes the connection."""

        def failing() -> Recorder:
            raise ZeroDivisionError

        world = World(1)
        a, b = world.host("a"), world.host("b")
        b.reactor.listenTCP(7, Remembering(failing))
        endpoint = TCP4ClientEndpoint(a.reactor, b.address, 7)
        client: Any = world.result_of(endpoint.connect(Factory.forProtocol(Recorder)))
        world.advance(1)
        self.assertIsNotNone(client.reason)
        self.assertEqual(self.flushed(), 1)
        self.assertEqual(b.sockets(), ["TCP port 7"])

    def test_in_a_producer(self) -> None:
        """A producer that fails ends its connection."""

        @implementer(IPushProducer)
        class Failing:
            def resumeProducing(self) -> None:
                raise ZeroDivisionError

            def pauseProducing(self) -> None:
                pass

            def stopProducing(self) -> None:
                pass

        pair = Pair()
        pair.client.transport.registerProducer(Failing(), True)
        pair.client.transport.write(b"x" * 100_000)
        pair.world.advance(1)
        self.assertIs(pair.client.ended_by, ZeroDivisionError)
        self.assertEqual(self.flushed(), 1)
