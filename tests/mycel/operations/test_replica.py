"""
What a node answers to the others that hold a slot, or want to.
"""

from __future__ import annotations

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.messages import (
    NEVER,
    PROMISED,
    UNKNOWN_BUCKET,
    Answer,
    Copy,
    Done,
    Fetch,
    Found,
    Refused,
)
from mycorrizal.mycel.operations.replica import Asked, Replica
from mycorrizal.mycel.slot_messages import (
    Compare,
    Evict,
    Offer,
    Offered,
    Page,
    Push,
    Pushed,
)
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.slotset import NO_SLOTS, to_bytes
from tests.mycel.parts import ME, A, B, C, Parts, key_in, let_claim, slot_owned_by


class ReplicaTestCase(SynchronousTestCase):
    """This node, with three others; A is primary of the key's slot."""

    def setUp(self) -> None:
        self.parts = parts = Parts(A, B, C)
        self.replica = Replica(
            parts.view, parts.claims, parts.buckets, parts.hybrid, parts.now
        )
        self.slot = slot_owned_by(parts.view, A, ME)
        self.key = key_in(parts.bucket, self.slot)

    def answer(self, request: Asked, asker: bytes = A) -> Answer:
        """What a node in its first life is answered."""
        return self.replica.answer(request, (asker, 1))

    def copy(self, value: bytes, stamp: int, origin: bytes = A) -> Copy:
        """A version of the key that lives for ever."""
        return Copy("b", self.key, value, stamp, origin, NEVER)


class LapsedTests(ReplicaTestCase):
    """A value that has expired, and took the place of one that would live on."""

    def test_fetched_at_once(self) -> None:
        """Who asks is told of it from the very moment on: others tell the older."""
        self.answer(self.copy(b"old", 6))
        self.answer(Copy("b", self.key, b"new", 7, A, 1500))
        self.parts.clock.advance(1.5)
        found = self.answer(Fetch("b", self.key))
        assert isinstance(found, Found)
        self.assertEqual((found.value, found.stamp), (None, 7))


class CopyTests(ReplicaTestCase):
    """Versions that are to be held here too."""

    def test_copy(self) -> None:
        """A copy is held for as long as its value has to live."""
        copy = Copy("b", self.key, b"value", 7, A, 1500)
        self.assertEqual(self.answer(copy), Done())
        self.parts.clock.advance(1.499)
        self.assertEqual(self.parts.held(self.key), b"value")
        self.parts.clock.advance(0.001)
        self.assertIsNone(self.parts.held(self.key))

    def test_older_copy(self) -> None:
        """An older version is acknowledged and not taken."""
        self.answer(self.copy(b"new", 7))
        self.assertEqual(self.answer(self.copy(b"old", 6, B)), Done())
        self.assertEqual(self.parts.held(self.key), b"new")

    def test_equal_stamps(self) -> None:
        """Of equal stamps the higher node key wins, in either order."""
        for first, second in ((A, B), (B, A)):
            self.setUp()
            for origin in (first, second):
                self.answer(self.copy(origin, 7, origin))
            self.assertEqual(self.parts.held(self.key), max(A, B))

    def test_clock_moves_up(self) -> None:
        """What this node writes next is above every copy it has taken."""
        high = self.parts.hybrid.tick() + 10**12
        self.answer(self.copy(b"value", high))
        self.assertGreater(self.parts.hybrid.tick(), high)

    def test_fetch(self) -> None:
        """It says what it holds itself, tombstones included."""
        fetch = Fetch("b", self.key)
        self.assertEqual(self.answer(fetch), Found(None))
        self.parts.store(self.key, b"value", 7, ttl_s=2)
        self.assertEqual(self.answer(fetch), Found(b"value", 7, ME, 2000))
        self.parts.store(self.key, None, 8, ttl_s=3600)
        self.assertEqual(self.answer(fetch), Found(None, 8, ME, 3_600_000))

    def test_fetch_is_no_use(self) -> None:
        """To be asked by another owner is no read of a user's."""
        self.parts.store(self.key, b"value", 7)
        self.answer(Fetch("b", self.key))
        stats = self.parts.bucket.store.stats()
        self.assertEqual((stats.hits, stats.misses), (0, 0))

    def test_push(self) -> None:
        """All entries of a push are taken, whoever sends them."""
        other = key_in(self.parts.bucket, slot_owned_by(self.parts.view, ME, A))
        entries = (
            Pushed(self.key, b"one", 7, A, NEVER),
            Pushed(other, b"two", 8, B, NEVER),
        )
        self.assertEqual(self.answer(Push("b", entries), C), Done())
        self.assertEqual(self.parts.held(self.key), b"one")
        self.assertEqual(self.parts.held(other), b"two")


