"""
The story of three nodes, without a socket.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import MemberDied, MemberJoined, Mycorrizal
from mycorrizal.testing import SimCluster, seeds

KEYS = 500


def a_cluster_with_keys(seed: int) -> SimCluster:
    """Three nodes, and KEYS values put through the first."""
    cluster = SimCluster(3, seed=seed, buckets=["sessions:ttl=15m,replicas=1"])
    cluster.until(cluster.formed)
    for number in range(KEYS):
        put = cluster[0].cache().put("sessions", f"user:{number}", b"%d" % number)
        cluster.result_of(put)
    return cluster


class ThreeNodesTests(SynchronousTestCase):
    """Three nodes find each other; one is killed; nothing is lost."""

    def read_all(self, cluster: SimCluster, number: int) -> None:
        cache = cluster[number].cache()
        for key in range(KEYS):
            value = cluster.result_of(cache.get("sessions", f"user:{key}"))
            self.assertEqual(value, b"%d" % key, f"user:{key} through n{number}")

    @seeds(5)
    def test_a_node_dies_and_returns(self, seed: int) -> None:
        """
        What was put through one node is read through another, also after a
        third was killed, and through it when it is back.
        """
        cluster = a_cluster_with_keys(seed)
        self.read_all(cluster, 1)
        killed_at = cluster.world.now_s
        cluster.crash(1)
        cluster.until(cluster.formed, 2)
        self.assertLess(cluster.world.now_s - killed_at, 2)
        self.read_all(cluster, 0)
        self.read_all(cluster, 2)
        cluster.restart(1)
        cluster.until(cluster.converged)
        self.read_all(cluster, 1)
        cluster.check_invariants()
        cluster.close()

    @seeds(5)
    def test_one_after_the_other_dies(self, seed: int) -> None:
        """
        When each death is followed by time to copy, any node may be the next.
        """
        cluster = a_cluster_with_keys(seed)
        for number in (0, 1, 2, 0):
            cluster.crash(number)
            cluster.until(cluster.converged)
            cluster.restart(number)
            cluster.until(cluster.converged)
            self.read_all(cluster, number)
        cluster.check_invariants()
        cluster.close()

    def test_power_cut(self) -> None:
        """A machine that goes dark without a word is dead within 6 seconds."""
        cluster = a_cluster_with_keys(3)
        cluster.crash(2, peers="silence")
        cluster.until(cluster.formed, 6)
        self.read_all(cluster, 0)

    def test_leaving(self) -> None:
        """Two nodes leave, one after the other, and the last has everything."""
        cluster = a_cluster_with_keys(4)
        cluster.stop(0)
        cluster.until(cluster.converged, 2)
        cluster.stop(1)
        cluster.until(cluster.formed, 2)
        self.read_all(cluster, 2)
        cluster.close()

    @seeds(20)
    def test_one_seed_is_enough(self, seed: int) -> None:
        """
        Nodes that know only one find each other through it at once, also those
        that come at the same moment.
        """
        cluster = SimCluster(5, seed=seed, static=[f"10.0.0.{seed % 5 + 1}"])
        cluster.until(cluster.formed, 1)
        cluster.check_invariants()
        cluster.close()

    def test_subscribers_are_told(self) -> None:
        """A subscriber hears of each that joins or dies, once and in order."""
        events: dict[str, list[object]] = {}

        def listen(node: Mycorrizal) -> None:
            node.subscribe(events.setdefault(node.node_id, []).append)

        cluster = SimCluster(3, seed=6, setup=listen)
        cluster.until(cluster.formed)
        cluster.crash(2)
        cluster.until(cluster.formed)
        joined = [e.node.id for e in events["n0"] if isinstance(e, MemberJoined)]
        died = [e.node.id for e in events["n0"] if isinstance(e, MemberDied)]
        self.assertEqual(sorted(joined), ["n1", "n2"])
        self.assertEqual(died, ["n2"])
