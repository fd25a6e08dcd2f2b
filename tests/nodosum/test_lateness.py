"""
How far a node is behind.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.lateness import REMEMBERED_S, TICK_S, Lateness
from mycorrizal.testing.cluster import SimCluster


class LatenessTests(SynchronousTestCase):
    """A node that began at 100 s and looks at the clock now and then."""

    def setUp(self) -> None:
        self.lateness = Lateness(100.0)

    def look(self, *times: float) -> None:
        """Look at the clock at these times."""
        for now in times:
            self.lateness.looked(now)

    def test_punctual(self) -> None:
        """Who looks when it should, or earlier, is not late."""
        self.assertEqual(self.lateness.worst_s(100.0), 0.0)
        self.look(100.0, 100.0 + TICK_S, 100.15)
        self.assertAlmostEqual(self.lateness.worst_s(100.2), 0.0)

    def test_worst(self) -> None:
        """The longest delay counts, and not the last."""
        self.look(100.0, 100.0 + TICK_S + 0.25, 100.5)
        self.assertAlmostEqual(self.lateness.worst_s(100.5), 0.25)

    def test_forgotten(self) -> None:
        """A delay is told for five seconds, and for ten no more."""
        self.look(100.0, 101.0)
        self.assertAlmostEqual(self.lateness.worst_s(104.9), 0.9)
        self.assertAlmostEqual(self.lateness.worst_s(100 + REMEMBERED_S), 0.9)
        self.assertAlmostEqual(self.lateness.worst_s(109.9), 0.9)
        self.assertAlmostEqual(self.lateness.worst_s(100 + 2 * REMEMBERED_S), 0.0)

    def test_long_silence(self) -> None:
        """A delay that is longer than the memory is told all the same."""
        self.look(100.0, 200.0)
        self.assertAlmostEqual(self.lateness.worst_s(200.0), 99.9)

    def test_asked_late(self) -> None:
        """What was long ago when somebody asks is not told."""
        self.look(100.0, 101.0)
        self.assertEqual(self.lateness.worst_s(100 + 2 * REMEMBERED_S), 0.0)


class NodeTests(SynchronousTestCase):
    """A node of a cluster."""

    def test_paused(self) -> None:
        """A node that did not run knows for how long, and forgets it."""
        cluster = SimCluster(2, seed=self.id())
        cluster.until(cluster.formed)
        cluster.advance(11)
        self.assertLess(cluster[1].nodosum.witness.lag_s, 0.01)
        cluster.pause(1)
        cluster.advance(1.5)
        cluster.resume(1)
        cluster.advance(1)
        lag_s = cluster[1].nodosum.witness.lag_s
        self.assertTrue(1.4 <= lag_s <= 1.51, lag_s)
        cluster.advance(11)
        self.assertLess(cluster[1].nodosum.witness.lag_s, 0.01)
