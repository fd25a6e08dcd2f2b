"""
Whole buckets, in a cluster: altered, cleared and dropped everywhere, for good.
"""

from __future__ import annotations

from mycorrizal import (
    BucketConflict,
    BucketSettings,
    ConfigError,
    Indeterminate,
    NotRunning,
    UnknownBucket,
)
from mycorrizal.mycel import Cache
from tests.mycel.cases import ClusterTestCase


class BucketsTestCase(ClusterTestCase):
    """A cluster of three."""

    def caches(self) -> list[Cache]:
        """The caches of all nodes."""
        return [node.cache() for node in self.cluster.running]

    def entries(self, bucket: str = "b") -> list[int]:
        """How many values each node holds."""
        return [cache.stats(bucket).entries for cache in self.caches()]


class AlterTests(BucketsTestCase):
    """Settings that change."""

    def test_everywhere(self) -> None:
        """What is changed on one node is so on all, and on later ones."""
        self.result_of(self.cache(2).alter_bucket("b", ttl_s=60, max_bytes=10**6))
        settings = BucketSettings("b", 60, 100_000, 10**6)
        self.result_of(self.cache(0).alter_bucket("b", max_entries=None))
        settings = BucketSettings("b", 60, None, 10**6)
        for cache in self.caches():
            self.assertEqual(cache.buckets()["b"], settings)
        late = self.cluster.add()
        self.result_of(late.when_ready())
        self.assertEqual(late.cache().buckets()["b"], settings)

    def test_while_away(self) -> None:
        """A node that was away has the new settings when it is back."""
        self.cluster.partition([0, 1], [2])
        self.cluster.advance(10)
        self.result_of(self.cache(0).alter_bucket("b", ttl_s=60))
        self.assertIsNone(self.cache(2).buckets()["b"].ttl_s)
        self.cluster.heal()
        self.cluster.until(self.cluster.formed)
        self.settle()
        for cache in self.caches():
            self.assertEqual(cache.buckets()["b"].ttl_s, 60)

    def test_new_time_to_live(self) -> None:
        """A new time to live is that of later puts, not of what is there."""
        self.result_of(self.cache(0).put("b", "old", b"v"))
        self.result_of(self.cache(1).alter_bucket("b", ttl_s=5))
        self.result_of(self.cache(0).put("b", "new", b"v"))
        self.cluster.advance(5)
        self.assertIsNone(self.result_of(self.cache(0).get("b", "new")))
        self.assertEqual(self.result_of(self.cache(0).get("b", "old")), b"v")

    def test_new_limits(self) -> None:
        """What is above lower limits is gone when the call fires."""
        self.fill(300)
        self.result_of(self.cache(0).alter_bucket("b", max_entries=20))
        for entries in self.entries():
            self.assertLessEqual(entries, 22)
        self.result_of(self.cache(1).alter_bucket("b", max_entries=1000))
        self.fill(300)
        self.check_all(2, 300)

    def test_more_replicas(self) -> None:
        """More replicas are copied, and a value survives as many deaths more."""
        self.result_of(self.cache(0).create_bucket("r", replicas=0))
        for number in range(50):
            self.result_of(self.cache(0).put("r", f"k{number}", b"v"))
        self.assertEqual(sum(self.entries("r")), 50)
        self.result_of(self.cache(0).alter_bucket("r", replicas=2))
        self.settle()
        self.assertEqual(self.entries("r"), [50, 50, 50])
        self.cluster.crash(0)
        self.cluster.crash(1)
        for number in range(50):
            found = self.result_of(self.cache(2).get("r", f"k{number}", timeout_s=20))
            self.assertEqual(found, b"v")

    def test_fewer_replicas(self) -> None:
        """Fewer replicas leave one copy of each value, and lose none."""
        self.fill()
        self.result_of(self.cache(0).alter_bucket("b", replicas=0))
        self.settle()
        self.assertEqual(sum(self.entries()), 100)
        self.check_all(1)

    def test_write_mode(self) -> None:
        """A put waits for as many nodes as the bucket says now."""
        self.result_of(self.cache(0).alter_bucket("b", write="async"))
        self.cluster.pause(2)
        key = self.key_owned_by(1, 2)
        copies = self.result_of(self.cache(0).put("b", key, b"v"))
        self.assertEqual((copies, copies.degraded), (1, True))
        self.assertEqual(self.result_of(self.cache(0).get("b", key)), b"v")
        self.cluster.resume(2)
        self.cluster.advance(1)
        self.assertEqual(self.cluster[2].cache().stats("b").entries, 1)

    def test_created_again(self) -> None:
        """Who creates it with what it was before the change has a conflict."""
        self.result_of(self.cache(0).alter_bucket("b", ttl_s=60))
        error = self.failure_of(BucketConflict, self.cache(1).create_bucket("b"))
        self.assertIn("ttl_s is 60.0, not None", str(error))

    def test_senseless(self) -> None:
        """What makes no sense is refused, and nothing is changed."""
        here = self.cache(0)
        self.failure_of(UnknownBucket, here.alter_bucket("none", ttl_s=5))
        for call, field in (
            (here.alter_bucket("b", ttl_s=-1), "bucket.ttl"),
            (here.alter_bucket("b", max_entries=0), "bucket.max_entries"),
            (here.alter_bucket("b", replicas=8), "bucket.replicas"),
            (here.alter_bucket("b", write="x"), "bucket.write"),  # type: ignore[arg-type]
        ):
            self.assertEqual(self.failureResultOf(call, ConfigError).value.field, field)
        error = self.failure_of(ConfigError, here.alter_bucket("b", max_entries=None))
        self.assertIn("max_entries or max_bytes", str(error))
        self.assertEqual(here.buckets()["b"].max_entries, 100_000)


