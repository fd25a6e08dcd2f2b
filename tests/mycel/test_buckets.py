"""
Every node comes to know every bucket, with the same settings.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.buckets import BucketTable, OpenBucket, settings_of
from mycorrizal.mycel.config import BUCKETS_MAX, BucketSettings
from mycorrizal.mycel.messages import NEVER, BucketEntry
from tests.mycel.parts import A, B


def entry(name: str = "b", stamp: int = 1, origin: bytes = A, **to: int) -> BucketEntry:
    """A bucket that somebody knows."""
    settings = {"ttl_ms": NEVER, "max_entries": 10, "replicas": 1, **to}
    return BucketEntry(
        name,
        settings["ttl_ms"],
        settings["max_entries"],
        None,
        settings["replicas"],
        stamp,
        origin,
    )


class BucketTableTests(SynchronousTestCase):
    """One node's table."""

    def setUp(self) -> None:
        self.opened: list[OpenBucket] = []
        self.table = BucketTable(self.opened.append)

    def test_there_and_back(self) -> None:
        """What one node tells is what another takes."""
        told = (entry("a", ttl_ms=1500), entry("b", stamp=2, origin=B, replicas=0))
        self.assertEqual(self.table.merge(told), [])
        self.assertEqual(self.table.entries(), told)
        other = BucketTable()
        other.merge(self.table.entries())
        self.assertEqual(other.entries(), told)

    def test_settings(self) -> None:
        """The settings are those that were asked for."""
        self.table.merge([entry(ttl_ms=1500, max_entries=7, replicas=2)])
        bucket = self.table.by_name["b"]
        self.assertEqual(bucket.settings, BucketSettings("b", 1.5, 7, None, 2))
        self.assertEqual(bucket.owners, 3)
        self.assertEqual(settings_of(bucket.entry), bucket.settings)

    def test_shortest_time_to_live(self) -> None:
        """A time to live of less than a millisecond is one, not for ever."""
        self.table.add(BucketSettings("b", 1e-6), (1, A))
        self.assertEqual(self.table.entries()[0].ttl_ms, 1)

    def test_opened(self) -> None:
        """Whoever has to know of a new bucket is told, once."""
        self.table.merge([entry()])
        self.table.merge([entry(), entry(stamp=2)])
        self.assertEqual(self.opened, [self.table.by_name["b"]])

    def test_later_settings_win(self) -> None:
        """Of two buckets made apart the later one wins, on every node."""
        early, late = entry(replicas=1), entry(stamp=2, origin=B, replicas=2)
        for order in ([early, late], [late, early]):
            table = BucketTable()
            table.merge(order[:1])
            ((name, difference),) = table.merge(order[1:])
            self.assertEqual(name, "b")
            self.assertIn("replicas is", difference)
            self.assertEqual(table.entries(), (late,))
            self.assertEqual(table.by_name["b"].owners, 3)

    def test_values_stay(self) -> None:
        """New limits leave what is held, and hold from the next write on."""
        self.table.merge([entry(max_entries=10)])
        store = self.table.by_name["b"].store
        for number in range(5):
            key = b"%d" % number
            store.merge(0, key, b"", number + 1, A, float("inf"), 0.0)
        self.table.merge([entry(stamp=2, max_entries=2)])
        self.assertIs(self.table.by_name["b"].store, store)
        self.assertEqual(store.entries, 5)
        store.merge(0, b"5", b"", 9, A, float("inf"), 0.0)
        self.assertEqual(store.entries, 2)

    def test_same_settings_are_no_conflict(self) -> None:
        """Two nodes that ask for the same are both right."""
        self.table.merge([entry()])
        self.assertEqual(self.table.merge([entry(stamp=5, origin=B)]), [])
        self.assertEqual(self.table.by_name["b"].version, (5, B))

    def test_bound(self) -> None:
        """No more than so many buckets are taken."""
        self.table.merge(entry(f"{number}") for number in range(BUCKETS_MAX))
        self.assertEqual(len(self.table.by_name), BUCKETS_MAX)
        self.table.merge([entry("one more")])
        self.assertEqual(len(self.table.by_name), BUCKETS_MAX)
        self.assertNotIn("one more", self.table.by_name)
