"""Tests of what a node holds of a bucket, by slot."""

from __future__ import annotations

import gc
import sys

from mycorrizal.mycel.store import Bucket, Cause, Entry
from mycorrizal.mycel.store.lru import INF
from mycorrizal.mycel.store.table import ROOMY_BYTES, SMALL
from mycorrizal.mycel.store.versions import DIGEST_MARGIN_S, entry_digest
from tests.mycel.store.test_bucket import CHARGED, A, BucketTestCase


class SlotTests(BucketTestCase):
    """A slot is moved, cleared and compared without touching the others."""

    def setUp(self) -> None:
        super().setUp()
        for key in (b"1", b"2", b"3"):
            self.put(key, slot=5)
        self.put(b"4", slot=6)

    def test_count(self) -> None:
        """A slot's entries and tombstones are counted."""
        self.delete(b"1", slot=5)
        self.assertEqual(self.bucket.count(5), 3)
        self.assertEqual(self.bucket.count(7), 0)

    def test_held(self) -> None:
        """Which slots hold something is known, tombstones included."""
        self.assertEqual(self.bucket.held(), 1 << 5 | 1 << 6)
        self.delete(b"4", slot=6)
        self.delete(b"8", slot=1023)
        self.assertEqual(self.bucket.held(), 1 << 5 | 1 << 6 | 1 << 1023)
        self.bucket.drop_slot(5, Cause.MOVED)
        self.bucket.remove(6, b"4", Cause.EVICTED)
        self.assertEqual(self.bucket.held(), 1 << 1023)
        self.put(b"1", slot=5)
        self.assertEqual(self.bucket.held(), 1 << 5 | 1 << 1023)

    def test_remove(self) -> None:
        """What is removed leaves nothing, and whoever asked is told why."""
        self.assertTrue(self.bucket.remove(5, b"1", Cause.EVICTED))
        self.assertFalse(self.bucket.remove(5, b"1", Cause.EVICTED))
        self.assertEqual(self.gone, [(b"1", Cause.EVICTED)])
        self.assertTrue(self.put(b"1", stamp=0, slot=5))

    def test_drop_slot(self) -> None:
        """A slot that has moved leaves nothing."""
        self.delete(b"1", slot=5)
        self.bucket.capped.add(5)
        self.assertEqual(self.bucket.drop_slot(5, Cause.MOVED), 3)
        self.assertEqual(self.bucket.drop_slot(5, Cause.MOVED), 0)
        self.assertEqual((self.bucket.entries, self.bucket.tombstones), (1, 0))
        self.assertEqual(self.bucket.size_bytes, CHARGED)
        self.assertEqual((self.bucket.moved, self.bucket.deleted), (2, 1))
        self.assertEqual(self.bucket.capped, set())

    def test_clear(self) -> None:
        """A cleared slot refuses what is not above the clear, for good."""
        self.put(b"5", stamp=50, slot=5)
        self.put(b"6", stamp=51, slot=5)
        self.delete(b"3", stamp=49, slot=5)
        self.assertEqual(self.bucket.clear(5, 50), 3)
        self.assertEqual(self.keys(5), b"6")
        self.assertEqual(self.keys(6), b"4")
        self.assertFalse(self.put(b"7", stamp=50, slot=5))
        self.assertFalse(self.delete(b"7", stamp=50, slot=5))
        self.assertTrue(self.put(b"7", stamp=51, slot=5))
        self.assertTrue(self.put(b"7", stamp=1, slot=6))
        self.assertEqual(self.bucket.clear(5, 10), 0)
        self.assertEqual(self.bucket.cleared[5], 50)

    def test_whoever_is_told_may_remove(self) -> None:
        """Who is told of one entry may take another of the slot away."""

        def gone(entry: Entry, cause: Cause) -> None:
            self.bucket.remove(0, b"2", Cause.DELETED)

        self.bucket = self.make(gone=gone)
        for key in (b"1", b"2", b"3"):
            self.put(key)
        self.bucket.drop_slot(0, Cause.MOVED)
        self.assertEqual((self.bucket.moved, self.bucket.deleted), (2, 1))
        self.assertEqual(self.bucket.size_bytes, 0)


