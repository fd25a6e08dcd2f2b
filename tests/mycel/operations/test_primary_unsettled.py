"""
What a new primary answers before it holds everything, and who makes buckets.
"""

from __future__ import annotations

from mycorrizal.mycel.config import BUCKETS_MAX
from mycorrizal.mycel.messages import (
    CONFLICT,
    NEVER,
    NOT_OWNER,
    TOO_MANY,
    UNKNOWN_BUCKET,
    UNREACHED,
    Answer,
    Buckets,
    Copy,
    CreateBucket,
    Done,
    Fetch,
    Found,
    Get,
    Refused,
)
from mycorrizal.mycel.operations import primary as primary_module
from mycorrizal.mycel.slots.routes import UNSETTLED
from mycorrizal.mycel.slots.slotset import ALL_SLOTS
from tests.mycel.operations.test_primary import PrimaryTestCase
from tests.mycel.parts import (
    ME,
    A,
    B,
    agree,
    key_in,
    let_claim,
    slot_owned_by,
)


class UnsettledTests(PrimaryTestCase):
    """A new primary asks the others first: A and B have not pushed all."""

    others = (A, B)

    def setUp(self) -> None:
        super().setUp()
        # It was theirs until now, and they hold something of it.
        self.unsettle(A, B)

    def unsettle(self, *holders: bytes) -> None:
        """Others say that they hold something of the slots of this node."""
        for holder in holders:
            effects = self.parts.claims.link_up(holder, 0.0)
            agree(self.parts.claims, effects, held=ALL_SLOTS)
        self.assertEqual(self.parts.claims.routes.status[self.slot], UNSETTLED)

    def answer_both(self, a: Answer | None, b: Answer | None) -> None:
        """Let A and B answer, in this order."""
        self.ask.answer(a, A)
        self.ask.answer(b, B)

    def test_newest_of_all(self) -> None:
        """A read returns the newest version that anybody has."""
        self.parts.store(self.key, b"mine", 5)
        self.perform(self.get())
        self.assertEqual(self.ask.requests(), [Fetch("b", self.key)] * 2)
        self.ask.answer(Found(b"theirs", 7, A, 4000), A)
        self.assertEqual(self.answers, [])
        self.ask.answer(Found(b"older", 6, B, NEVER), B)
        self.assertEqual(self.answers, [Found(b"theirs", 7, A, 4000)])

    def test_mine_is_newest(self) -> None:
        """A read returns this node's own version if nobody has a newer one."""
        self.parts.store(self.key, b"mine", 8)
        self.perform(self.get())
        self.answer_both(Found(b"theirs", 7, A), Found(None))
        self.assertEqual(self.answers, [Found(b"mine", 8, ME, NEVER)])

    def test_tombstone(self) -> None:
        """A delete that another knows of is newer than the value here."""
        self.parts.store(self.key, b"mine", 5)
        self.perform(self.get())
        self.answer_both(Found(None, 7, A, 3_000_000), Found(None))
        (found,) = self.answers
        assert isinstance(found, Found)
        self.assertIsNone(found.value)

    def test_asked_once(self) -> None:
        """A key that was asked for is known, until members change again."""
        self.perform(self.get())
        self.answer_both(Found(b"theirs", 7, A), Found(None))
        self.perform(self.get())
        self.assertEqual(self.ask.asked, [])
        self.primary.holders_changed()
        self.perform(self.get())
        self.assertEqual(len(self.ask.asked), 2)

    def test_known_keys_are_bounded(self) -> None:
        """At the bound all are forgotten, which costs a question and no more."""
        self.patch(primary_module, "FETCHED_MAX", 2)
        keys = [key_in(self.parts.bucket, self.slot, number) for number in range(3)]
        for key in keys[:2]:
            self.perform(Get("b", key))
            self.answer_both(Found(None), Found(None))
        self.perform(Get("b", keys[0]))
        self.assertEqual(self.ask.asked, [])
        self.perform(Get("b", keys[2]))
        self.answer_both(Found(None), Found(None))
        self.perform(Get("b", keys[0]))
        self.assertEqual(len(self.ask.asked), 2)

    def test_put_asks_nobody(self) -> None:
        """A put replaces what others hold, whatever that is; then all is known."""
        self.perform(self.put(b"new"))
        (copy,) = self.ask.requests()
        self.assertIsInstance(copy, Copy)
        self.ask.answer(Done())
        self.perform(self.get())
        self.assertEqual(self.ask.asked, [])
        found = self.answers[-1]
        assert isinstance(found, Found)
        self.assertEqual(found.value, b"new")

    def test_put_under_way(self) -> None:
        """While a put is under way, the value that others hold is still found."""
        self.perform(self.put(b"new"))
        self.perform(self.get())
        fetches = [it for it in self.ask.asked if isinstance(it.request, Fetch)]
        for asked in fetches:
            asked.done(Found(b"old", 7, A) if asked.node_key == A else Found(None))
        self.assertEqual(self.answers, [Found(b"old", 7, A, NEVER)])

    def test_delete_and_touch(self) -> None:
        """A value that only others hold can be deleted and touched."""
        for request in (self.put(None), self.touch(1000)):
            self.setUp()
            self.perform(request)
            self.answer_both(Found(None), Found(b"theirs", 7, B))
            self.ask.answer(Done())
            (done,) = self.answers
            assert isinstance(done, Done)
            self.assertTrue(done.existed)

    def test_bucket_unknown_there(self) -> None:
        """Who does not know the bucket has nothing of it."""
        self.perform(self.get())
        self.answer_both(Refused(UNKNOWN_BUCKET, "b"), Found(b"theirs", 7, B))
        self.assertEqual(self.answers, [Found(b"theirs", 7, B, NEVER)])

    def test_silence_is_no_answer(self) -> None:
        """A holder that does not answer is asked again: it may have the value."""
        self.perform(self.get())
        self.answer_both(None, Found(None))
        self.assertEqual(self.answers, [])
        self.ask.answer(Found(b"theirs", 7, A), A)
        self.assertEqual(self.answers, [Found(b"theirs", 7, A, NEVER)])

    def test_silence_until_the_end(self) -> None:
        """If holders say nothing in time, the read is not done, once."""
        self.perform(self.get())
        self.parts.clock.advance(5)
        self.answer_both(None, None)
        (refused,) = self.answers
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, UNREACHED)
        self.perform(self.get())
        self.assertEqual(len(self.ask.asked), 2)

    def test_holder_dies_meanwhile(self) -> None:
        """Who dies while it is asked is not waited for."""
        self.perform(self.get())
        self.ask.answer(Found(None), A)
        self.parts.change(A)
        self.ask.answer(None, B)
        self.assertEqual(self.answers, [Found(None)])

    def test_slot_is_lost_meanwhile(self) -> None:
        """If another becomes primary while it asks, that one has to answer."""
        self.perform(self.get())
        self.parts.view.leaves(ME)
        let_claim(self.parts.claims, A, 1 << self.slot)
        self.answer_both(Found(b"theirs", 7, A), Found(None))
        self.assertEqual(self.answers, [Refused(NOT_OWNER)])

    def test_more_holders_meanwhile(self) -> None:
        """Who says later that it holds something is asked, too."""
        self.parts.claims.fetched(B, ALL_SLOTS)
        self.perform(self.get())
        self.assertEqual(len(self.ask.asked), 1)
        self.unsettle(B)
        self.primary.holders_changed()
        self.ask.answer(Found(None), A)
        self.perform(self.get())
        self.assertEqual(len(self.ask.asked), 0)

    def test_not_ours(self) -> None:
        """What this node is not primary of is sent back."""
        slot = slot_owned_by(self.parts.view, A, B)
        self.primary.perform(self.get(), slot, 5, self.answers.append)
        self.assertEqual(self.answers, [Refused(NOT_OWNER)])

    def test_settled(self) -> None:
        """When all was fetched, nobody is asked."""
        for other in (A, B):
            self.parts.claims.fetched(other, ALL_SLOTS)
        self.assertEqual(self.answer_to(self.get()), Found(None))


