"""
The cache when two nodes can't reach each other, and others reach both.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import SimCluster, seeds


class PartialPartitionTests(SynchronousTestCase):
    """Nodes n0 and the last one are cut; n1 sees both."""

    def cluster(self, size: int, seed: int) -> SimCluster:
        """A cluster with a bucket and some values, and then the cut."""
        cluster = SimCluster(size, seed=seed)
        cluster.until(cluster.formed)
        cache = cluster[0].cache()
        cluster.result_of(cache.create_bucket("s", ttl_s=900))
        for number in range(30):
            cluster.result_of(cache.put("s", f"key-{number}", b"old"))
        cluster.world.cut(cluster.hosts[0], cluster.hosts[-1])
        return cluster

    def unlinked(self, cluster: SimCluster) -> bool:
        """Whether n0 has noticed that its link is broken."""
        key = cluster[-1].nodosum.me.node_key
        return cluster[0].nodosum.way_to(key) is not None

    def write_and_read(self, cluster: SimCluster, value: bytes) -> None:
        """Every node writes, and every node reads what was written."""
        for number in range(30):
            writer = cluster[number % len(cluster)].cache()
            copies = cluster.result_of(writer.put("s", f"key-{number}", value), 5)
            self.assertEqual(copies, 2)
            for node in cluster.nodes:
                got = cluster.result_of(node.cache().get("s", f"key-{number}"), 5)
                self.assertEqual(got, value)

    @seeds(4)
    def test_all_is_served(self, seed: int) -> None:
        """
        All nodes go on in one view: each reaches each owner, if need be by way
        of another, and all copies are made (F4).
        """
        cluster = self.cluster(3 + 2 * (seed % 2), seed)
        cluster.until(lambda: self.unlinked(cluster), 5)
        self.write_and_read(cluster, b"during")
        self.assertEqual(len({node.mycel.view.epoch for node in cluster.nodes}), 1)
        cluster.world.heal()
        cluster.until(cluster.converged)
        cluster.advance(2)
        cluster.check_invariants()
        self.write_and_read(cluster, b"after")
        cluster.close()

    @seeds(4)
    def test_what_was_under_way(self, seed: int) -> None:
        """What was under way when the link broke ends in time (F4)."""
        cluster = self.cluster(3, seed)
        puts = [
            node.cache().put("s", f"key-{number}", b"new")
            for number in range(30)
            for node in cluster.nodes[::2]
        ]
        for put in puts:
            self.assertEqual(cluster.result_of(put, 6), 2)
        cluster.world.heal()
        cluster.until(cluster.converged)
        cluster.advance(2)
        cluster.check_invariants()
        cluster.close()

    def test_join_behind_the_cut(self) -> None:
        """A node that joins behind a cut gets its share, and gives it back (F4)."""
        cluster = self.cluster(3, 1)
        cluster.until(lambda: self.unlinked(cluster), 5)
        cluster.crash(2)
        cluster.until(cluster.converged)
        cluster.restart(2)
        cluster.until(cluster.converged)
        self.assertTrue(self.unlinked(cluster))
        self.write_and_read(cluster, b"during")
        cluster.advance(2)
        cluster.check_invariants()
        cluster.stop(2)
        cluster.until(cluster.converged)
        for number in range(30):
            got = cluster.result_of(cluster[0].cache().get("s", f"key-{number}"))
            self.assertEqual(got, b"during")

    def test_bucket_made_during_it(self) -> None:
        """A bucket made during it is known to all (F4)."""
        cluster = self.cluster(3, 2)
        cluster.until(lambda: self.unlinked(cluster), 5)
        for number, node in enumerate(cluster.nodes):
            cluster.result_of(node.cache().create_bucket(f"b{number}", ttl_s=9))
        for node in cluster.nodes:
            self.assertEqual([*node.cache().buckets()], ["b0", "b1", "b2", "s"])

    def test_chain_of_four(self) -> None:
        """In a chain of four the ends reach each other as well (F4)."""
        cluster = SimCluster(4, seed=5)
        cluster.until(cluster.formed)
        cluster.result_of(cluster[0].cache().create_bucket("s", ttl_s=900))
        cluster.world.chain()
        cluster.advance(8)
        self.write_and_read(cluster, b"during")
        cluster.world.heal()
        cluster.until(cluster.converged)
        cluster.advance(2)
        cluster.check_invariants()