class ClearTests(BucketsTestCase):
    """Buckets that are emptied."""

    def test_everywhere(self) -> None:
        """All values are gone when it fires, from every node; others stay."""
        self.fill()
        self.result_of(self.cache(0).create_bucket("other"))
        self.result_of(self.cache(0).put("other", "k", b"v"))
        self.result_of(self.cache(1).clear("b"))
        self.assertEqual(self.entries(), [0, 0, 0])
        self.assertEqual(self.result_of(self.cache(2).get("other", "k")), b"v")

    def test_written_afterwards(self) -> None:
        """What is written when it has fired stays, whoever writes it."""
        self.fill()
        self.result_of(self.cache(1).clear("b"))
        self.fill(50)
        self.settle()
        self.check_all(2, 50)
        self.assertEqual(sum(self.entries()), 100)

    def test_while_away(self) -> None:
        """A node that was away clears what it has when it is back."""
        self.fill()
        self.cluster.partition([0, 1], [2])
        self.cluster.advance(10)
        self.result_of(self.cache(0).clear("b"))
        self.result_of(self.cache(0).put("b", "new", b"1:"))
        self.assertGreater(self.cluster[2].cache().stats("b").entries, 0)
        self.cluster.heal()
        self.cluster.until(self.cluster.formed)
        self.settle()
        self.assertEqual(sum(self.entries()), 2)
        self.assertIsNone(self.result_of(self.cache(1).get("b", "k1")))
        self.assertEqual(self.result_of(self.cache(2).get("b", "new")), b"1:")

    def test_silent_member(self) -> None:
        """If a member does not answer it is not known whether all is gone."""
        self.cluster.pause(2)
        call = self.cache(0).clear("b", timeout_s=1)
        self.failure_of(Indeterminate, call)

    def test_under_load(self) -> None:
        """What was acknowledged after it fired is there, before it is not."""
        self.fill()
        puts = [self.cache(0).put("b", f"k{it}", b"%d:" % it) for it in range(100)]
        self.result_of(self.cache(1).clear("b"))
        for put in puts:
            self.result_of(put)
        self.result_of(self.cache(2).clear("b"))
        self.assertEqual(self.entries(), [0, 0, 0])
        self.settle()

    def test_refused(self) -> None:
        """An unknown bucket is named."""
        self.failure_of(UnknownBucket, self.cache(0).clear("none"))
        self.cluster.stop(0)
        self.failureResultOf(self.cluster[0].cache().clear("b"), NotRunning)


