"""Tests for simulated TCP when the network fails: who learns what, and when."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from tests.testing.pairs import Pair, Patient


class PartitionTests(SynchronousTestCase):
    """In a partition, TCP waits."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.world = self.pair.world

    def test_late(self) -> None:
        """Bytes arrive soon after the link works again, all and in order."""
        for number in range(3):
            self.pair.client.transport.write(b"%d" % number)
            self.world.cut("a", "b") if not number else self.world.advance(30)
        self.world.advance(30)
        self.assertEqual(self.pair.server.received, b"")
        self.assertIsNone(self.pair.client.reason)
        self.world.heal()
        self.world.advance(1.1)
        self.assertEqual(self.pair.server.received, b"012")

    def test_again(self) -> None:
        """A link that fails again on the way keeps the bytes back again."""
        self.pair.client.transport.write(b"12")
        self.world.cut("a", "b")
        self.world.advance(10)
        self.world.heal()
        self.world.cut("a", "b")
        self.world.advance(10)
        self.assertEqual(self.pair.server.received, b"")
        self.world.heal()
        self.pair.client.transport.write(b"34")
        self.world.advance(2)
        self.assertEqual(self.pair.server.received, b"1234")

    def test_one_way(self) -> None:
        """One direction waits while the other one works."""
        self.world.cut("a", "b", one_way=True)
        self.pair.client.transport.write(b"waits")
        self.pair.server.transport.write(b"works")
        self.world.advance(1)
        self.assertEqual(self.pair.server.received, b"")
        self.assertEqual(self.pair.client.received, b"works")

    def test_orderly_end(self) -> None:
        """An orderly end waits, too; who closed knows nothing of that."""
        self.pair.server.transport.write(b"before")
        self.world.cut("a", "b")
        self.pair.server.transport.loseConnection()
        self.world.advance(10)
        self.assertIs(self.pair.server.ended_by, ConnectionDone)
        self.assertIsNone(self.pair.client.reason)
        self.world.heal()
        self.world.advance(2)
        self.assertEqual(self.pair.client.received, b"before")
        self.assertIs(self.pair.client.ended_by, ConnectionDone)

    def test_aborted_here(self) -> None:
        """A reset is lost; the other end learns of it when it writes."""
        self.world.cut("a", "b")
        self.pair.client.transport.abortConnection()
        self.world.advance(10)
        self.world.heal()
        self.world.advance(10)
        self.assertIsNone(self.pair.server.reason)
        self.pair.server.transport.write(b"anybody?")
        self.world.advance(1)
        self.assertIs(self.pair.server.ended_by, ConnectionLost)

    def test_a_reset_on_its_way(self) -> None:
        """A reset that meets a cut is lost as well."""
        self.pair.client.transport.abortConnection()
        self.world.advance(0.0005)
        self.world.cut("a", "b")
        self.world.advance(1)
        self.world.heal()
        self.world.advance(10)
        self.assertIsNone(self.pair.server.reason)

    def test_both_gave_up(self) -> None:
        """Bytes for an end that gave up are no one's."""
        self.world.cut("a", "b")
        self.pair.client.transport.write(b"waits")
        self.pair.server.transport.abortConnection()
        self.world.advance(1)
        self.world.heal()
        self.world.advance(2)
        self.assertIs(self.pair.client.ended_by, ConnectionLost)
        self.assertEqual(self.pair.server.received, b"")


class ResetTests(SynchronousTestCase):
    """When resets are noticed."""

    def test_behind_unread_bytes(self) -> None:
        """Who does not read does not notice, until it does."""
        pair = Pair()
        pair.server.transport.pauseProducing()
        pair.client.transport.write(b"last words")
        pair.world.advance(0.01)
        pair.client.transport.abortConnection()
        pair.world.advance(1)
        self.assertIsNone(pair.server.reason)
        pair.server.transport.resumeProducing()
        pair.world.advance(1)
        self.assertEqual(pair.server.received, b"last words")
        self.assertIs(pair.server.ended_by, ConnectionLost)

    def test_by_writing(self) -> None:
        """Who does not read notices when it writes."""
        pair = Pair()
        pair.server.transport.pauseProducing()
        pair.client.transport.abortConnection()
        pair.world.advance(1)
        self.assertIsNone(pair.server.reason)
        pair.server.transport.write(b"x")
        pair.world.advance(0)
        self.assertIs(pair.server.ended_by, ConnectionLost)

    def test_while_waiting_to_write(self) -> None:
        """Who waits for room to write notices at once, also while closing."""
        pair = Pair()
        pair.client.transport.pauseProducing()
        pair.server.transport.write(b"x" * 1_000_000)
        pair.server.transport.loseConnection()
        pair.world.advance(1)
        self.assertIsNone(pair.server.reason)
        pair.client.transport.abortConnection()
        pair.world.advance(0.01)
        self.assertIs(pair.server.ended_by, ConnectionLost)

    def test_closed_with_bytes_unread(self) -> None:
        """Who closes without having read all resets the other's half."""
        pair = Pair(server=Patient, client=Patient)
        pair.server.transport.pauseProducing()
        pair.client.transport.write(b"x" * 1_000_000)
        pair.world.advance(1)
        pair.server.transport.loseConnection()
        pair.world.advance(1)
        self.assertIs(pair.server.ended_by, ConnectionDone)
        self.assertIs(pair.client.ended_by, ConnectionLost)

    def test_data_for_a_closed_end(self) -> None:
        """
        What arrives for an end that has closed is answered with a reset, which
        is noticed by writing once more.
        """
        pair = Pair(client=Patient)
        pair.server.transport.loseConnection()
        pair.world.advance(1)
        pair.client.transport.write(b"x")
        pair.world.advance(1)
        self.assertIsNone(pair.client.reason)
        pair.client.transport.write(b"x")
        pair.world.advance(1)
        self.assertIs(pair.client.ended_by, ConnectionLost)
