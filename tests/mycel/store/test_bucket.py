"""Tests of one node's share of a bucket: reads, writes, and what goes."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.store import Bucket, Cause, Entry, entry_bytes
from mycorrizal.mycel.store.lru import INF
from mycorrizal.mycel.store.sizing import OUTLIVED_BYTES
from mycorrizal.mycel.store.versions import TOMBSTONE_TTL_S

A, B = b"a" * 16, b"b" * 16

#: What a one-byte key with a ten-byte value is charged.
CHARGED = entry_bytes(1, 10)


class BucketTestCase(SynchronousTestCase):
    """A bucket, a clock, and a list of what the bucket said is gone."""

    def setUp(self) -> None:
        self.now = 100.0
        self.stamp = 0
        self.gone: list[tuple[bytes, Cause]] = []
        self.bucket = self.make()

    def make(
        self,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        tombstones_max: int = 100,
        gone: Callable[[Entry, Cause], None] | None = None,
    ) -> Bucket:
        """A bucket that tells this test."""
        return Bucket(
            "b",
            max_entries=max_entries,
            max_bytes=max_bytes,
            tombstones_max=tombstones_max,
            gone=gone or (lambda entry, cause: self.gone.append((entry.key, cause))),
        )

    def put(
        self,
        key: bytes,
        value: bytes | None = b"0123456789",
        ttl_s: float = INF,
        stamp: int | None = None,
        origin: bytes = A,
        slot: int = 0,
    ) -> bool:
        """Write with a stamp above all before, if none is given."""
        self.stamp += 1
        return self.bucket.merge(
            slot,
            key,
            value,
            self.stamp if stamp is None else stamp,
            origin,
            self.now + ttl_s,
            self.now,
        )

    def delete(
        self,
        key: bytes,
        ttl_s: float = 3600.0,
        stamp: int | None = None,
        slot: int = 0,
    ) -> bool:
        """Leave a tombstone."""
        return self.put(key, None, ttl_s, stamp, slot=slot)

    def get(self, key: bytes, slot: int = 0) -> bytes | None:
        """Read."""
        return self.bucket.get(slot, key, self.now)

    def keys(self, slot: int = 0) -> bytes:
        """The one-byte keys of a slot that can be read, in a row."""
        found = self.bucket.scan(slot, b"", 1000)
        return b"".join(entry.key for entry in found if entry.value is not None)


class ReadTests(BucketTestCase):
    """A read finds what was written, or nothing."""

    def test_get(self) -> None:
        """What was put is there."""
        self.put(b"k", b"v")
        self.assertEqual(self.get(b"k"), b"v")
        self.assertEqual((self.bucket.hits, self.bucket.misses), (1, 0))

    def test_absent(self) -> None:
        """What was not put is not there."""
        self.assertIsNone(self.get(b"k"))
        self.assertIsNone(self.bucket.entry(0, b"k", self.now))
        self.assertIsNone(self.bucket.peek(0, b"k", self.now))
        self.assertEqual((self.bucket.hits, self.bucket.misses), (0, 2))

    def test_empty_value(self) -> None:
        """An empty value is a value."""
        self.put(b"k", b"")
        self.assertEqual(self.get(b"k"), b"")

    def test_slots_are_apart(self) -> None:
        """The same key in another slot is another key."""
        self.put(b"k", b"1", slot=0)
        self.put(b"k", b"2", slot=1023)
        self.assertEqual(self.get(b"k", 0), b"1")
        self.assertEqual(self.get(b"k", 1023), b"2")

    def test_never_late(self) -> None:
        """A value is served until its deadline and not at it."""
        self.put(b"k", b"v", ttl_s=5.0)
        self.now = 104.999
        self.assertEqual(self.get(b"k"), b"v")
        self.now = 105.0
        self.assertIsNone(self.get(b"k"))
        self.assertIsNone(self.bucket.entry(0, b"k", self.now))
        self.assertIsNone(self.bucket.peek(0, b"k", self.now))

    def test_entry(self) -> None:
        """An entry tells value, version and deadline."""
        self.put(b"k", b"v", ttl_s=5.0, stamp=7, slot=1000)
        entry = self.bucket.entry(1000, b"k", self.now)
        assert entry is not None
        self.assertEqual((entry.key, entry.value, entry.slot), (b"k", b"v", 1000))
        self.assertEqual((entry.version, entry.deadline), ((7, A), 105.0))
        self.assertEqual(self.bucket.hits, 1)

    def test_entry_of_tombstone(self) -> None:
        """A deleted key reads as absent, but its version is known."""
        self.put(b"k")
        self.delete(b"k", stamp=9)
        self.assertIsNone(self.get(b"k"))
        entry = self.bucket.entry(0, b"k", self.now)
        assert entry is not None
        self.assertIsNone(entry.value)
        self.assertEqual(entry.stamp, 9)
        self.assertEqual(self.bucket.misses, 2)

    def test_peek_is_no_use(self) -> None:
        """To look is not to use: the entry is still the first to go."""
        self.bucket = self.make(max_entries=2)
        self.put(b"1")
        self.put(b"2")
        self.bucket.peek(0, b"1", self.now)
        self.put(b"3")
        self.assertEqual(self.keys(), b"23")
        self.assertEqual((self.bucket.hits, self.bucket.misses), (0, 0))


class MergeTests(BucketTestCase):
    """The highest version wins, in whatever order versions come."""

    def test_higher_stamp(self) -> None:
        """A newer value replaces an older one."""
        self.assertTrue(self.put(b"k", b"1", stamp=5))
        self.assertTrue(self.put(b"k", b"22", stamp=6))
        self.assertEqual(self.get(b"k"), b"22")
        self.assertEqual(self.bucket.replaced, 1)
        self.assertEqual(self.bucket.entries, 1)
        self.assertEqual(self.bucket.size_bytes, entry_bytes(1, 2))

    def test_lower_stamp(self) -> None:
        """An older value that comes late changes nothing."""
        self.put(b"k", b"1", stamp=5)
        self.assertFalse(self.put(b"k", b"2", stamp=4, origin=B))
        self.assertEqual(self.get(b"k"), b"1")
        self.assertEqual((self.bucket.puts, self.bucket.refused), (1, 1))

    def test_origin_decides(self) -> None:
        """Of equal stamps the higher node key wins; the same version does not."""
        self.assertTrue(self.put(b"k", b"1", stamp=5, origin=A))
        self.assertFalse(self.put(b"k", b"2", stamp=5, origin=A))
        self.assertTrue(self.put(b"k", b"3", stamp=5, origin=B))
        self.assertFalse(self.put(b"k", b"4", stamp=5, origin=A))
        self.assertEqual(self.get(b"k"), b"3")

    def test_delete(self) -> None:
        """A delete takes the value away and leaves a tombstone."""
        self.put(b"k")
        self.assertTrue(self.delete(b"k"))
        self.assertIsNone(self.get(b"k"))
        self.assertEqual((self.bucket.entries, self.bucket.tombstones), (0, 1))
        self.assertEqual((self.bucket.deleted, self.bucket.deletes), (1, 1))
        self.assertEqual(self.bucket.size_bytes, entry_bytes(1, 0))

    def test_late_copy_of_deleted(self) -> None:
        """A deleted key does not come back with an older copy."""
        self.delete(b"k", stamp=5)
        self.assertFalse(self.put(b"k", stamp=4))
        self.assertIsNone(self.get(b"k"))

    def test_late_delete(self) -> None:
        """A delete older than the value does nothing."""
        self.put(b"k", b"v", stamp=5)
        self.assertFalse(self.delete(b"k", stamp=4))
        self.assertEqual(self.get(b"k"), b"v")
        self.assertEqual(self.bucket.deletes, 0)

    def test_put_after_delete(self) -> None:
        """A key that was deleted may be put again."""
        self.delete(b"k")
        self.assertTrue(self.put(b"k", b"v"))
        self.assertEqual(self.get(b"k"), b"v")
        self.assertEqual((self.bucket.entries, self.bucket.tombstones), (1, 0))
        self.assertEqual(self.bucket.size_bytes, entry_bytes(1, 1))

    def test_delete_twice(self) -> None:
        """The newer of two deletes is remembered."""
        self.delete(b"k", stamp=5)
        self.delete(b"k", stamp=8)
        self.assertFalse(self.put(b"k", stamp=7))
        self.assertEqual((self.bucket.tombstones, self.bucket.deleted), (1, 0))
        self.assertEqual(self.bucket.size_bytes, entry_bytes(1, 0))

    def test_shorter_life(self) -> None:
        """A newer version may expire sooner."""
        self.put(b"k", ttl_s=50.0)
        self.put(b"k", ttl_s=2.0)
        self.assertEqual(self.bucket.next_due_s(), 103.0)
        self.now = 103.0
        self.bucket.pop_due(self.now, 10)
        self.assertEqual(self.bucket.entries, 0)

    def test_longer_life(self) -> None:
        """A newer version may expire later, or never."""
        self.put(b"k", ttl_s=2.0)
        self.put(b"k", b"v", ttl_s=50.0)
        self.now = 110.0
        self.bucket.pop_due(self.now, 10)
        self.assertEqual(self.get(b"k"), b"v")
        self.put(b"k", b"v")
        self.now = 1e6
        self.bucket.pop_due(self.now, 10)
        self.assertEqual(self.get(b"k"), b"v")
        self.assertEqual(self.bucket.next_due_s(), INF)

    def test_over_expired(self) -> None:
        """A value put over one that has expired replaces nothing."""
        self.put(b"k", ttl_s=2.0)
        self.now = 102.0
        self.put(b"k", b"v")
        self.assertEqual(self.get(b"k"), b"v")
        self.assertEqual((self.bucket.expired, self.bucket.replaced), (1, 0))
        self.assertEqual(self.gone, [(b"k", Cause.EXPIRED)])

    def test_below_expired(self) -> None:
        """What is over refuses nothing, though its memory is not freed yet."""
        self.put(b"k", ttl_s=2.0, stamp=9)
        self.now = 102.0
        self.assertTrue(self.put(b"k", stamp=8))
        self.assertEqual(self.bucket.expired, 1)

    def test_below_lapsed(self) -> None:
        """But where an older one would have lived longer none comes back."""
        self.put(b"k", stamp=7)
        self.put(b"k", ttl_s=2.0, stamp=9)
        self.now = 102.0
        self.assertFalse(self.put(b"k", stamp=8))

    def test_merge_is_not_told(self) -> None:
        """Who merges knows what it replaces or deletes, and is not told."""
        self.put(b"k")
        self.put(b"k")
        self.delete(b"k")
        self.assertEqual(self.gone, [])


class EvictionTests(BucketTestCase):
    """A full bucket lets go what was used the longest ago."""

    def test_max_entries(self) -> None:
        """At the limit all stay; one past it the oldest goes."""
        self.bucket = self.make(max_entries=3)
        for key in (b"1", b"2", b"3"):
            self.put(key)
        self.assertEqual(self.keys(), b"123")
        self.assertEqual(self.gone, [])
        self.put(b"4", slot=9)
        self.assertEqual(self.keys(), b"23")
        self.assertEqual(self.gone, [(b"1", Cause.EVICTED)])
        self.assertEqual((self.bucket.entries, self.bucket.evicted), (3, 1))

    def test_reads_and_writes_are_uses(self) -> None:
        """What was read or written of late stays."""
        self.bucket = self.make(max_entries=3)
        for key in (b"1", b"2", b"3"):
            self.put(key)
        self.get(b"1")
        self.put(b"2")
        self.put(b"4")
        self.put(b"5")
        self.assertEqual(self.keys(), b"245")
        self.assertEqual([key for key, _ in self.gone], [b"3", b"1"])

    def test_max_bytes(self) -> None:
        """At the limit all stay; one byte past it the oldest goes."""
        self.bucket = self.make(max_bytes=3 * CHARGED)
        for key in (b"1", b"2", b"3"):
            self.put(key)
        self.assertEqual(self.bucket.size_bytes, 3 * CHARGED)
        self.assertEqual(self.keys(), b"123")
        self.bucket = self.make(max_bytes=3 * CHARGED - 1)
        for key in (b"1", b"2", b"3"):
            self.put(key)
        self.assertEqual(self.keys(), b"23")

    def test_grows_in_place(self) -> None:
        """A value that grows makes room for itself."""
        self.bucket = self.make(max_bytes=3 * CHARGED)
        for key in (b"1", b"2", b"3"):
            self.put(key)
        self.put(b"3", bytes(100))
        self.assertEqual(self.keys(), b"23")
        self.assertLessEqual(self.bucket.size_bytes, 3 * CHARGED)

    def test_too_large(self) -> None:
        """A value larger than the bucket goes at once, and only it."""
        self.bucket = self.make(max_bytes=3 * CHARGED)
        self.put(b"1")
        self.assertTrue(self.put(b"2", bytes(3 * CHARGED)))
        self.assertEqual(self.keys(), b"1")
        self.assertTrue(self.put(b"1", bytes(3 * CHARGED)))
        self.assertEqual(self.keys(), b"")
        self.assertEqual(self.bucket.size_bytes, 0)

    def test_tombstones_are_no_entries(self) -> None:
        """Deletes do not push values out of a bucket bounded by entries."""
        self.bucket = self.make(max_entries=1)
        self.put(b"1")
        self.delete(b"2")
        self.delete(b"3")
        self.assertEqual(self.keys(), b"1")

    def test_expired_goes_as_expired(self) -> None:
        """What has expired and makes room is not counted as evicted."""
        self.bucket = self.make(max_entries=1)
        self.put(b"1", ttl_s=2.0)
        self.now = 102.0
        self.put(b"2")
        self.assertEqual(self.gone, [(b"1", Cause.EXPIRED)])

    def test_limits_change(self) -> None:
        """New limits hold from the next write on."""
        for key in (b"1", b"2", b"3"):
            self.put(key)
        self.bucket.limit(2, None)
        self.assertEqual(self.keys(), b"123")
        self.put(b"4")
        self.assertEqual(self.keys(), b"34")


class FollowedTests(BucketTestCase):
    """What other nodes are primary of is theirs to evict, up to a point."""

    def setUp(self) -> None:
        super().setUp()
        self.bucket = self.make(max_entries=10)
        self.bucket.lead(1, False)

    def put_row(self, first: int, past: int, slot: int) -> None:
        """Put one-byte keys."""
        for number in range(first, past):
            self.put(b"%c" % number, slot=slot)

    def test_led_go_first(self) -> None:
        """A full node evicts the oldest of what it is primary of."""
        self.put_row(0, 5, slot=1)
        self.put_row(5, 11, slot=0)
        self.assertEqual(self.gone, [(b"\5", Cause.EVICTED)])
        self.assertEqual(self.bucket.capped, set())

    def test_followed_up_to_the_margin(self) -> None:
        """Copies are taken up to 110 % of the limit; past it one goes."""
        self.put_row(0, 11, slot=1)
        self.assertEqual(self.gone, [])
        self.put_row(11, 12, slot=1)
        self.assertEqual(self.gone, [(b"\0", Cause.EVICTED)])
        self.assertEqual(self.bucket.capped, {1})

    def test_written_one_stays(self) -> None:
        """A node full of copies still keeps what was just written."""
        self.put_row(0, 11, slot=1)
        self.put(b"k", b"v", slot=0)
        self.assertEqual(self.get(b"k", 0), b"v")
        self.assertEqual(self.gone, [(b"\0", Cause.EVICTED)])

    def test_expired_copy_is_no_loss(self) -> None:
        """A slot that lost only what had expired is not capped."""
        self.put(b"k", ttl_s=1.0, slot=1)
        self.put_row(1, 11, slot=1)
        self.now = 101.0
        self.put_row(11, 12, slot=1)
        self.assertEqual(self.gone, [(b"k", Cause.EXPIRED)])
        self.assertEqual(self.bucket.capped, set())

    def test_becomes_primary(self) -> None:
        """A node that becomes primary decides about the slot from then on."""
        self.put_row(0, 11, slot=1)
        self.bucket.capped.add(1)
        self.bucket.lead(1, True)
        self.bucket.lead(1, True)
        self.assertEqual(self.bucket.capped, set())
        self.put_row(11, 12, slot=1)
        self.assertEqual([key for key, _ in self.gone], [b"\0", b"\1"])
        self.assertEqual(self.get(b"\2", 1), b"0123456789")


class SweepTests(BucketTestCase):
    """Memory of what has expired is freed, a bounded number at a time."""

    def test_pop_due(self) -> None:
        """Within a second of its deadline an entry's memory is free."""
        self.put(b"1", ttl_s=5.5)
        self.put(b"2")
        self.assertEqual(self.bucket.next_due_s(), 106.0)
        self.now = 106.0
        self.assertEqual(self.bucket.pop_due(self.now, 10), 1)
        self.assertEqual(self.gone, [(b"1", Cause.EXPIRED)])
        self.assertEqual((self.bucket.entries, self.bucket.expired), (1, 1))
        self.assertEqual(self.bucket.size_bytes, CHARGED)

    def test_limit(self) -> None:
        """A sweep looks at no more than it may."""
        for number in range(5):
            self.put(b"%d" % number, ttl_s=1.0)
        self.now = 110.0
        self.assertEqual(self.bucket.pop_due(self.now, 3), 3)
        self.assertEqual(self.bucket.entries, 2)
        self.assertEqual(self.bucket.pop_due(self.now, 3), 2)

    def test_whoever_is_told_may_write(self) -> None:
        """Who is told of an expiry may change what is due with it."""

        def gone(entry: Entry, cause: Cause) -> None:
            if entry.key == b"1":
                self.bucket.remove(0, b"2", Cause.DELETED)
                self.put(b"3", b"later", ttl_s=9.0)
                self.put(b"1", b"again")

        self.bucket = self.make(gone=gone)
        for key in (b"1", b"2", b"3"):
            self.put(key, ttl_s=1.0)
        self.now = 105.0
        self.bucket.pop_due(self.now, 10)
        self.assertEqual(self.get(b"1"), b"again")
        self.assertEqual(self.get(b"3"), b"later")
        self.assertEqual(self.keys(), b"13")
        self.now = 115.0
        self.bucket.pop_due(self.now, 10)
        self.assertEqual(self.keys(), b"1")


