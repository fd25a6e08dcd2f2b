"""
What a node says of the slots that it holds: pages, digests, and what it lacks.
"""

from __future__ import annotations

from mycorrizal.mycel.messages import NEVER
from mycorrizal.mycel.slot_messages import (
    Compare,
    Compared,
    Lacking,
    Offer,
    Offered,
    Page,
    Paged,
    Pushed,
)
from mycorrizal.mycel.slots.leveling import PUSH_BYTES, PUSH_ENTRIES, cut, pushed
from mycorrizal.mycel.slots.slotset import (
    ALL_SLOTS,
    NO_SLOTS,
    from_bytes,
    slots_of,
    slotset,
    to_bytes,
)
from mycorrizal.mycel.store import Cause
from mycorrizal.mycel.store.versions import DIGEST_MARGIN_S, entry_digest
from tests.mycel.operations.test_replica import ReplicaTestCase
from tests.mycel.parts import ME, A, key_in, members, slot_owned_by

#: What `cut` counts for an entry, besides its value and its key.
OVERHEAD_BYTES = 64


class PageTests(ReplicaTestCase):
    """Another node fetches what is held here."""

    def page(self, slots: int, slot: int = 0, after: bytes = b"") -> Paged:
        """One page."""
        answer = self.answer(Page("b", to_bytes(slots), slot, after))
        assert isinstance(answer, Paged)
        return answer

    def pages(self, slots: int) -> list[Paged]:
        """All pages."""
        found = [self.page(slots)]
        while found[-1].more:
            found.append(self.page(slots, found[-1].slot, found[-1].after))
            self.assertLess(len(found), 20)
        return found

    def fill(self, slot: int, count: int, value: bytes = b"") -> list[bytes]:
        """Hold so many entries of a slot; their keys, ascending."""
        keys = sorted(b"%d-%06d" % (slot, number) for number in range(count))
        for stamp, key in enumerate(keys, 1):
            self.parts.bucket.store.merge(
                slot, key, value, stamp, ME, float("inf"), self.parts.now()
            )
        return keys

    def test_nothing(self) -> None:
        """Of an empty slot there is nothing, and no more."""
        self.assertEqual(self.page(ALL_SLOTS), Paged((), more=False))

    def test_whole_entries(self) -> None:
        """Values and tombstones come with their versions and times to live."""
        self.parts.store(self.key, b"value", 7, ttl_s=2)
        other = key_in(self.parts.bucket, self.slot, 1)
        self.parts.store(other, None, 8, origin=A, ttl_s=3600)
        self.assertCountEqual(
            self.page(1 << self.slot).entries,
            [
                Pushed(self.key, b"value", 7, ME, 2000),
                Pushed(other, None, 8, A, 3_600_000),
            ],
        )

    def test_only_what_is_asked_for(self) -> None:
        """Slots that are not asked for stay out of it."""
        self.parts.store(self.key, b"value", 7)
        self.assertEqual(self.page(ALL_SLOTS & ~(1 << self.slot)).entries, ())

    def test_entries_at_the_bound(self) -> None:
        """One less than a page is a page; from a whole one on there may be more."""
        keys = self.fill(5, PUSH_ENTRIES - 1)
        (page,) = self.pages(ALL_SLOTS)
        self.assertEqual([it.key for it in page.entries], keys)
        for count, sizes in (
            (PUSH_ENTRIES, [PUSH_ENTRIES, 0]),
            (PUSH_ENTRIES + 1, [PUSH_ENTRIES, 1]),
        ):
            keys = self.fill(5, count)
            pages = self.pages(ALL_SLOTS)
            self.assertEqual([len(it.entries) for it in pages], sizes)
            found = [it.key for page in pages for it in page.entries]
            self.assertEqual(found, keys)

    def test_over_slots(self) -> None:
        """A page goes over from one slot to the next, and loses none."""
        half = PUSH_ENTRIES // 2 + 1
        keys = [key for slot in (3, 400, 777) for key in self.fill(slot, half)]
        pages = self.pages(ALL_SLOTS)
        self.assertEqual([it.slot for it in pages], [400, 0])
        self.assertEqual([it.key for page in pages for it in page.entries], keys)

    def test_bytes_at_the_bound(self) -> None:
        """Two values fill a page to its last byte; a byte more makes two of it."""
        key_bytes = len(self.fill(5, 1)[0])
        fitting = PUSH_BYTES // 2 - key_bytes - OVERHEAD_BYTES
        for value_bytes, count in ((fitting, 1), (fitting + 1, 2)):
            self.parts.bucket.store.clear(5, 2**60)
            self.parts.bucket.store.cleared[5] = -1
            self.fill(5, 2, bytes(value_bytes))
            self.assertEqual(len(self.pages(ALL_SLOTS)), count)

    def test_large_value(self) -> None:
        """A value that is larger than a page comes whole, alone on its page."""
        self.fill(5, 3, bytes(PUSH_BYTES + 1))
        self.assertEqual([len(it.entries) for it in self.pages(ALL_SLOTS)], [1] * 3)

    def test_expired(self) -> None:
        """What has expired is left out, but for what stays in its place."""
        long, short = self.fill(5, 2)
        store = self.parts.bucket.store
        store.merge(5, long, b"new", 8, ME, 1.0, 0.0)
        store.remove(5, short, Cause.MOVED)
        store.merge(5, short, b"", 7, ME, 1.0, 0.0)
        self.parts.clock.advance(1)
        (page,) = self.pages(ALL_SLOTS)
        (entry,) = page.entries
        self.assertEqual((entry.key, entry.value, entry.stamp), (long, None, 8))

    def test_dropped_meanwhile(self) -> None:
        """A place whose entry is gone is a place all the same."""
        keys = self.fill(5, PUSH_ENTRIES + 3)
        first = self.page(ALL_SLOTS)
        self.parts.bucket.store.clear(5, PUSH_ENTRIES + 1)
        rest = self.page(ALL_SLOTS, first.slot, first.after)
        self.assertEqual([it.key for it in rest.entries], keys[PUSH_ENTRIES + 1 :])
        self.assertFalse(rest.more)


