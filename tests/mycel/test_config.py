"""
Settings of buckets say what is wrong with them.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import ConfigError
from mycorrizal.mycel.config import (
    BUCKET_NAME_BYTES_MAX,
    LIMIT_MAX,
    REPLICAS_MAX,
    TTL_S_MAX,
    BucketSettings,
)


class BucketSettingsTests(SynchronousTestCase):
    """What a bucket can be like."""

    def check(self, field: str, good: BucketSettings, bad: BucketSettings) -> None:
        """The first is fine, and of the second that field is complained about."""
        good.validate()
        error = self.assertRaises(ConfigError, bad.validate, "buckets[0]")
        self.assertEqual(error.field, f"buckets[0].{field}")

    def test_name(self) -> None:
        """A name has 1 to 128 bytes in UTF-8."""
        longest = "ä" * (BUCKET_NAME_BYTES_MAX // 2)
        self.check("name", BucketSettings(longest), BucketSettings(longest + "a"))
        self.check("name", BucketSettings("a"), BucketSettings(""))

    def test_ttl(self) -> None:
        """A time to live is above 0 and up to a century."""
        for bad in (0, -1, TTL_S_MAX + 1, float("inf"), float("nan")):
            self.check(
                "ttl", BucketSettings("b", ttl_s=TTL_S_MAX), BucketSettings("b", bad)
            )
        self.check("ttl", BucketSettings("b", ttl_s=1e-9), BucketSettings("b", 0.0))

    def test_max_entries(self) -> None:
        """A bucket holds at least one entry."""
        for good, bad in ((1, 0), (LIMIT_MAX, LIMIT_MAX + 1)):
            self.check(
                "max_entries",
                BucketSettings("b", max_entries=good),
                BucketSettings("b", max_entries=bad),
            )

    def test_max_bytes(self) -> None:
        """A bucket takes at least one byte."""
        for good, bad in ((1, 0), (LIMIT_MAX, LIMIT_MAX + 1)):
            self.check(
                "max_bytes",
                BucketSettings("b", max_bytes=good),
                BucketSettings("b", max_bytes=bad),
            )

    def test_replicas(self) -> None:
        """There are 0 to 7 copies beyond the first."""
        for good, bad in ((0, -1), (REPLICAS_MAX, REPLICAS_MAX + 1)):
            self.check(
                "replicas",
                BucketSettings("b", replicas=good),
                BucketSettings("b", replicas=bad),
            )

    def test_kinds(self) -> None:
        """What other nodes could not read is refused where it is written."""
        wrong: list[tuple[str, dict[str, Any]]] = [
            *(("name", {"name": bad}) for bad in (5, None, b"b", "a\nb", "\ud800")),
            ("ttl", {"ttl_s": "15m"}),
            *(("max_entries", {"max_entries": bad}) for bad in (1.5, True, "9")),
            *(("max_bytes", {"max_bytes": bad}) for bad in (1.5, True, "9")),
            *(("replicas", {"replicas": bad}) for bad in (1.5, True, "1", None)),
        ]
        for field, settings in wrong:
            bad = BucketSettings(**{"name": "b", **settings})
            self.check(field, BucketSettings("b"), bad)

    def test_difference(self) -> None:
        """What differs is told in words, first what the other has."""
        mine = BucketSettings("b", 60, 10, None, 1)
        self.assertEqual(mine.difference(BucketSettings("b", 60, 10, None, 1)), "")
        self.assertEqual(
            mine.difference(BucketSettings("b", None, 10, 5, 1)),
            "ttl_s is None, not 60, max_bytes is 5, not None",
        )
