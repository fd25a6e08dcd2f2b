"""
What is done to a bucket is done by every member, or it is not known.
"""

from __future__ import annotations

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.bucket_messages import (
    NO_LIMIT,
    Administered,
    AlterBucket,
    BucketEntry,
    Buckets,
    ClearBucket,
    CreateBucket,
    DropBucket,
)
from mycorrizal.mycel.config import BUCKETS_MAX, BucketSettings
from mycorrizal.mycel.messages import (
    CONFLICT,
    INDETERMINATE,
    NEVER,
    SENSELESS,
    TOO_MANY,
    UNKNOWN_BUCKET,
    Answer,
    Done,
    Refused,
)
from tests.mycel.parts import ME, A, B, Parts, members


class AdministrationTestCase(SynchronousTestCase):
    """This node is primary of the bucket's name; A and B are there, too."""

    def setUp(self) -> None:
        self.parts = Parts(A, B)
        self.ask = self.parts.ask
        self.answers: list[Answer] = []
        self.deadline = 5.0

    def perform(self, request: Administered) -> None:
        """Do what is asked."""
        administration = self.parts.administration
        administration.perform(request, self.deadline, self.answers.append)

    def told(self) -> BucketEntry:
        """What both others are told, which they do then."""
        news, same = (self.ask.answer(Done(), node_key) for node_key in (A, B))
        assert isinstance(news, Buckets)
        self.assertEqual(news, same)
        (entry,) = news.buckets
        return entry

    def alter(
        self,
        ttl_ms: int | None = None,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        replicas: int | None = None,
    ) -> AlterBucket:
        """A change of the bucket."""
        return AlterBucket("b", ttl_ms, max_entries, max_bytes, replicas, None, 0)

    def settings(self) -> BucketSettings:
        """The settings in force here."""
        return self.parts.buckets.by_name["b"].settings


CREATE = CreateBucket("new", 1000, 10, None, 2, 0, write="one")


class PerformTests(AdministrationTestCase):
    """What is asked of it."""

    def test_create(self) -> None:
        """A bucket is there when every member knows it."""
        self.perform(CREATE)
        self.assertEqual(self.answers, [])
        entry = self.told()
        self.assertEqual(self.answers, [Done(copies=3)])
        self.assertEqual(entry, self.parts.buckets.by_name["new"].entry)
        self.assertEqual((entry.created, entry.write), (entry.stamp, "one"))

    def test_again(self) -> None:
        """The same again is fine, and told once more with its old version."""
        self.perform(CREATE)
        entry = self.told()
        self.perform(CREATE)
        self.assertEqual(self.told(), entry)

    def test_conflict(self) -> None:
        """Other settings are refused, and what is different is named."""
        self.perform(CREATE)
        self.told()
        self.perform(CreateBucket("new", NEVER, 10, None, 2, 0))
        difference = "ttl_s is 1.0, not None, write is one, not all"
        self.assertEqual(self.answers[1:], [Refused(CONFLICT, difference)])

    def test_too_many(self) -> None:
        """A cluster has so many buckets."""
        for number in range(BUCKETS_MAX - 1):
            self.parts.open(f"{number}")
        self.perform(CREATE)
        (refused,) = self.answers
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, TOO_MANY)

    def test_unknown(self) -> None:
        """What is not there can't be altered, cleared or dropped."""
        for request in (
            AlterBucket("x", None, 5, None, None, None, 0),
            ClearBucket("x", 0),
            DropBucket("x", 0),
        ):
            self.perform(request)
            self.assertEqual(self.answers.pop(), Refused(UNKNOWN_BUCKET, "x"))

    def test_alter(self) -> None:
        """What is given changes, with a higher version, and the rest stays."""
        before = self.parts.bucket.entry
        self.perform(self.alter(ttl_ms=1500, max_bytes=5000, replicas=2))
        entry = self.told()
        self.assertEqual(self.settings(), BucketSettings("b", 1.5, 1000, 5000, 2))
        self.assertGreater(entry.stamp, before.stamp)
        self.assertEqual(entry.created, before.created)
        self.assertEqual(self.parts.moves, 1)
        self.perform(self.alter(ttl_ms=NEVER, max_entries=NO_LIMIT))
        self.told()
        self.assertEqual(self.settings(), BucketSettings("b", None, None, 5000, 2))
        self.assertEqual(self.parts.moves, 1)

    def test_alter_nothing(self) -> None:
        """What is so already makes no new version."""
        before = self.parts.bucket.entry
        self.perform(self.alter(max_entries=1000))
        self.assertEqual(self.told(), before)

    def test_without_limits(self) -> None:
        """A bucket keeps one limit at least."""
        self.perform(self.alter(max_entries=NO_LIMIT))
        (refused,) = self.answers
        assert isinstance(refused, Refused)
        self.assertEqual(refused.reason, SENSELESS)
        self.assertIn("max_entries or max_bytes", refused.text)
        self.assertEqual(self.settings().max_entries, 1000)

    def test_clear(self) -> None:
        """What was written before goes; what is written then is above it."""
        self.parts.store(b"k", b"value", self.parts.hybrid.tick())
        self.perform(ClearBucket("b", 0))
        self.assertEqual(self.parts.bucket.store.entries, 0)
        entry = self.told()
        self.assertEqual(self.answers, [Done(copies=3)])
        self.assertGreater(self.parts.hybrid.tick(), entry.cleared)
        self.parts.store(b"k", b"old", entry.cleared)
        self.parts.store(b"l", b"new", self.parts.hybrid.tick())
        self.assertEqual(self.parts.bucket.store.entries, 1)

    def test_drop(self) -> None:
        """A bucket goes with all that it has, and is not brought back."""
        bucket = self.parts.bucket
        self.parts.store(b"k", b"value", 7)
        self.perform(DropBucket("b", 0))
        entry = self.told()
        self.assertEqual(self.answers, [Done(copies=3)])
        self.assertEqual((self.parts.buckets.by_name, bucket.store.entries), ({}, 0))
        self.assertTrue(entry.dropped)
        self.perform(CreateBucket("b", NEVER, 10, None, 1, 0))
        again = self.told()
        self.assertGreater(again.created, entry.stamp)
        self.assertEqual(again.cleared, entry.stamp)


