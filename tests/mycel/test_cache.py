"""
The cache, as an application on one node uses it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mycorrizal import (
    CacheError,
    ConfigError,
    KeyTooLarge,
    NotRunning,
    UnknownBucket,
    ValueTooLarge,
)
from mycorrizal.mycel.config import (
    KEY_BYTES_MAX,
    TTL_S_MAX,
    VALUE_BYTES_MAX,
)
from mycorrizal.testing import SimCluster
from tests.mycel.cases import ClusterTestCase


class CacheTestCase(ClusterTestCase):
    """A node alone."""

    size = 1

    def setUp(self) -> None:
        super().setUp()
        self.here = self.cache(0)


class ValueTests(CacheTestCase):
    """Values on a node alone."""

    def test_put_and_get(self) -> None:
        """What was put can be read; what was not is None."""
        self.assertIsNone(self.successResultOf(self.here.get("b", "k")))
        self.assertEqual(self.successResultOf(self.here.put("b", "k", b"v")), 1)
        self.assertEqual(self.successResultOf(self.here.get("b", "k")), b"v")

    def test_empty_value(self) -> None:
        """An empty value is not the same as none."""
        self.successResultOf(self.here.put("b", "k", b""))
        self.assertEqual(self.successResultOf(self.here.get("b", "k")), b"")

    def test_text_and_bytes(self) -> None:
        """A text key is its UTF-8 bytes."""
        self.successResultOf(self.here.put("b", "käse", b"v"))
        self.assertEqual(self.successResultOf(self.here.get("b", b"k\xc3\xa4se")), b"v")
        self.assertTrue(self.successResultOf(self.here.delete("b", "käse".encode())))

    def test_delete(self) -> None:
        """A delete says whether there was something."""
        self.assertFalse(self.successResultOf(self.here.delete("b", "k")))
        self.successResultOf(self.here.put("b", "k", b"v"))
        self.assertTrue(self.successResultOf(self.here.delete("b", "k")))
        self.assertFalse(self.successResultOf(self.here.delete("b", "k")))
        self.assertIsNone(self.successResultOf(self.here.get("b", "k")))

    def test_entry(self) -> None:
        """An entry has a version, which rises, and what is left of its life."""
        self.assertIsNone(self.successResultOf(self.here.entry("b", "k")))
        self.successResultOf(self.here.put("b", "k", b"v"))
        first = self.successResultOf(self.here.entry("b", "k"))
        self.successResultOf(self.here.put("b", "k", b"w", ttl_s=10))
        self.cluster.advance(4)
        second = self.successResultOf(self.here.entry("b", "k"))
        assert first is not None and second is not None
        self.assertEqual((first.value, first.remaining_s), (b"v", None))
        self.assertEqual(second.value, b"w")
        self.assertAlmostEqual(second.remaining_s or 0, 6, 2)
        self.assertGreater(second.version, first.version)

    def test_stats(self) -> None:
        """Hits, misses and entries are counted; an unknown bucket is named."""
        for key in ("x", "y"):
            self.successResultOf(self.here.put("b", key, b"v"))
        for key in ("x", "x", "z"):
            self.successResultOf(self.here.get("b", key))
        stats = self.here.stats("b")
        self.assertEqual((stats.entries, stats.hits, stats.misses), (2, 2, 1))
        error = self.assertRaises(UnknownBucket, self.here.stats, "none")
        self.assertEqual(error.bucket, "none")


class LifeTests(CacheTestCase):
    """Times to live."""

    def setUp(self) -> None:
        super().setUp()
        self.successResultOf(self.here.create_bucket("t", ttl_s=10))

    def left(self, bucket: str = "t") -> float | None:
        """What is left of the value's life."""
        entry = self.successResultOf(self.here.entry(bucket, "k"))
        assert entry is not None
        return entry.remaining_s

    def test_expiry_is_exact(self) -> None:
        """A value is there until its time, and not a moment longer."""
        self.successResultOf(self.here.put("b", "k", b"v", ttl_s=1.5))
        self.cluster.advance(1.499)
        self.assertEqual(self.successResultOf(self.here.get("b", "k")), b"v")
        self.cluster.advance(0.001)
        self.assertIsNone(self.successResultOf(self.here.get("b", "k")))
        self.assertFalse(self.successResultOf(self.here.delete("b", "k")))

    def test_memory_is_freed(self) -> None:
        """A second later and a bit its memory is free as well."""
        self.successResultOf(self.here.put("b", "k", b"v", ttl_s=1.5))
        self.cluster.advance(3)
        stats = self.here.stats("b")
        self.assertEqual((stats.entries, stats.size_bytes, stats.expired), (0, 0, 1))

    def test_default_and_never(self) -> None:
        """0 is the bucket's time to live, None is for ever."""
        for ttl_s, left_s in ((0, 10), (None, None), (3, 3), (0.0001, 0.001)):
            self.successResultOf(self.here.put("t", "k", b"v", ttl_s=ttl_s))
            left = self.left()
            if left_s is None or left is None:
                self.assertEqual(left, left_s)
            else:
                self.assertAlmostEqual(left, left_s, 2)
        self.successResultOf(self.here.put("b", "k", b"v", ttl_s=0))
        self.assertIsNone(self.left("b"))

    def test_put_ttl(self) -> None:
        """A new time to live counts from now; there must be a value."""
        self.assertFalse(self.successResultOf(self.here.put_ttl("t", "k", 5)))
        self.successResultOf(self.here.put("t", "k", b"v"))
        self.cluster.advance(9)
        for ttl_s, left_s in ((5.0, 5.0), (0.0, 10.0), (None, None), (2.0, 2.0)):
            self.assertTrue(self.successResultOf(self.here.put_ttl("t", "k", ttl_s)))
            left = self.left()
            if left is None or left_s is None:
                self.assertEqual(left, left_s)
            else:
                self.assertAlmostEqual(left, left_s, 2)
        self.cluster.advance(2)
        self.assertFalse(self.successResultOf(self.here.put_ttl("t", "k", 5)))

    def test_put_ttl_is_a_write(self) -> None:
        """A new time to live makes a new version of the same value."""
        self.successResultOf(self.here.put("t", "k", b"v"))
        before = self.successResultOf(self.here.entry("t", "k"))
        self.successResultOf(self.here.put_ttl("t", "k", 5))
        after = self.successResultOf(self.here.entry("t", "k"))
        assert before is not None and after is not None
        self.assertEqual(after.value, b"v")
        self.assertGreater(after.version, before.version)

    def test_senseless_times(self) -> None:
        """Negative, endless and undefined times are refused, and say so."""
        self.successResultOf(self.here.put("t", "k", b"v", ttl_s=TTL_S_MAX))
        self.successResultOf(self.here.put_ttl("t", "k", TTL_S_MAX))
        for ttl_s in (-1, -0.001, TTL_S_MAX + 1, float("inf"), float("nan")):
            for call in (
                self.here.put("t", "k", b"v", ttl_s=ttl_s),
                self.here.put_ttl("t", "k", ttl_s),
            ):
                error = self.failureResultOf(call, ConfigError).value
                self.assertEqual(error.field, "ttl_s")