class TombstoneTests(BucketTestCase):
    """Deletes are remembered for a time, and a bounded number of them."""

    def test_kept_for_its_time(self) -> None:
        """A tombstone is forgotten when its time is over, without a word."""
        self.delete(b"k", ttl_s=60.0, stamp=7)
        self.now = 161.0
        self.bucket.pop_due(self.now, 10)
        self.assertEqual(self.bucket.tombstones, 0)
        self.assertEqual(self.gone, [])
        self.assertEqual(self.bucket.tombstones_dropped, 0)

    def test_bounded(self) -> None:
        """At the bound all are remembered; past it the oldest is dropped."""
        self.bucket = self.make(tombstones_max=2)
        self.delete(b"1", stamp=5, slot=3)
        self.delete(b"2", stamp=6)
        self.assertEqual(self.bucket.tombstones, 2)
        self.delete(b"3", stamp=7)
        self.assertEqual(self.bucket.tombstones, 2)
        self.assertEqual(self.bucket.tombstones_dropped, 1)
        self.assertIsNone(self.bucket.peek(3, b"1", self.now))

    def test_bounded_by_bytes(self) -> None:
        """Tombstones take at most an eighth of a bucket's memory."""
        size_bytes = entry_bytes(1, 0)
        self.bucket = self.make(max_bytes=8 * 2 * size_bytes)
        for key in (b"1", b"2"):
            self.delete(key)
        self.assertEqual(self.bucket.tombstones, 2)
        self.delete(b"3")
        self.assertEqual(self.bucket.tombstones, 2)
        self.bucket = self.make(max_bytes=8 * 2 * size_bytes - 8)
        for key in (b"1", b"2"):
            self.delete(key)
        self.assertEqual(self.bucket.tombstones, 1)

    def test_none_remembered(self) -> None:
        """A bucket may remember no deletes; the values go all the same."""
        self.bucket = self.make(tombstones_max=0)
        self.put(b"k")
        self.assertTrue(self.delete(b"k", stamp=9))
        self.assertIsNone(self.get(b"k"))
        self.assertEqual((self.bucket.tombstones, self.bucket.size_bytes), (0, 0))