class DropTests(BucketsTestCase):
    """Buckets that go."""

    def test_everywhere(self) -> None:
        """A bucket that was dropped is gone everywhere, with its values."""
        self.fill()
        stores = [node.mycel.buckets.by_name["b"].store for node in self.cluster.nodes]
        self.result_of(self.cache(2).drop_bucket("b"))
        for cache in self.caches():
            self.assertEqual(cache.buckets(), {})
            self.failureResultOf(cache.get("b", "k1"), UnknownBucket)
        self.assertEqual([store.size_bytes for store in stores], [0, 0, 0])
        late = self.cluster.add()
        self.result_of(late.when_ready())
        self.assertEqual(late.cache().buckets(), {})
        self.failure_of(UnknownBucket, self.cache(0).drop_bucket("b"))

    def test_while_away(self) -> None:
        """A node that was away does not bring it back."""
        self.fill()
        self.cluster.partition([0, 1], [2])
        self.cluster.advance(10)
        self.result_of(self.cache(0).drop_bucket("b"))
        self.result_of(self.cache(2).put("b", "late", b"v"))
        self.cluster.heal()
        self.cluster.until(self.cluster.formed)
        self.settle()
        for cache in self.caches():
            self.assertEqual(cache.buckets(), {})

    def test_restarted(self) -> None:
        """Nor does one that is restarted, or a newcomer, with only those who know."""
        self.result_of(self.cache(0).drop_bucket("b"))
        self.cluster.crash(1)
        self.cluster.restart(1)
        late = self.cluster.add()
        self.result_of(late.when_ready())
        self.settle()
        self.cluster.stop(0)
        self.cluster.stop(2)
        self.settle()
        for cache in self.caches():
            self.assertEqual(cache.buckets(), {})

    def test_created_again(self) -> None:
        """What is created under its name is empty, also where the old one was left."""
        self.fill()
        self.cluster.partition([0, 1], [2])
        self.cluster.advance(10)
        self.result_of(self.cache(0).drop_bucket("b"))
        self.result_of(self.cache(1).create_bucket("b", ttl_s=60))
        self.result_of(self.cache(1).put("b", "new", b"v"))
        self.cluster.heal()
        self.cluster.until(self.cluster.formed)
        self.settle()
        self.assertEqual(sum(self.entries()), 2)
        for cache in self.caches():
            self.assertEqual(cache.buckets()["b"].ttl_s, 60)
            self.assertIsNone(self.result_of(cache.get("b", "k1")))
            self.assertEqual(self.result_of(cache.get("b", "new")), b"v")

    def test_under_load(self) -> None:
        """Writes under way end, one way or the other, and nothing hangs."""
        puts = [self.cache(it % 3).put("b", f"k{it}", b"v") for it in range(200)]
        outcomes: list[object] = []
        for put in puts:
            put.addCallbacks(
                lambda copies: outcomes.append(int(copies)),
                lambda failure: outcomes.append(failure.type),
            )
        self.result_of(self.cache(1).drop_bucket("b"))
        self.cluster.until(lambda: len(outcomes) == 200, 6)
        self.assertLessEqual({*outcomes}, {2, UnknownBucket})
        self.settle()

    def test_while_slots_move(self) -> None:
        """A bucket that goes while a newcomer takes slots over holds nobody up."""
        self.fill(500, bytes(2000))
        late = self.cluster.add()
        self.cluster.advance(0.3)
        self.result_of(self.cache(0).drop_bucket("b"))
        self.result_of(late.when_ready())
        self.settle()
        self.assertEqual(late.cache().buckets(), {})
        self.assertEqual(
            [node.mycel.under_replicated() for node in self.cluster.nodes], [0] * 4
        )