class SpreadTests(AdministrationTestCase):
    """Members that don't answer."""

    def test_silent(self) -> None:
        """It is said again until the time is over, and is not known then."""
        self.perform(CREATE)
        self.ask.answer(Done(), A)
        self.ask.answer(None, B)
        self.assertEqual(len(self.ask.requests(B)), 1)
        self.parts.clock.advance(5)
        self.ask.answer(None, B)
        text = "not all members answered in time"
        self.assertEqual(self.answers, [Refused(INDETERMINATE, text)])

    def test_gone(self) -> None:
        """A member that is no more need not know."""
        self.perform(CREATE)
        self.ask.answer(Done(), A)
        self.parts.view.change(members(A))
        self.ask.answer(None, B)
        self.assertEqual(self.answers, [Done(copies=2)])

    def test_alone(self) -> None:
        """A node alone answers at once."""
        self.parts.view.change(members())
        self.perform(CREATE)
        self.assertEqual(self.answers, [Done(copies=1)])

    def test_swept_here(self) -> None:
        """It is done when this node has let go what it held."""
        for number in range(9000):
            self.parts.bucket.store.merge(0, b"%d" % number, b"", 7, ME, 1e9, 0.0)
            self.parts.bucket.store.merge(1, b"%d" % number, b"", 7, ME, 1e9, 0.0)
        self.parts.bucket.store.limit(None, None)
        self.perform(ClearBucket("b", 0))
        self.told()
        while self.parts.runtime.pending_timers():
            self.assertEqual(self.answers, [])
            self.parts.runtime.poke()
        self.assertEqual(self.answers, [Done(copies=3)])


class ToldTests(AdministrationTestCase):
    """What others say."""

    def test_conflict(self) -> None:
        """A bucket that was created twice with other settings is logged."""
        entry = self.parts.bucket.entry
        other = BucketEntry("b", 1000, 1000, None, 1, 9, A, created=9)
        with capturedLogs() as logs:
            self.parts.administration.told(Buckets((other,), 9), lambda: None)
        (event,) = [it for it in logs if it.get("bucket") == "b"]
        self.assertIn("ttl_s is 1.0, not None", event["difference"])
        self.assertGreater(self.parts.bucket.entry.stamp, entry.stamp)

    def test_clock(self) -> None:
        """What is written then is above all that the other has seen."""
        high = self.parts.hybrid.tick() + 10**12
        self.parts.administration.told(Buckets((), high), lambda: None)
        self.assertGreater(self.parts.hybrid.tick(), high)
