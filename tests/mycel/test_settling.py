"""
Slots settle after each change of members, also when only one side saw it.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Indeterminate
from mycorrizal.testing import SimCluster, seeds

KEYS = [f"key-{number}" for number in range(60)]


def a_cluster(seed: int) -> SimCluster:
    """Three nodes and some old values."""
    cluster = SimCluster(3, seed=seed, buckets=["c"])
    cluster.until(cluster.formed)
    write(cluster, 0, b"old")
    cluster.until(cluster.converged)
    return cluster


def write(cluster: SimCluster, number: int, value: bytes) -> None:
    """Write all keys through a node."""
    for key in KEYS:
        cluster.result_of(cluster[number].cache().put("c", key, value))


def read(cluster: SimCluster, number: int) -> set[bytes | None]:
    """What is found at all keys through a node."""
    cache = cluster[number].cache()
    return {cluster.result_of(cache.get("c", key)) for key in KEYS}


class OneSidedDeathTests(SynchronousTestCase):
    """
    The others have given a node up, and it has not noticed.
    """

    @seeds(3)
    def test_node_that_was_not_heard(self, seed: int) -> None:
        """
        What was written without it is what is read, through it too, from the
        first moment that it is back.
        """
        cluster = a_cluster(seed)
        n0 = cluster.hosts[0]
        for other in cluster.hosts[1:]:
            cluster.world.cut(n0, other, one_way=True)

        def given_up() -> bool:
            return all(
                [seen.state for seen in node.nodes() if seen.id == "n0"] == ["dead"]
                for node in cluster.running[1:]
            )

        cluster.until(given_up, 6)
        write(cluster, 1, b"new")
        cluster.heal()
        cluster.until(lambda: len(cluster[0].nodosum.applications.links) == 2)
        self.assertEqual(cluster[0].mycel.view.members.keys(), self.keys(cluster))
        self.assertEqual(read(cluster, 0), {b"new"})
        cluster.until(cluster.converged)
        self.assertEqual(read(cluster, 0), {b"new"})
        cluster.check_invariants()
        cluster.close()

    @seeds(3)
    def test_node_that_overslept(self, seed: int) -> None:
        """
        A node that slept for longer than the others waited goes back as one
        who was away, and does not do again what waited in its buffers.
        """
        cluster = a_cluster(seed)
        cluster.pause(0)
        late = [cluster[1].cache().delete("c", key) for key in KEYS]
        cluster.advance(7)
        for deleted in late:
            deleted.addErrback(lambda failure: failure.trap(Indeterminate))
            cluster.result_of(deleted)
        write(cluster, 2, b"new")
        cluster.resume(0)
        cluster.until(cluster.converged)
        for number in range(3):
            self.assertEqual(read(cluster, number), {b"new"})
        cluster.check_invariants()
        cluster.close()

    @staticmethod
    def keys(cluster: SimCluster) -> set[bytes]:
        return {node.nodosum.me.node_key for node in cluster.nodes}