class LapsedTests(BucketTestCase):
    """A value that lived shorter than an older one does not let that come back."""

    def sweep(self, after_s: float) -> None:
        """Let time pass, and free what is due."""
        self.now += after_s
        self.bucket.pop_due(self.now, 100)

    def test_older_value_stays_away(self) -> None:
        """Nobody can bring back what a newer value stood for, expired or not."""
        self.put(b"k", b"old", stamp=1)
        self.put(b"k", b"new", ttl_s=5.0, stamp=2)
        self.sweep(10.0)
        self.assertFalse(self.put(b"k", b"old", stamp=1))
        self.assertIsNone(self.get(b"k"))
        self.assertEqual((self.bucket.entries, self.bucket.tombstones), (0, 1))
        self.assertEqual((self.bucket.expired, self.bucket.deletes), (1, 0))
        self.assertEqual(self.gone, [(b"k", Cause.EXPIRED)])
        self.assertTrue(self.bucket.lapsed(b"k"))

    def test_expired_before_its_second(self) -> None:
        """Who is about to tell others need not wait until it is swept away."""
        self.put(b"k", b"old", stamp=1)
        self.put(b"k", b"new", ttl_s=5.0, stamp=2)
        self.now += 4.9
        self.bucket.expire(0, b"k", self.now)
        self.assertEqual(self.get(b"k"), b"new")
        self.now += 0.2
        self.bucket.expire(0, b"k", self.now)
        self.bucket.expire(0, b"other", self.now)
        self.assertTrue(self.bucket.lapsed(b"k"))
        self.assertFalse(self.put(b"k", b"old", stamp=1))

    def test_late_copy(self) -> None:
        """A newer value whose time is over takes the older one's place all the same."""
        self.put(b"k", b"old", stamp=1)
        self.assertTrue(self.put(b"k", b"new", ttl_s=-1.0, stamp=2))
        self.assertIsNone(self.get(b"k"))
        self.assertIsNone(self.bucket.peek(0, b"k", self.now))
        self.sweep(2.0)
        self.assertFalse(self.put(b"k", b"old", stamp=1))
        self.assertTrue(self.put(b"k", b"newest", stamp=3))
        self.assertEqual(self.get(b"k"), b"newest")

    def test_for_as_long_as_it_would_have_lived(self) -> None:
        """What could not come back anyway is not remembered."""
        self.put(b"k", ttl_s=50.0)
        self.put(b"k", ttl_s=5.0)
        self.sweep(10.0)
        self.assertEqual(self.bucket.tombstones, 1)
        self.sweep(41.0)
        self.assertEqual(self.bucket.tombstones, 0)
        self.assertEqual((self.bucket.size_bytes, self.bucket.next_due_s()), (0, INF))

    def test_no_longer_than_a_delete(self) -> None:
        """It is remembered for an hour, as a delete is."""
        self.put(b"k")
        self.put(b"k", ttl_s=5.0)
        self.sweep(10.0)
        self.sweep(TOMBSTONE_TTL_S - 1.0)
        self.assertEqual(self.bucket.tombstones, 1)
        self.sweep(2.0)
        self.assertEqual(self.bucket.tombstones, 0)

    def test_oldest_of_three(self) -> None:
        """The longest life of all that came before counts."""
        for ttl_s in (INF, 5.0, 20.0):
            self.put(b"k", ttl_s=ttl_s)
        self.sweep(30.0)
        self.assertFalse(self.put(b"k", stamp=1))

    def test_short_value_over_a_delete(self) -> None:
        """A delete is remembered for its hour, also if a value came between."""
        self.delete(b"k", stamp=5)
        self.put(b"k", ttl_s=5.0, stamp=6)
        self.sweep(10.0)
        self.assertFalse(self.put(b"k", stamp=4))

    def test_a_delete_is_no_lapse(self) -> None:
        """A delete leaves a tombstone of its own, for all to have."""
        self.put(b"k")
        self.put(b"k", ttl_s=5.0)
        self.delete(b"k")
        self.assertFalse(self.bucket.lapsed(b"k"))
        self.assertEqual(self.bucket.size_bytes, entry_bytes(1, 0))

    def test_a_longer_life_leaves_nothing(self) -> None:
        """Where the newer value lives longer nothing stays of either."""
        self.put(b"k", ttl_s=5.0)
        self.put(b"k", ttl_s=50.0)
        self.sweep(60.0)
        self.assertEqual((self.bucket.tombstones, self.bucket.size_bytes), (0, 0))

    def test_bounded(self) -> None:
        """No more are remembered than deletes are; the first is forgotten first."""
        self.bucket = self.make(tombstones_max=2)
        for key in (b"1", b"2", b"3"):
            self.put(key, ttl_s=50.0, stamp=1)
            self.put(key, ttl_s=5.0, stamp=2)
        charged = 3 * CHARGED + 2 * OUTLIVED_BYTES
        self.assertEqual(self.bucket.size_bytes, charged)
        self.sweep(10.0)
        self.assertEqual(self.bucket.tombstones, 2)
        self.assertTrue(self.put(b"1", stamp=1))
        self.assertFalse(self.put(b"2", stamp=1))

    def test_for_want_of_room(self) -> None:
        """A full bucket lets go of what has expired, and remembers it."""
        self.bucket = self.make(max_entries=1)
        self.put(b"k", stamp=1)
        self.put(b"k", ttl_s=5.0, stamp=2)
        self.now += 10.0
        self.put(b"l")
        self.assertEqual((self.bucket.expired, self.bucket.evicted), (1, 0))
        self.assertEqual(self.keys(), b"l")
        self.assertFalse(self.put(b"k", stamp=1))


class StatsTests(BucketTestCase):
    """What a bucket holds and has done can be counted."""

    def test_stats(self) -> None:
        """Every count is where it belongs."""
        self.bucket = self.make(max_entries=4)
        for number in range(6):
            self.put(b"%d" % number)  # evicts 0 and 1
        self.put(b"2")
        self.put(b"2", stamp=0)
        self.get(b"2")
        self.get(b"x")
        self.delete(b"3")
        self.delete(b"y")
        self.bucket.remove(0, b"4", Cause.MOVED)
        self.put(b"6", ttl_s=1.0)
        self.now = 102.0
        self.bucket.pop_due(self.now, 10)
        stats = self.bucket.stats()
        self.assertEqual((stats.entries, stats.tombstones), (2, 2))
        self.assertEqual(stats.size_bytes, 2 * CHARGED + 2 * entry_bytes(1, 0))
        self.assertEqual((stats.hits, stats.misses), (1, 1))
        self.assertEqual((stats.puts, stats.deletes, stats.refused), (8, 2, 1))
        self.assertEqual((stats.expired, stats.evicted, stats.deleted), (1, 2, 1))
        self.assertEqual((stats.replaced, stats.moved), (1, 1))
        self.assertEqual(stats.tombstones_dropped, 0)