class CutTests(ReplicaTestCase):
    """What goes in one message."""

    def test_cut(self) -> None:
        """Parts are as large as may be, and in order; nothing makes none."""
        store = self.parts.bucket.store
        for number in range(5):
            key = b"%d" % number
            value = bytes(PUSH_BYTES // 2 - 65)
            store.merge(5, key, value, 1, ME, float("inf"), 0.0)
        parts = [[it.key for it in part] for part in cut(store.scan(5, b"", 9))]
        self.assertEqual(parts, [[b"0", b"1"], [b"2", b"3"], [b"4"]])
        self.assertEqual(list(cut([])), [])

    def test_expired(self) -> None:
        """What has expired does not travel, to the very moment."""
        slot = self.parts.store(self.key, b"value", 7, ttl_s=1)
        entries = self.parts.bucket.store.scan(slot, b"", 1)
        self.assertEqual(pushed(entries, 0.999)[0].remaining_ms, 1)
        self.assertEqual(pushed(entries, 1.0), ())

    def test_never(self) -> None:
        """What never expires does not there either."""
        slot = self.parts.store(self.key, b"value", 7)
        (entry,) = pushed(self.parts.bucket.store.scan(slot, b"", 1), 0.0)
        self.assertEqual(entry.remaining_ms, NEVER)


class CompareTests(ReplicaTestCase):
    """Another node compares what it holds."""

    def compare(self, slots: int, everything: bool = False) -> Compared:
        """What this node says of some slots."""
        answer = self.answer(Compare("b", to_bytes(slots), everything))
        assert isinstance(answer, Compared)
        return answer

    def test_digests(self) -> None:
        """A digest for each slot, ascending; of what is empty it is 0."""
        self.parts.store(self.key, b"value", 7)
        other = slot_owned_by(self.parts.view, ME, A)
        slots = sorted((self.slot, other))
        digest = entry_digest(self.key, 7, ME, False)
        expected = tuple(digest if slot == self.slot else 0 for slot in slots)
        self.assertEqual(self.compare(slotset(slots)).digests, expected)
        self.assertEqual(len(self.compare(ALL_SLOTS).digests), 1024)

    def test_about_to_expire(self) -> None:
        """What is about to expire counts only if everything is to."""
        self.parts.store(self.key, b"value", 7, ttl_s=DIGEST_MARGIN_S + 1)
        digest = entry_digest(self.key, 7, ME, False)
        for after_s, digests in ((0.99, (digest, digest)), (0.01, (0, digest))):
            self.parts.clock.advance(after_s)
            slots = 1 << self.slot
            both = *self.compare(slots).digests, *self.compare(slots, True).digests
            self.assertEqual(both, digests)
        self.parts.clock.advance(DIGEST_MARGIN_S)
        self.assertEqual(self.compare(1 << self.slot, True).digests, (0,))

    def test_steady(self) -> None:
        """It says which of the slots have a primary that is settled."""
        slots = slotset((self.slot, slot_owned_by(self.parts.view, ME, A)))
        self.assertEqual(from_bytes(self.compare(slots).steady), slots)
        self.parts.claims._promises.take(1 << self.slot, None)
        steady = from_bytes(self.compare(slots).steady)
        self.assertEqual(steady, slots & ~(1 << self.slot))

    def test_epoch(self) -> None:
        """And it says what members it has in mind."""
        epoch = self.compare(NO_SLOTS).epoch
        self.assertEqual(epoch, self.parts.view.epoch)
        self.parts.view.change(members(A))
        self.assertNotEqual(self.compare(NO_SLOTS).epoch, epoch)


class OfferTests(ReplicaTestCase):
    """Another node offers versions."""

    def lacking(self, *offered: Offered) -> tuple[int, ...]:
        """Which of them are news, by their places."""
        answer = self.answer(Offer("b", offered))
        assert isinstance(answer, Lacking)
        return answer.places

    def test_newer(self) -> None:
        """What is higher here is told, too."""
        self.parts.store(self.key, b"value", 7, origin=A)
        other = key_in(self.parts.bucket, self.slot, 1)
        offered = (
            Offered(other, 6, A),
            Offered(self.key, 6, A),
            Offered(self.key, 7, A),
            Offered(self.key, 7, ME),
        )
        self.assertEqual(self.answer(Offer("b", offered)), Lacking((0,), (1, 3)))

    def test_news(self) -> None:
        """What is not here, or older here, is news; by stamp, then by origin."""
        self.parts.store(self.key, b"value", 7, origin=A)
        other = key_in(self.parts.bucket, self.slot, 1)
        places = self.lacking(
            Offered(self.key, 6, A),
            Offered(self.key, 7, ME),
            Offered(self.key, 7, A),
            Offered(self.key, 7, b"\xff" * 16),
            Offered(self.key, 8, ME),
            Offered(other, 1, ME),
        )
        self.assertEqual(places, (3, 4, 5))

    def test_tombstone(self) -> None:
        """A delete is a version, too."""
        self.parts.store(self.key, None, 7, origin=A, ttl_s=3600)
        places = self.lacking(Offered(self.key, 6, A), Offered(self.key, 8, A))
        self.assertEqual(places, (1,))

    def test_expired(self) -> None:
        """What has expired here is not here."""
        self.parts.store(self.key, b"value", 7, ttl_s=1)
        self.assertEqual(self.lacking(Offered(self.key, 7, ME)), ())
        self.parts.clock.advance(1)
        self.assertEqual(self.lacking(Offered(self.key, 7, ME)), (0,))

    def test_nothing(self) -> None:
        """Of nothing nothing is lacking."""
        self.assertEqual(self.lacking(), ())
        self.assertEqual(slots_of(self.parts.bucket.store.held()), [])