class RefusalTests(CacheTestCase):
    """What can't be done fails by name."""

    def calls(self, bucket: str, key: str | bytes) -> list[Deferred[Any]]:
        """Every call about one key."""
        return [
            self.here.get(bucket, key),
            self.here.entry(bucket, key),
            self.here.put(bucket, key, b"v"),
            self.here.put_ttl(bucket, key, 1),
            self.here.delete(bucket, key),
        ]

    def test_unknown_bucket(self) -> None:
        """A bucket that was not created is named in the error."""
        for call in self.calls("none", "k"):
            error = self.failureResultOf(call, UnknownBucket).value
            self.assertEqual(error.bucket, "none")
            self.assertIn("create_bucket", str(error))

    def test_keys(self) -> None:
        """A key has 1 to 1024 bytes, in UTF-8."""
        for longest in ("k" * KEY_BYTES_MAX, "ä" * (KEY_BYTES_MAX // 2)):
            for call in self.calls("b", longest):
                self.successResultOf(call)
            for wrong in (longest + "k", "", b"", b"k" * (KEY_BYTES_MAX + 1)):
                for call in self.calls("b", wrong):
                    self.failureResultOf(call, KeyTooLarge)

    def test_values(self) -> None:
        """A value has a largest size, which the error names."""
        largest = bytes(VALUE_BYTES_MAX)
        self.successResultOf(self.here.put("b", "k", largest))
        self.assertEqual(self.successResultOf(self.here.get("b", "k")), largest)
        call = self.here.put("b", "k", largest + b"v")
        error = self.failureResultOf(call, ValueTooLarge).value
        self.assertEqual(error.size_bytes, VALUE_BYTES_MAX + 1)
        self.assertEqual(error.limit_bytes, VALUE_BYTES_MAX)

    def test_other_types(self) -> None:
        """A value that is not bytes is refused, and its type named."""
        for value in ("text", 5, None, bytearray(b"v")):
            call = self.here.put("b", "k", value)
            error = self.failureResultOf(call, CacheError).value
            self.assertIn(type(value).__name__, str(error))

    def test_before_the_start(self) -> None:
        """A node that was not started says so."""
        cluster = SimCluster(1, start=False)
        self.here = cluster[0].cache()
        for call in [*self.calls("b", "k"), self.here.create_bucket("b")]:
            self.failureResultOf(call, NotRunning)

    def test_after_the_stop(self) -> None:
        """So does one that was stopped."""
        self.cluster.stop(0)
        for call in [*self.calls("b", "k"), self.here.create_bucket("b")]:
            self.failureResultOf(call, NotRunning)
        self.cluster.close()
