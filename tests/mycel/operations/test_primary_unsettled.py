"""
What a new primary answers before it holds everything, and who makes buckets.
"""

from __future__ import annotations

from mycorrizal.mycel.config import BUCKETS_MAX
from mycorrizal.mycel.messages import (
    CONFLICT,
    INDETERMINATE,
    NEVER,
    NOT_OWNER,
    TOO_MANY,
    UNKNOWN_BUCKET,
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
from tests.mycel.operations.test_primary import PrimaryTestCase
from tests.mycel.parts import (
    ME,
    A,
    B,
    key_in,
    member,
    members,
)


class UnsettledTests(PrimaryTestCase):
    """A new primary asks the others first: A and B have not pushed all."""

    others = (A, B)

    def setUp(self) -> None:
        super().setUp()
        # It was theirs until now: this node has come back.
        self.parts.view.change([member(A), member(B)])
        self.parts.view.change(members(A, B))
        self.assertTrue(self.parts.view.unsettled[self.slot])

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
        self.primary.members_changed()
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

    def test_put_is_newer(self) -> None:
        """A put is above what the others hold, whatever their clocks say."""
        ahead = self.parts.hybrid.tick() + (10_000 << 16)
        self.perform(self.put(b"new"))
        self.answer_both(Found(b"old", ahead, A), Found(None))
        (copy,) = self.ask.requests()
        assert isinstance(copy, Copy)
        self.assertGreater(copy.stamp, ahead)

    def test_put_under_way(self) -> None:
        """While a put is under way, the value that others hold is still found."""
        self.perform(self.put(b"new"))
        self.answer_both(Found(b"old", 7, A), Found(None))
        self.assertEqual(self.answers, [])
        self.perform(self.get())
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
        """If holders say nothing in time, the read is indeterminate, once."""
        self.perform(self.get())
        self.parts.clock.advance(5)
        self.answer_both(None, None)
        (refused,) = self.answers
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, INDETERMINATE)
        self.perform(self.get())
        self.assertEqual(len(self.ask.asked), 2)

    def test_members_change_meanwhile(self) -> None:
        """If members change while it asks, it must begin again."""
        self.perform(self.get())
        self.ask.answer(Found(None), A)
        self.parts.view.change(members(A))
        self.primary.members_changed()
        self.ask.answer(None, B)
        self.assertEqual(self.answers, [Refused(NOT_OWNER)])
        self.perform(self.get())
        self.assertEqual(self.ask.requests(), [Fetch("b", self.key)])

    def test_heard_of_and_not_met(self) -> None:
        """While it is about to link with somebody, nothing can be said."""
        self.met_all = False
        for request in (self.get(), self.put(b"new"), self.put(None)):
            self.assertEqual(self.answer_to(request), Refused(NOT_OWNER))
        self.assertEqual(self.ask.asked, [])

    def test_settled(self) -> None:
        """When all are through, nobody is asked."""
        for other in (A, B):
            self.parts.view.through(other, self.parts.view.epoch)
        self.met_all = False
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
