"""
What a primary answers: the newest value there is, and never an older one after.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.config import TTL_S_MAX
from mycorrizal.mycel.messages import (
    BUSY,
    DEFAULT_TTL,
    NEVER,
    UNKNOWN_BUCKET,
    Answer,
    CreateBucket,
    Done,
    Found,
    Get,
    Put,
    PutIf,
    Refused,
    Routed,
    Touch,
)
from mycorrizal.mycel.operations import primary
from mycorrizal.mycel.operations.asking import Waiter
from mycorrizal.mycel.operations.primary import Primary
from tests.mycel.parts import (
    ME,
    A,
    Parts,
    key_in,
    slot_owned_by,
    writes_of,
)


class PrimaryTestCase(SynchronousTestCase):
    """This node is primary of the key's slot; others as the case may be."""

    others: tuple[bytes, ...] = ()

    def setUp(self) -> None:
        self.parts = parts = Parts(*self.others)
        self.writes = writes_of(parts)
        self.primary = Primary(
            parts.view,
            parts.claims,
            parts.buckets,
            parts.hybrid,
            self.writes,
            parts.ask,
            parts.now,
            parts.administration.perform,
        )
        self.ask = parts.ask
        self.slot = slot_owned_by(parts.view, ME, *self.others)
        self.key = key_in(parts.bucket, self.slot)
        self.answers: list[Answer] = []

    def perform(self, request: Routed) -> None:
        """Perform an operation that has 5 seconds."""
        deadline = self.parts.now() + 5
        self.primary.perform(request, self.slot, deadline, self.answers.append)

    def answer_to(self, request: Routed) -> Answer:
        """The answer to an operation that gets one at once."""
        self.perform(request)
        return self.answers.pop()

    def get(self) -> Get:
        return Get("b", self.key)

    def put(
        self, value: bytes | None, ttl_ms: int = DEFAULT_TTL, clock: int = 0
    ) -> Put:
        return Put("b", self.key, value, ttl_ms, clock)

    def touch(self, ttl_ms: int) -> Touch:
        return Touch("b", self.key, ttl_ms, 0)

    def read(self) -> tuple[bytes | None, int]:
        """The value, and the milliseconds that remain."""
        found = self.answer_to(self.get())
        assert isinstance(found, Found)
        return found.value, found.remaining_ms


