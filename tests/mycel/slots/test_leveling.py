"""
One node lets another have all that it holds, and sends no more than is news.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mycorrizal.mycel.buckets import BucketTable
from mycorrizal.mycel.messages import Answer, Buckets, Done, Fetch, Found, Refused
from mycorrizal.mycel.slot_messages import Compare, Compared, Lacking, Offer, Push
from mycorrizal.mycel.slots.fetching import COMPARED_MAX
from mycorrizal.mycel.slots.leveling import (
    PUSH_BYTES,
    PUSH_ENTRIES,
    Leveled,
    level_all,
)
from mycorrizal.mycel.slots.slotset import (
    ALL_SLOTS,
    slots_of,
    slotset,
    to_bytes,
)
from tests.mycel.parts import A
from tests.mycel.slots.errands_case import ErrandsTestCase, keys_in


class LevelingTestCase(ErrandsTestCase):
    """This node and another one, A."""

    def setUp(self) -> None:
        super().setUp()
        self.a = self.others[A]

    def level(self, slots: int, *, every: bool = False) -> Deferred[Leveled | None]:
        """Let A have what is here of some slots."""
        bucket = self.parts.bucket
        if every:
            leveled = level_all(self.leveling, A, bucket, slots, take=True)
        else:
            leveled = self.leveling.level(A, bucket, slots, take=True)
        return Deferred.fromCoroutine(leveled)

    def leveled(self, slots: int, *, every: bool = False) -> Leveled | None:
        """What comes of that."""
        leveled = self.level(slots, every=every)
        self.run_errands()
        return self.successResultOf(leveled)

    def store(self, count: int, value: bytes = b"", slot: int = 5) -> list[bytes]:
        """Hold so many entries of a slot; their keys, ascending."""
        keys = keys_in(self.parts.bucket.seed, slot, count)
        for key in keys:
            self.parts.bucket.store.merge(slot, key, value, 7, A, float("inf"), 0.0)
        return keys

    def count(self, slot: int = 5) -> int:
        """How many entries of a slot A holds."""
        return self.a.buckets.by_name["b"].store.count(slot)


class LevelingTests(LevelingTestCase):
    """A answers."""

    def test_news(self) -> None:
        """What is here and not there is sent, with its version and its time."""
        (key,) = self.keys(ALL_SLOTS, 1)
        slot = self.parts.store(key, b"value", 7, origin=A, ttl_s=60)
        leveled = self.leveled(1 << slot)
        self.assertEqual(
            leveled, Leveled(1 << slot, 0, 1 << slot, self.parts.view.epoch)
        )
        self.assertEqual(self.a.held(key), b"value")
        entry = self.a.buckets.by_name["b"].store.peek(slot, key, 0.0)
        assert entry is not None
        self.assertEqual((entry.version, entry.deadline), ((7, A), 60.0))

    def test_delete(self) -> None:
        """So is what was deleted."""
        (key,) = self.keys(ALL_SLOTS, 1)
        self.a.store(key, b"value", 7)
        slot = self.parts.store(key, None, 8, ttl_s=3600)
        self.leveled(1 << slot)
        self.assertIsNone(self.a.held(key))
        self.assertEqual(self.count(slot), 1)

    def test_equal(self) -> None:
        """Where both hold the same a digest is all that travels."""
        (key,) = self.keys(ALL_SLOTS, 1)
        slot = self.parts.store(key, b"value", 7, origin=A)
        self.a.store(key, b"value", 7)
        leveled = self.leveled(1 << slot)
        assert leveled is not None
        self.assertEqual(leveled.slots, 1 << slot)
        self.assertEqual([type(it) for _, it in self.asked], [Compare])

    def test_nothing_here(self) -> None:
        """Who holds nothing has nothing to send, whatever is there."""
        (key,) = self.keys(ALL_SLOTS, 1)
        slot = self.a.store(key, b"value", 7)
        leveled = self.leveled(1 << slot)
        assert leveled is not None
        self.assertEqual(leveled.slots, 1 << slot)
        self.assertEqual(self.requests(Push), [])

    def test_newer_there(self) -> None:
        """What is newer there is fetched, with its version and its time."""
        (key,) = self.keys(ALL_SLOTS, 1)
        slot = self.parts.store(key, b"old", 7)
        self.a.store(key, b"new", 8, ttl_s=60)
        leveled = self.leveled(1 << slot)
        assert leveled is not None
        self.assertEqual((leveled.slots, leveled.taken), (1 << slot, 1 << slot))
        self.assertEqual(self.requests(Push), [])
        self.assertEqual((self.a.held(key), self.parts.held(key)), (b"new", b"new"))
        entry = self.parts.bucket.store.peek(slot, key, 0.0)
        assert entry is not None
        self.assertEqual((entry.version, entry.deadline), ((8, A), 60.0))
        self.assertGreaterEqual(self.parts.hybrid.last, 8)

    def test_only_what_is_lacking(self) -> None:
        """Of a slot only what is news there is sent."""
        keys = self.store(3)
        store = self.a.buckets.by_name["b"].store
        store.merge(5, keys[1], b"", 7, A, float("inf"), 0.0)
        self.leveled(1 << 5)
        (push,) = self.requests(Push)
        assert isinstance(push, Push)
        self.assertEqual([it.key for it in push.entries], [keys[0], keys[2]])

    def test_entries_at_the_bound(self) -> None:
        """So many versions are offered at once; one more makes another offer."""
        for count, offers in ((PUSH_ENTRIES, 1), (PUSH_ENTRIES + 1, 2)):
            self.asked.clear()
            self.store(count)
            self.leveled(1 << 5)
            self.assertEqual(len(self.requests(Offer)), offers)
            self.assertEqual(self.count(), count)

    def test_bytes_at_the_bound(self) -> None:
        """A push has so many bytes; one byte more makes another push."""
        fitting = PUSH_BYTES // 2 - 8 - 64
        for value_bytes, pushes in ((fitting, 1), (fitting + 1, 2)):
            self.setUp()
            self.store(2, bytes(value_bytes))
            self.leveled(1 << 5)
            self.assertEqual(len(self.requests(Push)), pushes)
            self.assertEqual(self.count(), 2)

    def test_large_values(self) -> None:
        """Each value that is larger than a push comes on its own."""
        self.store(3, bytes(PUSH_BYTES + 1))
        self.leveled(1 << 5)
        self.assertEqual(len(self.requests(Push)), 3)

    def test_many_slots(self) -> None:
        """Any number of slots is compared, so many at once."""
        self.store(1, slot=0)
        self.store(1, slot=1023)
        leveled = self.leveled(ALL_SLOTS, every=True)
        epoch = self.parts.view.epoch
        self.assertEqual(leveled, Leveled(ALL_SLOTS, 0, ALL_SLOTS, epoch))
        self.assertEqual((self.count(0), self.count(1023)), (1, 1))
        self.assertEqual(len(self.requests(Compare)), 1024 // COMPARED_MAX)

    def test_no_slots(self) -> None:
        """Of no slots nothing is asked."""
        self.assertEqual(self.leveled(0, every=True), Leveled(0, 0, 0, 0))
        self.assertEqual(self.asked, [])


class TroubleTests(LevelingTestCase):
    """A does not take all."""

    def stop_at(self, kind: type, answer: Answer | None) -> Leveled | None:
        """Give one question another answer than A would."""
        leveled = self.level(1 << 5)
        for _ in range(10):
            if isinstance(self.parts.ask.asked[0].request, kind):
                break
            self.step()
        self.parts.ask.answer(answer, A)
        self.run_errands()
        return self.successResultOf(leveled)

    def test_silent(self) -> None:
        """Who does not answer is not known to hold anything."""
        self.store(1)
        self.assertIsNone(self.stop_at(Compare, None))

    def test_newer_and_gone(self) -> None:
        """What was newer there, and is gone when it is asked for, is let be."""
        (key,) = self.store(1)
        store = self.a.buckets.by_name["b"].store
        store.merge(5, key, b"new", 2**60, A, float("inf"), 0.0)
        for answer in (Found(None), None):
            leveled = self.stop_at(Fetch, answer)
            assert leveled is not None
            self.assertEqual((leveled.slots, leveled.taken), (1 << 5, 0))
        self.assertNotEqual(self.parts.held(key), b"new")

    def test_nonsense(self) -> None:
        """Nor is one whose answer can't be right."""
        self.store(1)
        for answer in (
            Found(None),
            Compared((), to_bytes(0), 0),
            Compared((1, 2), to_bytes(0), 0),
        ):
            self.assertIsNone(self.stop_at(Compare, answer))

    def test_not_all(self) -> None:
        """A slot of which it does not take an offer, or a push, is not level."""
        self.store(1)
        for kind, answer in (
            (Offer, None),
            (Offer, Found(None)),
            (Push, None),
            (Push, Found(None)),
        ):
            leveled = self.stop_at(kind, answer)
            assert leveled is not None
            self.assertEqual(leveled.slots, 0)

    def test_one_slot_of_two(self) -> None:
        """The other slots are level all the same."""
        self.store(1, slot=5)
        self.store(1, slot=6)
        leveled = self.level(slotset((5, 6)))
        while not isinstance(self.parts.ask.asked[0].request, Offer):
            self.step()
        self.parts.ask.answer(None, A)
        self.run_errands()
        found = self.successResultOf(leveled)
        assert found is not None
        self.assertEqual(slots_of(found.slots), [6])

    def test_places_out_of_range(self) -> None:
        """Places that were not offered are passed over."""
        self.store(1)
        leveled = self.stop_at(Offer, Lacking((0, 1, 4095)))
        assert leveled is not None
        self.assertEqual((leveled.slots, self.count()), (1 << 5, 1))

    def test_silent_half_way(self) -> None:
        """Of many slots none counts if one part has no answer."""
        leveled = self.level(ALL_SLOTS, every=True)
        self.step()
        self.a.silent = True
        self.run_errands()
        self.assertIsNone(self.successResultOf(leveled))

    def test_bucket_unknown_there(self) -> None:
        """Who has not heard of the bucket is told, so that it takes all next time."""
        self.store(1)
        self.a.buckets = BucketTable()
        self.a.replica._buckets = self.a.buckets
        self.assertIsNone(self.leveled(1 << 5))
        self.assertEqual(len(self.requests(Buckets)), 1)
        leveled = self.leveled(1 << 5)
        assert leveled is not None
        self.assertEqual((leveled.slots, self.count()), (1 << 5, 1))

    def test_refused_otherwise(self) -> None:
        """Any other refusal is an answer that can't be right, and no news are told."""
        self.store(1)
        self.assertIsNone(self.stop_at(Compare, Refused("busy")))
        self.assertEqual(self.requests(Buckets), [])

    def test_changed_meanwhile(self) -> None:
        """What has changed since it was offered is sent as it is now."""
        keys = self.store(2)
        leveled = self.level(1 << 5)
        while not isinstance(self.parts.ask.asked[0].request, Offer):
            self.step()
        store = self.parts.bucket.store
        store.merge(5, keys[0], b"newer", 9, A, float("inf"), 0.0)
        store.merge(5, keys[1], b"", 9, A, 1.0, 0.0)
        self.parts.clock.advance(1)
        self.run_errands()
        self.assertIsNotNone(self.successResultOf(leveled))
        entry = self.a.buckets.by_name["b"].store.peek(5, keys[0], 0.0)
        assert entry is not None
        self.assertEqual((entry.value, entry.stamp), (b"newer", 9))
        self.assertEqual(self.count(), 1)

    def test_gone_meanwhile(self) -> None:
        """What is gone since it was offered is not sent."""
        self.store(1)
        leveled = self.level(1 << 5)
        while not isinstance(self.parts.ask.asked[0].request, Offer):
            self.step()
        answer = self.a.answer(self.parts.ask.asked[0].request)
        self.parts.bucket.store.clear(5, 100)
        self.parts.ask.answer(answer, A)
        push = self.parts.ask.answer(Done(), A)
        self.assertEqual(push, Push("b", ()))
        self.successResultOf(leveled)
