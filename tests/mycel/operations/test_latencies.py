"""
The times of operations that go to another node.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.messages import Get, Touch
from mycorrizal.mycel.operations.latencies import SAMPLED_EVERY, Latencies
from mycorrizal.testing.cluster import SimCluster


class LatencyTests(SynchronousTestCase):
    """A sample is timed, by kind."""

    def test_sample(self) -> None:
        """One of so many operations is timed."""
        clock = Clock()
        clock.advance(5)
        latencies = Latencies(clock.seconds)
        begun = [latencies.begin() for _ in range(2 * SAMPLED_EVERY)]
        self.assertEqual([at for at in begun if at], [5.0, 5.0])

    def test_kinds(self) -> None:
        """Gets are counted as such, what has no kind of its own as other."""
        clock = Clock()
        latencies = Latencies(clock.seconds)
        clock.advance(2)
        latencies.ended(Get("b", b"k"), 1.0)
        latencies.ended(Touch("b", b"k", 1, 0), 0.5)
        totals = {kind: each.total for kind, each in latencies.by_kind.items()}
        self.assertEqual(totals, {"get": 1.0, "put": 0.0, "other": 1.5})

    def test_in_a_cluster(self) -> None:
        """Reads that go to another node are timed, those at home are not."""
        cluster = SimCluster(3, seed=self.id(), buckets="s:ttl=1h,replicas=0")
        cluster.until(cluster.formed)
        node = cluster[0]
        latencies = node.mycel.router.latencies = Latencies(node.runtime.now)
        for number in range(10 * SAMPLED_EVERY):
            cluster.result_of(node.cache().get("s", f"k{number}"))
        timed = sum(latencies.by_kind["get"].counts)
        self.assertGreater(timed, 3)
        self.assertLess(timed, 10)
        self.assertGreater(latencies.by_kind["get"].total, 0)
