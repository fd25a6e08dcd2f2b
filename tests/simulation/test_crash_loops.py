"""
A node that is killed and started all the time, and has no state directory.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Mycorrizal
from mycorrizal.nodosum import returns
from mycorrizal.recorder import Kind
from mycorrizal.testing import SimCluster, seeds

#: It lives so long, for so long.
LIFE_S = 2.0
STORM_S = 600.0
BUCKET = "sessions:ttl=1h,replicas=1"
KEYS = 100


def noted(node: Mycorrizal, kind: Kind) -> int:
    """How often a node noted that."""
    return sum(it.kind is kind for it in node.nodosum.recorder.recent(0))


class CrashLoopTests(SynchronousTestCase):
    """Four nodes, one of which is a new one every two seconds, for ten minutes."""

    def cluster(self, seed: int) -> SimCluster:
        """Four nodes with some values."""
        cluster = SimCluster(4, seed=seed, buckets=[BUCKET], node_id=None)
        cluster.until(cluster.converged)
        for number in range(KEYS):
            cluster.result_of(cluster[0].cache().put("sessions", f"{number}", b"x"))
        return cluster

    def loop(self, cluster: SimCluster, storm_s: float = STORM_S) -> None:
        """The last node crashes, and is started again, over and over."""
        until = cluster.world.now_s + storm_s
        while cluster.world.now_s < until:
            cluster.crash(3)
            cluster.restart(3)
            cluster.advance(LIFE_S)

    def storm(self, cluster: SimCluster, storm_s: float = STORM_S) -> list[int]:
        """As `loop`; how many joined meanwhile in the eyes of each that stays."""
        before = [noted(node, Kind.JOINED) for node in cluster.nodes[:3]]
        self.loop(cluster, storm_s)
        after = [noted(node, Kind.JOINED) for node in cluster.nodes[:3]]
        return [now - was for now, was in zip(after, before, strict=True)]

    @seeds(1)
    def test_damped(self, seed: int) -> None:
        """
        Of 300 lives it is let in for a score, by all others alike; the others go
        on, and it joins for good when it has come to rest (F56).
        """
        cluster = self.cluster(seed)
        lives = self.storm(cluster)
        self.assertLessEqual(max(lives), 20)
        self.assertGreaterEqual(min(lives), 10)
        self.assertEqual(len(set(lives)), 1, lives)
        for node in cluster.nodes[:3]:
            self.assertLessEqual(noted(node, Kind.SLOTS_TAKEN), 3 * 20)
        cluster.until(cluster.converged, 120)
        for number in range(KEYS):
            got = cluster.result_of(cluster[3].cache().get("sessions", f"{number}"))
            self.assertEqual(got, b"x")
        cluster.check_invariants()
        cluster.close()

    def test_without_damping(self) -> None:
        """Who counted nothing would let it in each time."""
        self.patch(returns, "pause_s", lambda lives: 0.0)
        cluster = self.cluster(1)
        lives = self.storm(cluster, 60)
        self.assertEqual(lives, [30, 30, 30])

    @seeds(1)
    def test_a_node_that_has_just_come(self, seed: int) -> None:
        """One that has seen nothing of it yet lets it in a few times; then no more."""
        cluster = self.cluster(seed)
        self.loop(cluster, 60)
        cluster.add()
        lives = self.storm(cluster, 60)
        self.assertLessEqual(max(lives), 15)
        cluster.until(cluster.converged, 90)
        cluster.check_invariants()
        cluster.close()

    @seeds(2)
    def test_stopped_while_it_waits(self, seed: int) -> None:
        """It can be stopped meanwhile, and nothing is left of it."""
        cluster = self.cluster(seed)
        self.loop(cluster, 60)
        self.assertFalse(cluster[3].ready)
        self.assertEqual(len(cluster[3].nodes()), 1)
        cluster.stop(3)
        cluster.until(cluster.converged, 30)
        cluster.check_invariants()
        cluster.close()

    @seeds(2)
    def test_all_at_once(self, seed: int) -> None:
        """Nobody waits for ever when all others crash, too."""
        cluster = self.cluster(seed)
        self.loop(cluster, 60)
        for number in range(3):
            cluster.crash(number)
        for number in range(3):
            cluster.restart(number)
        cluster.until(cluster.converged, 90)
        cluster.check_invariants()
        cluster.close()
