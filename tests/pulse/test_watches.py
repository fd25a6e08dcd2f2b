"""
Watches of Pulse's users on the node.
"""

from __future__ import annotations

from mycorrizal.mycel.api.calls import Calls
from mycorrizal.pulse.messages import AskWatch, Failed, Reply, Watched, WatchedEvent
from mycorrizal.pulse.watches import EVENTS_MAX, PATIENCE_S
from tests.pulse.worlds import PulseTestCase


class WatchesTests(PulseTestCase):
    """One node, and a user who is connected."""

    settings = {"buckets": "b:max_entries=10000"}

    def setUp(self) -> None:
        super().setUp()
        self.user = self.connected()
        self.addCleanup(self.user.abort)
        self.cache = self.cluster[0].cache()
        self.begin()

    def begin(self) -> None:
        """Begin a watch."""
        reply = self.asked(0)
        assert isinstance(reply, Watched)
        self.assertEqual(reply.events, [])
        self.watch = reply.watch

    def asked(self, watch: int) -> Reply:
        """What the node answers."""
        return self.cluster.result_of(self.user.ask(AskWatch("b", "k", watch)))

    def put(self, count: int) -> None:
        """Put so many values."""
        values = {f"k{number}": b"" for number in range(count)}
        self.cluster.result_of(self.cache.put_many("b", values))
        self.cluster.advance(0.1)

    def test_together(self) -> None:
        """What has happened is told at once, and together."""
        self.put(3)
        events = [WatchedEvent("put", b"k%d" % number) for number in range(3)]
        reply = self.asked(self.watch)
        assert isinstance(reply, Watched)
        self.assertCountEqual(reply.events, events)

    def test_nothing(self) -> None:
        """When nothing happens it is told so, in time for Pulse."""
        began_s = self.cluster.world.now_s
        self.assertEqual(self.asked(self.watch), Watched(self.watch, []))
        self.assertAlmostEqual(self.cluster.world.now_s - began_s, PATIENCE_S, places=1)

    def test_bound(self) -> None:
        """One answer has so many at most."""
        self.put(EVENTS_MAX + 1)
        first, second = self.asked(self.watch), self.asked(self.watch)
        assert isinstance(first, Watched) and isinstance(second, Watched)
        self.assertEqual((len(first.events), len(second.events)), (EVENTS_MAX, 1))

    def test_unknown(self) -> None:
        """A watch that is not this connection's is not there."""
        self.assertIsInstance(self.asked(self.watch + 1), Failed)
        other = self.connected()
        self.addCleanup(other.abort)
        asking = other.ask(AskWatch("b", "k", self.watch))
        self.assertIsInstance(self.cluster.result_of(asking), Failed)

    def test_gone(self) -> None:
        """When the user goes, asking or not, the watch is closed."""
        for asking in (False, True):
            if asking:
                self.user = self.connected()
                self.begin()
                waiting = self.user.ask(AskWatch("b", "k", self.watch))
                waiting.addErrback(lambda failure: None)
                self.cluster.advance(0.1)
            self.assertEqual(len(self.cache._watches), 1)
            self.user.abort()
            self.cluster.advance(1)
            self.assertEqual(len(self.cache._watches), 0)
        self.cluster.advance(PATIENCE_S)
        self.assertEqual(self.cluster.world.errors(), [])

    def test_stop(self) -> None:
        """A node that stops leaves nothing behind."""
        waiting = self.user.ask(AskWatch("b", "k", self.watch))
        waiting.addErrback(lambda failure: None)
        self.cluster.advance(0.1)
        self.cluster.stop(0)
        self.assertEqual(self.cluster.world.errors(), [])
        self.assertIsInstance(self.cache, Calls)