class FenceTests(ReplicaTestCase):
    """Copies are taken from the primary to whom the slot was promised."""

    def test_another_node(self) -> None:
        """Who was not promised the slot is told who was, and nothing is held."""
        answer = self.answer(self.copy(b"value", 7, B), B)
        self.assertEqual(answer, Refused(PROMISED, promised=(A, 1)))
        self.assertIsNone(self.parts.held(self.key))

    def test_another_life(self) -> None:
        """Nor is a copy taken that the same node sent in another life."""
        answer = self.replica.answer(self.copy(b"value", 7), (A, 2))
        self.assertEqual(answer, Refused(PROMISED, promised=(A, 1)))

    def test_here(self) -> None:
        """Nor one of a slot that this node is itself primary of."""
        self.key = key_in(self.parts.bucket, slot_owned_by(self.parts.view, ME, A))
        answer = self.answer(self.copy(b"value", 7))
        self.assertEqual(answer, Refused(PROMISED, promised=(ME, 1)))

    def test_promised_to_nobody(self) -> None:
        """Who comes first to a slot without a promise has it from then on."""
        self.parts.claims._promises.take(1 << self.slot, None)
        self.assertEqual(self.answer(self.copy(b"one", 7, B), B), Done())
        answer = self.answer(self.copy(b"two", 8))
        self.assertEqual(answer, Refused(PROMISED, promised=(B, 1)))
        self.assertEqual(self.parts.held(self.key), b"one")

    def test_claimed_anew(self) -> None:
        """After a better claim the old primary's copies are refused."""
        slot = slot_owned_by(self.parts.view, B, A, ME)
        self.key = key_in(self.parts.bucket, slot)
        self.parts.claims._promises.take(1 << slot, (A, 1))
        self.assertEqual(self.answer(self.copy(b"one", 7)), Done())
        let_claim(self.parts.claims, B, 1 << slot)
        answer = self.answer(self.copy(b"two", 8))
        self.assertEqual(answer, Refused(PROMISED, promised=(B, 1)))