class AloneTests(PrimaryTestCase):
    """Without others."""

    def test_put_and_get(self) -> None:
        """What was put is there to be read, with its version."""
        self.assertEqual(self.answer_to(self.get()), Found(None))
        done = self.answer_to(self.put(b"value"))
        assert isinstance(done, Done)
        self.assertEqual((done.existed, done.copies), (False, 1))
        found = Found(b"value", done.stamp, ME, NEVER)
        self.assertEqual(self.answer_to(self.get()), found)

    def test_versions_rise(self) -> None:
        """Each write is above the one before, and above its caller's clock."""
        first = self.answer_to(self.put(b"one"))
        assert isinstance(first, Done)
        second = self.answer_to(self.put(b"two", clock=first.stamp + 10**9))
        assert isinstance(second, Done)
        self.assertGreater(second.stamp, first.stamp + 10**9)

    def test_unknown_bucket(self) -> None:
        """An unknown bucket is named."""
        refused = Refused(UNKNOWN_BUCKET, "x")
        for request in (
            Get("x", b"key"),
            Put("x", b"key", b"", 0, 0),
            Touch("x", b"key", 0, 0),
        ):
            self.assertEqual(self.answer_to(request), refused)

    def test_delete(self) -> None:
        """A delete says whether the value was there."""
        self.assertFalse(self.deleted())
        self.answers.clear()
        self.perform(self.put(b"value"))
        self.answers.clear()
        self.assertTrue(self.deleted())
        self.assertEqual(self.read()[0], None)
        self.assertFalse(self.deleted())

    def deleted(self) -> bool:
        """Whether a delete finds the value."""
        done = self.answer_to(self.put(None))
        assert isinstance(done, Done)
        return done.existed

    def test_delete_of_nothing(self) -> None:
        """A delete is remembered, also if nothing is here: others may have it."""
        self.assertFalse(self.deleted())
        self.assertEqual(self.parts.bucket.store.stats().tombstones, 1)

    def test_touch(self) -> None:
        """A new time to live begins now, and leaves the value."""
        self.assertEqual(self.answer_to(self.touch(500)), Done(existed=False))
        self.perform(self.put(b"value", 1000))
        self.parts.clock.advance(0.75)
        self.perform(self.touch(500))
        self.parts.clock.advance(0.25)
        self.assertEqual(self.read(), (b"value", 250))
        self.parts.clock.advance(0.25)
        self.assertEqual(self.read()[0], None)
        self.assertEqual(self.answer_to(self.touch(500)), Done(existed=False))

    def test_expired_value_is_not_deleted(self) -> None:
        """To delete what has expired finds nothing."""
        self.perform(self.put(b"value", 1000))
        self.parts.clock.advance(1)
        self.assertFalse(self.deleted())

    def test_times_to_live(self) -> None:
        """0 is the bucket's, -1 for ever, and nothing is longer than a century."""
        century_ms = int(TTL_S_MAX * 1000)
        for asked, left in (
            (0, NEVER),
            (NEVER, NEVER),
            (1, 1),
            (century_ms, century_ms),
            (century_ms + 1, century_ms),
        ):
            self.perform(self.put(b"value", asked))
            self.assertEqual(self.read(), (b"value", left))

    def test_default_time_to_live(self) -> None:
        """A value put without a time to live has the bucket's."""
        self.perform(CreateBucket("t", 1500, 10, None, 0, 0))
        for request in (
            Put("t", self.key, b"value", DEFAULT_TTL, 0),
            Touch("t", self.key, DEFAULT_TTL, 0),
        ):
            self.perform(request)
            found = self.answer_to(Get("t", self.key))
            assert isinstance(found, Found)
            self.assertEqual((found.value, found.remaining_ms), (b"value", 1500))
            self.perform(Put("t", self.key, b"value", NEVER, 0))


class ConditionTests(PrimaryTestCase):
    """Writes that depend on whether there is a value."""

    others = (A,)

    def put_if(self, if_present: bool, value: bytes = b"new") -> PutIf:
        return PutIf("b", self.key, value, DEFAULT_TTL, if_present, 0)

    def hold(self, value: bytes | None = b"old") -> None:
        """Let a write be done."""
        self.perform(self.put(value))
        self.ask.answer(Done())
        self.answers.clear()

    def test_add(self) -> None:
        """A value is added where there is none, and copied as any other."""
        self.perform(self.put_if(False))
        self.assertIsNone(self.read()[0])
        self.ask.answer(Done())
        (done,) = self.answers
        assert isinstance(done, Done)
        self.assertEqual((done.existed, done.copies), (False, 2))
        self.assertEqual(self.read()[0], b"new")

    def test_not_added(self) -> None:
        """Where there is one it stays, and nothing is sent."""
        self.hold()
        self.assertEqual(self.answer_to(self.put_if(False)), Done(True))
        self.assertEqual((self.read()[0], self.ask.asked), (b"old", []))

    def test_replaced(self) -> None:
        """A value is replaced where there is one."""
        self.hold()
        self.perform(self.put_if(True))
        self.ask.answer(Done())
        self.assertEqual(self.read()[0], b"new")

    def test_not_replaced(self) -> None:
        """Where there is none there is none afterwards; a deleted one is none."""
        self.assertEqual(self.answer_to(self.put_if(True)), Done(False))
        self.hold()
        self.hold(None)
        self.assertEqual(self.answer_to(self.put_if(True)), Done(False))
        self.assertIsNone(self.read()[0])

    def test_two_adds(self) -> None:
        """Of two adds at once, one writes."""
        self.perform(self.put_if(False, b"one"))
        self.assertEqual(self.answer_to(self.put_if(False, b"two")), Done(True))
        self.ask.answer(Done())
        self.assertEqual(self.read()[0], b"one")

    def test_expired(self) -> None:
        """What has expired is not there."""
        self.perform(self.put(b"old", 1000))
        self.ask.answer(Done())
        self.parts.clock.advance(1)
        self.assertEqual(self.answer_to(self.put_if(True)), Done(False))

    def test_cleared_under_way(self) -> None:
        """A write under way that was cleared meanwhile is not there either."""
        self.perform(self.put(b"old"))
        bucket = self.parts.bucket
        write = self.writes.latest("b", self.key)
        assert write is not None
        bucket.cleared = write.stamp
        bucket.store.refuse(write.stamp)
        self.assertEqual(self.answer_to(self.touch(1000)), Done(False))
        self.assertEqual(self.answer_to(self.put_if(True)), Done(False))