class ScanTests(BucketTestCase):
    """A slot is read through in steps, while others write."""

    def test_in_steps(self) -> None:
        """Each step goes on after the last key of the one before."""
        for key in (b"d", b"a", b"c", b"b"):
            self.put(key)
        self.delete(b"c")
        step = self.bucket.scan(0, b"", 3)
        self.assertEqual([entry.key for entry in step], [b"a", b"b", b"c"])
        self.assertIsNone(step[2].value)
        self.put(b"aa")
        self.put(b"e")
        step = self.bucket.scan(0, b"c", 3)
        self.assertEqual([entry.key for entry in step], [b"d", b"e"])
        self.assertEqual(self.bucket.scan(0, b"e", 3), [])
        self.assertEqual(self.bucket.scan(1, b"", 3), [])

    def test_prefix(self) -> None:
        """Only keys with the prefix are found."""
        for key in (b"user:1", b"job:1", b"user:2"):
            self.put(key)
        step = self.bucket.scan(0, b"", 9, b"user:")
        self.assertEqual([entry.key for entry in step], [b"user:1", b"user:2"])


class SlotDigestTests(BucketTestCase):
    """Owners compare a slot by one number."""

    def digest(self, slot: int = 0) -> int:
        """Now."""
        return self.bucket.digest(slot, self.now)

    def test_empty(self) -> None:
        """An empty slot's digest is 0, also after all has gone."""
        self.assertEqual(self.digest(), 0)
        self.put(b"k")
        self.bucket.remove(0, b"k", Cause.MOVED)
        self.assertEqual(self.digest(), 0)

    def test_follows_writes(self) -> None:
        """Each change of what is held changes the digest."""
        self.put(b"k", stamp=1)
        self.assertEqual(self.digest(), entry_digest(b"k", 1, A, False))
        self.put(b"k", stamp=2)
        self.assertEqual(self.digest(), entry_digest(b"k", 2, A, False))
        self.put(b"j", stamp=3)
        both = entry_digest(b"k", 2, A, False) ^ entry_digest(b"j", 3, A, False)
        self.assertEqual(self.digest(), both)
        self.delete(b"k", stamp=4)
        self.digest()
        self.bucket.remove(0, b"j", Cause.EVICTED)
        self.assertEqual(self.digest(), entry_digest(b"k", 4, A, True))
        self.assertEqual(self.digest(1), 0)

    def test_about_to_expire(self) -> None:
        """What is about to expire drops out of the digest by itself."""
        self.put(b"k", stamp=1, ttl_s=10.0)
        self.assertEqual(self.digest(), entry_digest(b"k", 1, A, False))
        self.now = 110.0 - DIGEST_MARGIN_S
        self.assertEqual(self.digest(), 0)

    def test_same_on_two_nodes(self) -> None:
        """Two nodes with the same copies agree, whatever the order."""
        other = Bucket("b")
        for number in range(20):
            self.put(b"%d" % number, stamp=number)
            other.merge(0, b"%d" % (19 - number), b"v", 19 - number, A, INF, 0.0)
        self.assertEqual(self.digest(), other.digest(0, 0.0))


class MemoryTests(BucketTestCase):
    """What goes is freed at once, since no one would collect it."""

    def test_nothing_is_left(self) -> None:
        """Neither entries that went nor a dropped bucket leave memory taken."""
        gc.collect()
        started = sys.getallocatedblocks()
        bucket = Bucket("b", max_entries=500)
        for number in range(1000):
            key = b"k%d" % number
            deadline = INF if number % 3 else 200.0 + number
            bucket.merge(number, key, b"v" * number, number, A, deadline, 1.0)
        bucket.pop_due(900.0, 100)
        bucket.drop_slot(700, Cause.MOVED)
        self.assertGreater(sys.getallocatedblocks(), started + 1000)
        del bucket, key
        self.assertLess(sys.getallocatedblocks(), started + 300)

    def test_nothing_is_left_of_slots(self) -> None:
        """A bucket that has been emptied takes no more than a new one."""
        self.bucket = Bucket("b")
        started = sys.getallocatedblocks()
        for number in range(1000):
            self.put(b"k%d" % number, b"v" * number, ttl_s=number / 9, slot=number)
        for slot in range(1000):
            self.bucket.drop_slot(slot, Cause.MOVED)
        self.assertLess(sys.getallocatedblocks(), started + 300)


class RoomTests(BucketTestCase):
    """A slot takes memory for what it holds, not for what it has held."""

    def test_turned_over(self) -> None:
        """Where entries come and go a slot's dict stays as small as a fresh one."""
        count = 3 * SMALL
        for number in range(100 * count):
            self.put(b"%d" % number)
            if number >= count:
                self.bucket.remove(0, b"%d" % (number - count), Cause.MOVED)
        held = self.bucket._tables[0]
        self.assertEqual(len(held), count)
        self.assertLess(held.__sizeof__(), ROOMY_BYTES * count)
