# -*- test-case-name: benchmarks.tests.test_floor -*-
"""
Tests of the framed protocol that is the floor.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.peers.floor import APP_ID, FramedLink, Stream
from benchmarks.workloads.one_way import TURN_MESSAGES, Load


class FloorTests(SynchronousTestCase):
    """Two ends of a framed link, without sockets."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.received: list[bytes] = []
        self.transport = StringTransport()
        self.sender = FramedLink(self.clock, {})
        self.sender.makeConnection(self.transport)
        self.receiver = FramedLink(self.clock, {APP_ID: self.received.append})

    def test_bytes(self) -> None:
        """A frame is version, type, length, application id length, id, payload."""
        self.sender.send_message(b"bench", b"abc")
        self.clock.advance(0)
        self.assertEqual(
            self.transport.value(), bytes.fromhex("01 10 08000000 0500") + b"benchabc"
        )

    def test_corked(self) -> None:
        """Nothing is written before the turn ends, then all of it."""
        for payload in (b"one", b"", b"three"):
            self.sender.send_message(APP_ID, payload)
        self.assertEqual(self.transport.value(), b"")
        self.clock.advance(0)
        self.receiver.dataReceived(self.transport.value())
        self.assertEqual(self.received, [b"one", b"", b"three"])

    def test_one_byte_at_a_time(self) -> None:
        """Frames that arrive in pieces are put together."""
        for payload in (b"one", b"two"):
            self.sender.send_message(APP_ID, payload)
        self.clock.advance(0)
        for byte in self.transport.value():
            self.receiver.dataReceived(bytes([byte]))
        self.assertEqual(self.received, [b"one", b"two"])

    def test_back_pressure(self) -> None:
        """A paused stream sends nothing, and goes on where it was."""
        load = Load(16, 1, 2 * TURN_MESSAGES)
        stream = Stream(self.clock, self.sender, load)
        stream.resumeProducing()
        self.clock.callLater(0, stream.pauseProducing)
        self.clock.advance(0)
        self.receiver.dataReceived(self.transport.value())
        self.assertEqual(len(self.received), TURN_MESSAGES)
        self.transport.clear()
        stream.resumeProducing()
        self.clock.advance(0)
        self.receiver.dataReceived(self.transport.value())
        self.assertEqual(self.received, list(load.messages()))