class BoundTests(PrimaryTestCase):
    """What a primary takes no more of."""

    others = (A,)

    def test_writes(self) -> None:
        """So many writes may be under way; the next is refused, and not begun."""
        self.patch(primary, "WRITES_MAX", 2)
        self.perform(self.put(b"one"))
        self.perform(self.put(b"two"))
        self.assertEqual(self.answer_to(self.put(b"three")), Refused(BUSY, "2"))
        self.assertEqual(len(self.ask.asked), 2)
        self.ask.answer(Done())
        self.perform(self.put(b"three"))
        self.assertEqual(len(self.ask.asked), 2)


class GivenUpTests(PrimaryTestCase):
    """Operations whose caller has given up."""

    def test_not_done(self) -> None:
        """What was cancelled before it began is not done, nor answered."""
        waiter = GivenUp()
        deadline = self.parts.now() + 5
        self.primary.perform(self.put(b"value"), self.slot, deadline, waiter)
        waiter.wanted = False
        self.primary.perform(self.put(b"late"), self.slot, deadline, waiter)
        self.assertEqual(len(waiter.answers), 1)
        self.assertEqual(self.read()[0], b"value")


class GivenUp(Waiter):
    """A caller who may give up."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []

    def __call__(self, answer: Answer) -> None:
        self.answers.append(answer)


class UnderWayTests(PrimaryTestCase):
    """A write builds on the one that is under way."""

    others = (A,)

    def setUp(self) -> None:
        super().setUp()
        self.perform(self.put(b"old"))
        self.ask.answer(Done())
        self.answers.clear()

    def finish(self) -> list[Answer]:
        """Let all copies arrive."""
        while self.ask.asked:
            self.ask.answer(Done())
        return self.answers

    def test_not_readable_yet(self) -> None:
        """Until its copies stand, the old value is read."""
        self.perform(self.put(b"new"))
        self.assertEqual(self.read()[0], b"old")
        self.finish()
        self.assertEqual(self.read()[0], b"new")

    def test_put_then_touch(self) -> None:
        """A new time to live for a value under way does not bring back the old."""
        self.perform(self.put(b"new"))
        self.perform(self.touch(1000))
        self.assertEqual(len(self.finish()), 2)
        self.assertEqual(self.read(), (b"new", 1000))

    def test_delete_then_touch(self) -> None:
        """A new time to live does not bring back what is being deleted."""
        self.perform(self.put(None))
        self.assertEqual(self.answer_to(self.touch(1000)), Done(existed=False))
        self.finish()
        self.assertIsNone(self.read()[0])

    def test_two_deletes(self) -> None:
        """Of two deletes at once, one finds the value."""
        self.perform(self.put(None))
        self.perform(self.put(None))
        self.finish()
        found = [it.existed for it in self.answers if isinstance(it, Done)]
        self.assertEqual(found, [True, False])

    def test_delete_of_first_put(self) -> None:
        """A delete that follows a put under way deletes it."""
        self.perform(self.put(None))
        self.finish()
        self.perform(self.put(b"new"))
        self.perform(self.put(None))
        self.finish()
        self.assertIsNone(self.read()[0])

    def test_expired_under_way(self) -> None:
        """What has expired before its copies stand can't be given new life."""
        self.perform(self.put(b"new", 1000))
        self.parts.clock.advance(1)
        self.assertEqual(self.answer_to(self.touch(1000)), Done(existed=False))
