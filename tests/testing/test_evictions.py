"""Tests for `mycorrizal.testing.evictions`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import BucketSettings
from mycorrizal.mycel.store import Cause
from mycorrizal.mycel.store.lru import INF
from mycorrizal.testing import SimCluster
from mycorrizal.testing.evictions import FETCH_S, OF_KEY_MAX, Evictions

NODE: Any = object()
OTHER: Any = object()


class EvictionsTests(SynchronousTestCase):
    """What goes for want of room is noted, with all that tells what it was."""

    def setUp(self) -> None:
        self.now = 1.0
        self.evictions = Evictions(lambda: self.now)

    def excused(self, stamp: int, ended: float = 2.0) -> bool:
        return self.evictions.excuse_read("b", b"k", (stamp, "00"), ended)

    def test_excuse(self) -> None:
        """A version is missed if it, or a later one, went before."""
        self.evictions.evicted("b", b"k", NODE, (5, "00"), led=True)
        self.assertTrue(self.excused(5))
        self.assertTrue(self.excused(4))
        self.assertFalse(self.excused(6))
        self.assertTrue(self.excused(5, ended=1.0))
        self.assertFalse(self.excused(5, ended=0.9))
        self.assertFalse(self.evictions.excuse_read("b", b"x", (5, "00"), 2.0))

    def test_copies(self) -> None:
        """A copy that went counts where owners have changed since."""
        asked: list[tuple[float, float]] = []

        def upset(since: float, until: float) -> bool:
            asked.append((since, until))
            return len(asked) > 1

        self.evictions.upset = upset
        self.evictions.evicted("b", b"k", NODE, (5, "00"), led=False)
        self.assertFalse(self.excused(5))
        self.assertTrue(self.excused(5))
        self.assertEqual(asked, [(1.0 - FETCH_S, 2.0)] * 2)

    def test_by(self) -> None:
        """Who has let it go."""
        self.evictions.evicted("b", b"k", NODE, (5, "00"), led=True)
        self.now = 3.0
        self.evictions.evicted("b", b"k", OTHER, (6, "00"), led=False)
        self.assertEqual(self.evictions.by("b", b"k", (5, "00")), {NODE, OTHER})
        self.assertEqual(self.evictions.by("b", b"k", (6, "00")), {OTHER})
        self.assertEqual(self.evictions.by("b", b"k", (5, "00"), 3.0), {OTHER})

    def test_bound(self) -> None:
        """Of each key only so many are remembered, the last ones."""
        for stamp in range(OF_KEY_MAX + 1):
            self.evictions.evicted("b", b"k", NODE, (stamp, "00"), led=True)
        stamps = [it.version[0] for it in self.evictions]
        self.assertEqual((len(stamps), stamps[0]), (OF_KEY_MAX, 1))

    def test_nodes(self) -> None:
        """What nodes evict is noted, and nothing else that goes."""
        cluster = SimCluster(1, seed=1, buckets=["b:max_entries=2"])
        cluster.until(cluster.formed)
        cache, store = cluster[0].cache(), cluster[0].mycel.buckets.by_name["b"].store
        for key in (b"k1", b"k2"):
            cluster.result_of(cache.put("b", key, b"v"))
        self.assertEqual(list(cluster.evictions), [])
        cluster.result_of(cache.put("b", b"k3", b"v"))
        cluster.result_of(cache.delete("b", b"k3"))
        (eviction,) = cluster.evictions
        self.assertTrue(eviction.led)
        self.assertIs(eviction.process, cluster[0])
        by = cluster.evictions.by("b", b"k1", eviction.version)
        self.assertEqual(by, {cluster[0]})
        self.assertEqual(store.stats().evicted, 1)
        cluster.close()

    def test_expired(self) -> None:
        """Who has had a version that expired is known, which excuses no read."""
        node = SimCluster(1, seed=1, start=False)[0]
        bucket = node.mycel.buckets.add(BucketSettings("b"), (1, b""))
        self.evictions.set_up(node)
        bucket.store.merge(0, b"k", b"v", 5, bytes(16), 2.0, 1.0)
        bucket.store.pop_due(9.0, 10)
        gone_from = self.evictions.gone_from
        self.assertEqual(gone_from("b", b"k", (5, ""), 1.0), {node})
        self.assertEqual(gone_from("b", b"k", (5, ""), 1.1), set())
        self.assertEqual(gone_from("b", b"k", (6, ""), 1.0), set())
        self.assertEqual(self.evictions.by("b", b"k", (5, "")), set())
        self.assertFalse(self.excused(5))

    def test_another_listener(self) -> None:
        """Who listened to the bucket before is told as before."""
        told: list[Cause] = []
        node = SimCluster(1, seed=1, start=False)[0]
        table, settings = node.mycel.buckets, BucketSettings("b", max_entries=1)
        bucket = table.add(settings, (1, b""))
        bucket.store._gone = lambda entry, cause: told.append(cause)
        self.evictions.set_up(node)
        for key, deadline in ((b"k1", INF), (b"k2", 5.0)):
            bucket.store.merge(0, key, b"v", 1, bytes(16), deadline, 1.0)
        bucket.store.pop_due(9.0, 10)
        self.assertEqual(told, [Cause.EVICTED, Cause.EXPIRED])
        self.assertEqual(len(list(self.evictions)), 1)
