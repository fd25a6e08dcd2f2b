"""
Every node comes to know every bucket, with the same settings.
"""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.mycel.buckets import BucketTable, Merged, OpenBucket, settings_of
from mycorrizal.mycel.config import BUCKETS_MAX, DROPPED_MAX, BucketSettings
from mycorrizal.mycel.messages import NEVER, BucketEntry
from tests.mycel.parts import A, B


def entry(name: str = "b", stamp: int = 1, origin: bytes = A, **to: Any) -> BucketEntry:
    """A bucket that somebody knows, as it was created unless told otherwise."""
    settings = {"ttl_ms": NEVER, "max_entries": 10, "replicas": 1, **to}
    return BucketEntry(
        name,
        settings["ttl_ms"],
        settings["max_entries"],
        None,
        settings["replicas"],
        stamp,
        origin,
        settings.get("write", "all"),
        settings.get("created", stamp),
        settings.get("cleared", 0),
        settings.get("dropped", False),
    )


class BucketTableTests(SynchronousTestCase):
    """One node's table."""

    def setUp(self) -> None:
        self.opened: list[OpenBucket] = []
        self.table = BucketTable(self.opened.append)

    def test_there_and_back(self) -> None:
        """What one node tells is what another takes."""
        told = (entry("a", ttl_ms=1500), entry("b", stamp=2, origin=B, replicas=0))
        self.assertEqual(self.table.merge(told), Merged())
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
            ((name, difference),) = table.merge(order[1:]).conflicts
            self.assertEqual(name, "b")
            self.assertIn("replicas is", difference)
            self.assertEqual(table.entries(), (late,))
            self.assertEqual(table.by_name["b"].owners, 3)

    def test_altered(self) -> None:
        """What was altered is no conflict, and its limits are told."""
        self.table.merge([entry(max_entries=10)])
        bucket = self.table.by_name["b"]
        altered = entry(stamp=2, created=1, max_entries=2, write="one")
        merged = self.table.merge([altered])
        self.assertEqual(merged, Merged(limited=[bucket]))
        self.assertEqual(bucket.settings.write, "one")
        self.assertEqual(self.table.merge([entry(), altered]), Merged())
        self.assertEqual(bucket.settings.max_entries, 2)

    def test_more_replicas(self) -> None:
        """Values have other owners when a bucket has other replicas."""
        self.table.merge([entry()])
        merged = self.table.merge([entry(stamp=2, created=1, replicas=2)])
        self.assertEqual(merged, Merged(moved=True))
        self.assertEqual(self.table.by_name["b"].owners, 3)

    def test_same_settings_are_no_conflict(self) -> None:
        """Two nodes that ask for the same are both right."""
        self.table.merge([entry()])
        self.assertEqual(self.table.merge([entry(stamp=5, origin=B)]).conflicts, [])
        self.assertEqual(self.table.by_name["b"].version, (5, B))

    def test_bound(self) -> None:
        """No more than so many buckets are taken."""
        self.table.merge(entry(f"{number}") for number in range(BUCKETS_MAX))
        self.assertEqual(len(self.table.by_name), BUCKETS_MAX)
        self.table.merge([entry("one more")])
        self.assertEqual(len(self.table.by_name), BUCKETS_MAX)
        self.assertNotIn("one more", self.table.by_name)


def drop(stamp: int, name: str = "b") -> BucketEntry:
    """A bucket that somebody has dropped."""
    return entry(name, stamp, dropped=True)


class DropTests(SynchronousTestCase):
    """Buckets that are no more."""

    def setUp(self) -> None:
        self.table = BucketTable()

    def hold(self, *stamps: int) -> None:
        """Let this node hold values of these stamps."""
        store = self.table.by_name["b"].store
        for stamp in stamps:
            store.merge(0, b"%d" % stamp, b"", stamp, A, float("inf"), 0.0)

    def test_dropped(self) -> None:
        """A bucket goes, and whoever frees its memory is told."""
        self.table.merge([entry()])
        bucket = self.table.by_name["b"]
        self.assertEqual(self.table.merge([drop(5)]), Merged(dropped=[bucket]))
        self.assertEqual(self.table.by_name, {})
        self.assertEqual(self.table.entries(), (drop(5),))

    def test_does_not_come_back(self) -> None:
        """Who still has it brings it back neither now nor altered."""
        self.table.merge([entry(), drop(5)])
        for late in (entry(), entry(stamp=9, created=1, replicas=2)):
            self.assertEqual(self.table.merge([late]), Merged())
        self.assertEqual(self.table.by_name, {})

    def test_created_again(self) -> None:
        """What is created afterwards is another bucket, and nothing old gets in."""
        self.table.merge([entry(), drop(5), entry(stamp=6)])
        bucket = self.table.by_name["b"]
        self.assertEqual((bucket.created, bucket.cleared), (6, 5))
        self.hold(5, 6)
        self.assertEqual(bucket.store.entries, 1)

    def test_drop_of_the_one_before(self) -> None:
        """Who hears of the new bucket first lets go what was of the old one."""
        self.table.merge([entry()])
        self.hold(4, 6)
        bucket = self.table.by_name["b"]
        merged = self.table.merge([drop(5), entry(stamp=6, cleared=5)])
        self.assertEqual(merged.dropped, [bucket])
        table = BucketTable()
        table.merge([entry(stamp=6)])
        kept = table.by_name["b"]
        self.assertEqual(table.merge([drop(5)]), Merged(cleared=[kept]))
        self.assertEqual(kept.cleared, 5)

    def test_cleared(self) -> None:
        """A bucket that was cleared elsewhere takes nothing older, and is swept."""
        self.table.merge([entry()])
        bucket = self.table.by_name["b"]
        merged = self.table.merge([entry(cleared=7)])
        self.assertEqual(merged, Merged(cleared=[bucket]))
        self.assertEqual(self.table.merge([entry(cleared=6)]), Merged())
        self.hold(7, 8)
        self.assertEqual(bucket.store.entries, 1)

    def test_bound(self) -> None:
        """So many drops are remembered; of more the first is forgotten."""
        self.table.merge(drop(stamp, f"{stamp}") for stamp in range(1, DROPPED_MAX + 1))
        self.assertEqual(len(self.table.dropped), DROPPED_MAX)
        self.table.merge([drop(DROPPED_MAX + 1, "one more")])
        self.assertEqual(len(self.table.dropped), DROPPED_MAX)
        self.assertNotIn("1", self.table.dropped)
        self.assertIn("one more", self.table.dropped)


NEWS = st.lists(
    st.builds(
        lambda stamp, created, cleared, replicas, dropped: entry(
            "b",
            stamp,
            bytes([stamp]) * 16,
            created=min(created, stamp),
            cleared=cleared,
            replicas=replicas,
            dropped=dropped,
        ),
        st.integers(1, 9),
        st.integers(1, 9),
        st.integers(0, 9),
        st.integers(0, 7),
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda entry: entry.stamp,
)


class AgreementTests(SynchronousTestCase):
    """Nodes that have heard the same agree."""

    @given(NEWS, st.randoms(), st.integers(0, 8))
    def test_any_order(self, news: list[BucketEntry], random: Any, heard: int) -> None:
        """In whatever order the news came, two that talk have the same table."""
        one, other = BucketTable(), BucketTable()
        one.merge(news[:heard])
        random.shuffle(news)
        for entry in news:
            other.merge([entry])
        for _ in range(2):
            one.merge(other.entries())
            other.merge(one.entries())
        self.assertEqual(one.entries(), other.entries())
        for name, bucket in one.by_name.items():
            self.assertEqual(bucket.store.cleared, other.by_name[name].store.cleared)