class EvictTests(ReplicaTestCase):
    """What the primary had no room for goes here, too."""

    def evict(self, key: bytes, stamp: int, origin: bytes = A) -> None:
        """The primary says that it had to let a version go."""
        evict = Evict("b", (Offered(key, stamp, origin),))
        self.assertEqual(self.answer(evict), Done())

    def test_goes(self) -> None:
        """That version goes, and one that is older."""
        for stamp in (7, 6):
            self.parts.store(self.key, b"value", stamp, origin=A)
            self.evict(self.key, 7)
            self.assertIsNone(self.parts.held(self.key))
        self.assertEqual(self.parts.bucket.store.stats().evicted, 2)

    def test_newer_stays(self) -> None:
        """A newer one stays."""
        self.parts.store(self.key, b"value", 8)
        self.evict(self.key, 7)
        self.assertEqual(self.parts.held(self.key), b"value")

    def test_higher_origin_stays(self) -> None:
        """So does one of the same stamp and a higher origin."""
        self.parts.store(self.key, b"value", 7, origin=B)
        self.evict(self.key, 7)
        self.assertEqual(self.parts.held(self.key), b"value")

    def test_delete_stays(self) -> None:
        """A delete is not forgotten for want of room elsewhere."""
        self.parts.store(self.key, None, 7, ttl_s=3600)
        self.evict(self.key, 9)
        entry = self.parts.bucket.store.peek(self.slot, self.key, 0.0)
        self.assertIsNotNone(entry)

    def test_ours(self) -> None:
        """What this node is primary of goes on nobody's word."""
        key = key_in(self.parts.bucket, slot_owned_by(self.parts.view, ME, A))
        self.parts.store(key, b"value", 7)
        self.evict(key, 9)
        self.assertEqual(self.parts.held(key), b"value")

    def test_not_the_primary(self) -> None:
        """On the word of one who is not, or no more, the primary nothing goes."""
        key = key_in(self.parts.bucket, slot_owned_by(self.parts.view, B, ME, A))
        self.parts.store(key, b"value", 7, origin=A)
        self.evict(key, 7)
        self.assertEqual(self.parts.held(key), b"value")

    def test_nothing_here(self) -> None:
        """What is not here need not go."""
        self.evict(self.key, 9)
        self.assertEqual(self.parts.bucket.store.stats().evicted, 0)


class UnknownTests(ReplicaTestCase):
    """Buckets that are not, or no more, known here."""

    def drop(self) -> None:
        """The bucket is dropped, with stamp 9."""
        entry = self.parts.bucket.entry
        self.parts.buckets.merge([replace(entry, stamp=9, dropped=True)])

    def test_unknown(self) -> None:
        """What belongs to a bucket not heard of is refused, and names it."""
        for request in (
            Copy("x", b"key", b"", 1, A, NEVER),
            Push("x", (Pushed(b"key", b"", 1, A, NEVER),)),
            Page("x", to_bytes(1)),
            Compare("x", to_bytes(1)),
            Offer("x", ()),
            Evict("x", ()),
        ):
            self.assertEqual(self.answer(request), Refused(UNKNOWN_BUCKET, "x"))

    def test_unknown_fetch(self) -> None:
        """Of such a bucket it holds nothing, and says so."""
        self.assertEqual(self.answer(Fetch("x", b"key")), Found(None))

    def test_dropped(self) -> None:
        """What was written before the drop need not be held, and that is all right."""
        self.drop()
        for request in (
            self.copy(b"value", 9),
            Push("b", (Pushed(self.key, b"value", 9, A, NEVER),)),
        ):
            self.assertEqual(self.answer(request), Done())
        self.assertEqual(self.answer(Fetch("b", self.key)), Found(None))

    def test_dropped_and_asked(self) -> None:
        """Of what was dropped there is nothing to compare, and nothing to give."""
        self.drop()
        for request in (
            Page("b", to_bytes(1 << self.slot)),
            Compare("b", to_bytes(NO_SLOTS)),
            Offer("b", (Offered(self.key, 9, A),)),
        ):
            self.assertEqual(self.answer(request), Refused(UNKNOWN_BUCKET, "b"))

    def test_created_again(self) -> None:
        """What was written afterwards is of a bucket that is still to be heard of."""
        self.drop()
        for request in (
            self.copy(b"value", 10),
            Push("b", (Pushed(self.key, b"value", 10, A, NEVER),)),
        ):
            self.assertEqual(self.answer(request), Refused(UNKNOWN_BUCKET, "b"))

    def test_created_again_here(self) -> None:
        """A bucket that was made anew takes nothing from before the drop."""
        self.drop()
        self.parts.buckets.add(self.parts.bucket.settings, (11, A))
        self.answer(self.copy(b"old", 9))
        bucket = self.parts.buckets.by_name["b"]
        slot = slot_of(bucket.seed, self.key)
        self.assertIsNone(bucket.store.peek(slot, self.key, 0.0))
