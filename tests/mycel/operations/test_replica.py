"""
What a node answers to the other owners of a slot.
"""

from __future__ import annotations

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.messages import (
    NEVER,
    UNKNOWN_BUCKET,
    Copy,
    Done,
    Fetch,
    Found,
    Refused,
)
from mycorrizal.mycel.operations.replica import Replica
from mycorrizal.mycel.slot_messages import Push, Pushed
from tests.mycel.parts import ME, A, B, C, Parts, key_in, slot_owned_by


class ReplicaTests(SynchronousTestCase):
    """This node, with three others."""

    def setUp(self) -> None:
        self.parts = parts = Parts(A, B, C)
        self.replica = Replica(parts.buckets, parts.hybrid, parts.now)
        self.key = key_in(parts.bucket, slot_owned_by(parts.view, A, ME))

    def test_copy(self) -> None:
        """A copy is held for as long as its value has to live."""
        copy = Copy("b", self.key, b"value", 7, A, 1500)
        self.assertEqual(self.replica.answer(copy), Done())
        self.parts.clock.advance(1.499)
        self.assertEqual(self.parts.held(self.key), b"value")
        self.parts.clock.advance(0.001)
        self.assertIsNone(self.parts.held(self.key))

    def test_older_copy(self) -> None:
        """An older version is acknowledged and not taken."""
        self.replica.answer(Copy("b", self.key, b"new", 7, A, NEVER))
        answer = self.replica.answer(Copy("b", self.key, b"old", 6, B, NEVER))
        self.assertEqual(answer, Done())
        self.assertEqual(self.parts.held(self.key), b"new")

    def test_equal_stamps(self) -> None:
        """Of equal stamps the higher node key wins, in either order."""
        for first, second in ((A, B), (B, A)):
            self.setUp()
            for origin in (first, second):
                copy = Copy("b", self.key, origin, 7, origin, NEVER)
                self.replica.answer(copy)
            self.assertEqual(self.parts.held(self.key), max(A, B))

    def test_clock_moves_up(self) -> None:
        """What this node writes next is above every copy it has taken."""
        high = self.parts.hybrid.tick() + 10**12
        self.replica.answer(Copy("b", self.key, b"value", high, A, NEVER))
        self.assertGreater(self.parts.hybrid.tick(), high)

    def test_fetch(self) -> None:
        """It says what it holds itself, tombstones included."""
        fetch = Fetch("b", self.key)
        self.assertEqual(self.replica.answer(fetch), Found(None))
        self.parts.store(self.key, b"value", 7, ttl_s=2)
        self.assertEqual(self.replica.answer(fetch), Found(b"value", 7, ME, 2000))
        self.parts.store(self.key, None, 8, ttl_s=3600)
        self.assertEqual(self.replica.answer(fetch), Found(None, 8, ME, 3_600_000))

    def test_fetch_is_no_use(self) -> None:
        """To be asked by another owner is no read of a user's."""
        self.parts.store(self.key, b"value", 7)
        self.replica.answer(Fetch("b", self.key))
        stats = self.parts.bucket.store.stats()
        self.assertEqual((stats.hits, stats.misses), (0, 0))

    def test_push(self) -> None:
        """All entries of a push are taken."""
        other = key_in(self.parts.bucket, slot_owned_by(self.parts.view, ME, A))
        entries = (
            Pushed(self.key, b"one", 7, A, NEVER),
            Pushed(other, b"two", 8, B, NEVER),
        )
        self.assertEqual(self.replica.answer(Push("b", entries)), Done())
        self.assertEqual(self.parts.held(self.key), b"one")
        self.assertEqual(self.parts.held(other), b"two")

    def test_unknown_bucket(self) -> None:
        """What belongs to a bucket not heard of is refused, and names it."""
        refused = Refused(UNKNOWN_BUCKET, "x")
        for request in (
            Fetch("x", b"key"),
            Copy("x", b"key", b"", 1, A, NEVER),
            Push("x", ()),
        ):
            self.assertEqual(self.replica.answer(request), refused)


class DroppedTests(SynchronousTestCase):
    """A bucket that was dropped here."""

    def setUp(self) -> None:
        self.parts = parts = Parts(A, B, C)
        self.replica = Replica(parts.buckets, parts.hybrid, parts.now)
        self.key = key_in(parts.bucket, slot_owned_by(parts.view, A, ME))
        entry = self.parts.bucket.entry
        self.parts.buckets.merge([replace(entry, stamp=9, dropped=True)])

    def test_nothing_to_hold(self) -> None:
        """What was written before the drop need not be held, and that is all right."""
        for request in (
            Copy("b", self.key, b"value", 9, A, NEVER),
            Push("b", (Pushed(self.key, b"value", 9, A, NEVER),)),
            Push("b", ()),
        ):
            self.assertEqual(self.replica.answer(request), Done())
        self.assertEqual(self.replica.answer(Fetch("b", self.key)), Found(None))

    def test_created_again(self) -> None:
        """What was written afterwards is of a bucket that is still to be heard of."""
        for request in (
            Copy("b", self.key, b"value", 10, A, NEVER),
            Push("b", (Pushed(self.key, b"value", 10, A, NEVER),)),
        ):
            refused = Refused(UNKNOWN_BUCKET, "b")
            self.assertEqual(self.replica.answer(request), refused)
