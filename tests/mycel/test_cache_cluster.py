"""
The cache, as applications on several nodes use it together.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs

from mycorrizal import (
    BucketConflict,
    BucketSettings,
    CacheError,
    ConfigError,
    Indeterminate,
    NotRunning,
)
from mycorrizal.mycel import Cache
from mycorrizal.mycel.config import (
    BUCKETS_MAX,
    ENTRIES_MAX_DEFAULT,
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
)
from tests.mycel.cases import ClusterTestCase


class BucketTests(ClusterTestCase):
    """Buckets in a cluster of three."""

    def caches(self) -> list[Cache]:
        """The caches of all nodes."""
        return [node.cache() for node in self.cluster.running]

    def test_known_everywhere(self) -> None:
        """A bucket that was created on one node is known on all, and later ones."""
        created = self.caches()[1].create_bucket(
            "s", ttl_s=900, max_entries=10, replicas=2
        )
        self.result_of(created)
        settings = BucketSettings("s", 900, 10, None, 2)
        for cache in self.caches():
            self.assertEqual(cache.buckets()["s"], settings)
        late = self.cluster.add()
        self.result_of(late.when_ready())
        self.assertEqual(late.cache().buckets()["s"], settings)
        self.result_of(late.cache().put("s", "k", b"v"))

    def test_again(self) -> None:
        """The same settings again are fine, from every node."""
        for cache in self.caches():
            self.result_of(cache.create_bucket("s", ttl_s=1 / 3, max_bytes=5000))
            self.result_of(cache.create_bucket("b"))

    def test_conflict(self) -> None:
        """Other settings are a conflict, and what differs is named."""
        self.result_of(self.cache(0).create_bucket("s", ttl_s=60, max_entries=10))
        for cache in self.caches():
            call = cache.create_bucket("s", ttl_s=90, max_entries=10, replicas=0)
            error = self.failure_of(BucketConflict, call)
            self.assertEqual(error.bucket, "s")
            self.assertIn("ttl_s is 60.0, not 90.0", str(error))
            self.assertIn("replicas is 1, not 0", str(error))
            self.assertNotIn("max_entries", str(error))

    def test_at_once(self) -> None:
        """Of different settings asked for at once one is in force, everywhere."""
        results: list[object] = []
        for number, cache in enumerate(self.caches()):
            created = cache.create_bucket("s", ttl_s=60 + number)
            created.addCallbacks(
                lambda _: results.append("ok"), lambda f: results.append(f.type)
            )
        self.cluster.until(lambda: len(results) == 3)
        self.assertCountEqual(results, ["ok", BucketConflict, BucketConflict])
        found = {cache.buckets()["s"] for cache in self.caches()}
        self.assertEqual(len(found), 1)

    def test_no_limit(self) -> None:
        """A bucket without a limit gets one, and that is logged."""
        with capturedLogs() as logs:
            self.result_of(self.cache(0).create_bucket("s"))
        (event,) = [it for it in logs if it.get("bucket") == "s"]
        self.assertEqual(event["log_level"], LogLevel.info)
        self.assertEqual(event["max_entries"], ENTRIES_MAX_DEFAULT)
        self.assertEqual(ENTRIES_MAX_DEFAULT, 100_000)
        self.assertEqual(self.cache(0).buckets()["s"].max_entries, 100_000)
        with capturedLogs() as logs:
            self.result_of(self.cache(0).create_bucket("t", max_bytes=10_000))
        self.assertEqual([it for it in logs if it.get("bucket") == "t"], [])
        self.assertIsNone(self.cache(0).buckets()["t"].max_entries)

    def test_senseless(self) -> None:
        """Settings that make no sense are refused, and the field is named."""
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"ttl_s": 0}, "bucket.ttl"),
            ({"max_entries": 0}, "bucket.max_entries"),
            ({"max_entries": 2**64}, "bucket.max_entries"),
            ({"max_bytes": -1}, "bucket.max_bytes"),
            ({"replicas": 8}, "bucket.replicas"),
            ({"write": "none"}, "bucket.write"),
            ({"codec": "pickle"}, "codec"),
        ]
        for settings, field in wrong:
            call = self.cache(0).create_bucket("s", **settings)
            error = self.failureResultOf(call, ConfigError).value
            self.assertEqual(error.field, field)
        call = self.cache(0).create_bucket("")
        self.failureResultOf(call, ConfigError)

    def test_bound(self) -> None:
        """A cluster has so many buckets; one more fails and says so."""
        table = self.cluster[0].mycel.buckets
        for node in self.cluster.nodes:
            others = node.mycel.buckets
            for number in range(BUCKETS_MAX - 2):
                settings = BucketSettings(f"{number}", max_entries=1)
                others.add(settings, (1, bytes(16)))
        self.result_of(self.cache(0).create_bucket("the last"))
        self.assertEqual(len(table.by_name), BUCKETS_MAX)
        for cache in self.caches():
            error = self.failure_of(CacheError, cache.create_bucket("one more"))
            self.assertIn("1024 buckets", str(error))

    def test_limit_is_per_node(self) -> None:
        """No node holds more values of a bucket than its limit."""
        self.result_of(self.cache(0).create_bucket("s", max_entries=5))
        for number in range(30):
            self.result_of(self.cache(0).put("s", f"k{number}", b"v"))
        for node in self.cluster.nodes:
            stats = node.cache().stats("s")
            self.assertEqual(stats.entries, 5)
            self.assertGreater(stats.evicted, 0)

    def test_evicted_by_the_primary(self) -> None:
        """
        A primary evicts at the limit, and so do others on its word; until they
        hear it they hold a tenth more.
        """
        self.result_of(self.cache(2).create_bucket("s", max_entries=20))
        keys = self.keys_owned_by(1, 0, count=23, bucket="s")
        for key in keys[:22]:
            self.result_of(self.cache(0).put("s", key, b"v"))
        held = [self.cache(number).stats("s").entries for number in range(3)]
        self.assertEqual(held, [22, 20, 0])
        self.result_of(self.cache(0).put("s", keys[22], b"v"))
        self.assertEqual(self.cache(0).stats("s").entries, 22)
        self.cluster.advance(1)
        for number in (0, 1):
            self.assertEqual(self.cache(number).stats("s").entries, 20)


class ThreeNodesTests(ClusterTestCase):
    """Values in a cluster of three."""

    def test_anywhere(self) -> None:
        """What is put on any node is read, touched and deleted on any other."""
        for writer in range(3):
            for reader in range(3):
                there = self.cache(writer)
                here = self.cache(reader)
                for primary in range(3):
                    key = self.key_owned_by(primary)
                    copies = self.result_of(there.put("b", key, b"v", ttl_s=9))
                    self.assertEqual(copies, 2)
                    self.assertEqual(self.result_of(here.get("b", key)), b"v")
                    self.assertTrue(self.result_of(here.put_ttl("b", key, 60)))
                    entry = self.result_of(there.entry("b", key))
                    self.assertAlmostEqual(entry.remaining_s, 60, 0)
                    self.assertTrue(self.result_of(here.delete("b", key)))
                    self.assertIsNone(self.result_of(there.get("b", key)))

    def test_copies(self) -> None:
        """A put tells how many nodes hold the value, as far as there are so many."""
        for replicas, copies in ((0, 1), (1, 2), (2, 3), (5, 3)):
            name = f"r{replicas}"
            self.result_of(self.cache(0).create_bucket(name, replicas=replicas))
            for number in range(10):
                put = self.cache(0).put(name, f"k{number}", b"v")
                self.assertEqual(self.result_of(put), copies)
            held = [node.cache().stats(name).entries for node in self.cluster.nodes]
            self.assertEqual(sum(held), 10 * copies)

    def test_expiry_is_exact_elsewhere(self) -> None:
        """A value expires when it should, whichever node is asked."""
        key = self.key_owned_by(1)
        self.result_of(self.cache(0).put("b", key, b"v", ttl_s=1.5))
        self.cluster.advance(1.49)
        self.assertEqual(self.result_of(self.cache(0).get("b", key)), b"v")
        self.cluster.advance(0.01)
        for node in self.cluster.nodes:
            self.assertIsNone(self.result_of(node.cache().get("b", key)))

    def test_largest(self) -> None:
        """The largest key and value travel between nodes."""
        name = "n" * 128
        self.result_of(self.cache(0).create_bucket(name, replicas=2))
        key, value = "k" * KEY_BYTES_MAX, bytes(VALUE_BYTES_MAX)
        for node in self.cluster.nodes:
            self.assertEqual(self.result_of(node.cache().put(name, key, value)), 3)
        for node in self.cluster.nodes:
            self.assertEqual(self.result_of(node.cache().get(name, key)), value)
        self.cluster.check_invariants()

    def test_cancel(self) -> None:
        """A call can be cancelled, and leaves nothing behind."""
        key = self.key_owned_by(1)
        for call in (self.cache(0).put("b", key, b"v"), self.cache(0).get("b", key)):
            call.cancel()
            self.failureResultOf(call, CancelledError)
        self.cluster.advance(10)
        self.assertEqual(self.cluster[0].mycel.router.under_way, {})
        self.assertEqual(self.cache(0)._waiting, {})
        self.assertEqual(self.result_of(self.cache(0).put("b", key, b"w")), 2)

    def test_timeout_there(self) -> None:
        """When the primary is silent, the error names the time that was waited."""
        self.cluster.pause(1)
        began_at = self.cluster.world.now_s
        call = self.cache(0).get("b", self.key_owned_by(1), timeout_s=1.5)
        error = self.failure_of(Indeterminate, call)
        self.assertIn("1.5 s", str(error))
        self.assertAlmostEqual(self.cluster.world.now_s - began_at, 1.5, 1)

    def test_timeout_here(self) -> None:
        """So it does when this node is primary, and its replica is silent."""
        self.cluster.pause(1)
        self.cluster.pause(2)
        began_at = self.cluster.world.now_s
        call = self.cache(0).put("b", self.key_owned_by(0), b"v", timeout_s=1.5)
        error = self.failure_of(Indeterminate, call)
        self.assertIn("1.5 s", str(error))
        self.assertLess(self.cluster.world.now_s - began_at, 1.8)

    def test_waiting_when_stopped(self) -> None:
        """Calls that wait when their node stops fail with NotRunning."""
        self.cluster.pause(1)
        self.cluster.pause(2)
        calls: list[Deferred[Any]] = [
            self.cache(0).get("b", self.key_owned_by(1)),
            self.cache(0).put("b", self.key_owned_by(1), b"v"),
            self.cache(0).put("b", self.key_owned_by(0), b"v", timeout_s=100),
            self.cache(0).create_bucket("new", timeout_s=100),
            self.cache(0).get("b", self.key_owned_by(2), timeout_s=100),
        ]
        calls[-1].addErrback(lambda failure: failure.trap(NotRunning))
        self.cluster[0].mycel.stopService()
        for call in calls[:-1]:
            self.failureResultOf(call, NotRunning)
        self.assertEqual(self.successResultOf(calls[-1]), NotRunning)