class CreateTests(PrimaryTestCase):
    """Buckets are created by the primary of their name."""

    others = (A, B)

    def create(self, name: str = "new", **changes: int) -> CreateBucket:
        settings = {"ttl_ms": 1000, "max_entries": 10, "replicas": 1, **changes}
        return CreateBucket(
            name,
            settings["ttl_ms"],
            settings["max_entries"],
            None,
            settings["replicas"],
            0,
        )

    def test_everybody_is_told(self) -> None:
        """A bucket is created when every member knows it."""
        self.perform(self.create())
        self.assertEqual(self.answers, [])
        told = self.ask.answer(Done(), A)
        assert isinstance(told, Buckets)
        self.assertEqual([entry.name for entry in told.buckets], ["new"])
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [Done(copies=3)])
        self.assertIn("new", self.parts.buckets.by_name)

    def test_again(self) -> None:
        """The same settings again are fine, and do not make another version."""
        self.perform(self.create())
        version = self.parts.buckets.by_name["new"].version
        self.perform(self.create())
        self.assertEqual(self.parts.buckets.by_name["new"].version, version)
        while self.ask.asked:
            self.ask.answer(Done())
        self.assertEqual(self.answers, [Done(copies=3)] * 2)

    def test_conflict(self) -> None:
        """Other settings are refused, and what differs is named."""
        self.perform(self.create())
        refused = self.answer_to(self.create(replicas=2, ttl_ms=NEVER))
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, CONFLICT)
        self.assertEqual(refused.text, "ttl_s is 1.0, not None, replicas is 1, not 2")

    def test_bound(self) -> None:
        """A cluster has so many buckets; the next one is refused by name."""
        for number in range(BUCKETS_MAX - 2):
            self.parts.open(f"bucket {number}", 0)
        self.perform(self.create("the last"))
        self.assertIn("the last", self.parts.buckets.by_name)
        refused = self.answer_to(self.create("one more"))
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, TOO_MANY)
        self.assertIn(str(BUCKETS_MAX), refused.text)
        self.assertNotIn("one more", self.parts.buckets.by_name)
        self.perform(self.create("the last"))
