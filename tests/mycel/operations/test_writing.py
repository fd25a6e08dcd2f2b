"""
A write is acknowledged, and can be read, when all live owners hold it.
"""

from __future__ import annotations

from typing import cast

import attrs
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.config import WriteMode
from mycorrizal.mycel.messages import (
    INDETERMINATE,
    NEVER,
    UNKNOWN_BUCKET,
    Answer,
    Buckets,
    Copy,
    Done,
    Found,
    Refused,
)
from mycorrizal.mycel.operations.writing import Write, Writes
from mycorrizal.mycel.slots.placement import SLOTS
from tests.mycel.parts import (
    ME,
    A,
    B,
    C,
    D,
    Parts,
    key_in,
    member,
    members,
    settled_view,
    slot_owned_by,
)


class WritingTestCase(SynchronousTestCase):
    """This node is primary of a slot, A its replica; B is there, too."""

    replicas = 1

    def setUp(self) -> None:
        self.parts = Parts(A, B, replicas=self.replicas)
        self.linked = {A, B, C}
        self.writes = Writes(
            self.parts.view,
            self.parts.ask,
            self.parts.now,
            lambda node_key: node_key in self.linked,
            lambda: Buckets(self.parts.buckets.entries(), 0),
        )
        self.ask = self.parts.ask
        self.slot = slot_owned_by(self.parts.view, ME, A, B)
        self.key = key_in(self.parts.bucket, self.slot)
        self.answers: list[Answer] = []

    def write(
        self, value: bytes | None = b"value", stamp: int = 7, ttl_s: float | None = None
    ) -> None:
        """Begin a write that has 5 seconds."""
        now = self.parts.now()
        deadline = float("inf") if ttl_s is None else now + ttl_s
        self.writes.begin(
            Write(
                self.parts.bucket,
                self.slot,
                self.key,
                value,
                stamp,
                deadline,
                now + 5,
                True,
                self.answers.append,
            )
        )

    def change(self, *others: bytes) -> None:
        """Members change."""
        self.parts.view.change(members(*others))
        self.writes.members_changed()


class WriteTests(WritingTestCase):
    """One replica."""

    def test_copy(self) -> None:
        """The replica is sent the version, with the time it has to live."""
        self.write(ttl_s=3)
        self.assertEqual(
            self.ask.requests(A), [Copy("b", self.key, b"value", 7, ME, 3000)]
        )
        self.assertEqual(self.ask.requests(B), [])

    def test_readable_when_copied(self) -> None:
        """Nobody reads a value whose copies do not stand yet."""
        self.write()
        self.assertIsNone(self.parts.held(self.key))
        self.assertEqual(self.answers, [])
        self.ask.answer(Done(), A)
        self.assertEqual(self.parts.held(self.key), b"value")
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])
        self.assertEqual(len(self.writes), 0)

    def test_alone(self) -> None:
        """Without other members a write is done at once, with one copy."""
        self.change()
        self.write()
        self.assertEqual(self.answers, [Done(True, 1, 7, ME)])

    def test_delete(self) -> None:
        """A delete travels as a version without a value."""
        self.write(None, ttl_s=3600)
        copy = self.ask.answer(Done(), A)
        self.assertEqual(copy, Copy("b", self.key, None, 7, ME, 3_600_000))

    def test_bucket_dropped(self) -> None:
        """A write whose bucket was dropped ends, and says so."""
        self.write()
        entry = self.parts.bucket.entry
        self.parts.buckets.merge([replace(entry, stamp=9, dropped=True)])
        self.ask.answer(Refused(UNKNOWN_BUCKET, "b"), A)
        self.assertEqual(self.answers, [Refused(UNKNOWN_BUCKET, "b")])
        self.assertEqual(len(self.writes), 0)

    def test_silent_replica(self) -> None:
        """A copy that is not answered is sent again."""
        self.write()
        self.ask.answer(None, A)
        self.assertEqual(
            self.ask.requests(A), [Copy("b", self.key, b"value", 7, ME, NEVER)]
        )
        self.assertEqual(self.answers, [])

    def test_lost_link(self) -> None:
        """Without a link nothing is sent, until there is one."""
        self.linked.clear()
        self.write()
        self.assertEqual(self.ask.asked, [])
        self.linked.add(A)
        self.writes.members_changed()
        self.ask.answer(Done(), A)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])

    def test_one_copy_at_a_time(self) -> None:
        """A new link elsewhere does not make the copy go twice."""
        self.write()
        self.writes.members_changed()
        self.assertEqual(len(self.ask.asked), 1)

    def test_bucket_unknown_there(self) -> None:
        """A replica that has not heard of the bucket is told, then asked again."""
        self.write()
        self.ask.answer(Refused(UNKNOWN_BUCKET, "b"), A)
        news, copy = self.ask.requests(A)
        self.assertIsInstance(news, Buckets)
        self.assertIsInstance(copy, Copy)

    def test_nonsense(self) -> None:
        """An answer that makes no sense is no acknowledgement."""
        self.write()
        self.ask.answer(Found(None), A)
        self.assertEqual(self.answers, [])

    def test_replica_dies(self) -> None:
        """The write goes on with the owners that live."""
        self.write()
        self.change(B)
        self.assertEqual(self.answers, [])
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])

    def test_last_replica_dies(self) -> None:
        """With nobody else left the write is done, with one copy."""
        self.write()
        self.change()
        self.assertEqual(self.answers, [Done(True, 1, 7, ME)])

    def test_no_longer_an_owner(self) -> None:
        """A write is finished for the new owners, and nothing stays here."""
        later = settled_view(A, B, C, D)
        self.slot = next(
            slot
            for slot in range(SLOTS)
            if set(later.placement.owners(slot, 2)) == {C, D}
            and self.parts.view.placement.primaries[slot] == ME
        )
        self.key = key_in(self.parts.bucket, self.slot)
        self.linked.add(D)
        self.write()
        self.change(A, B, C, D)
        while self.ask.asked:
            self.ask.answer(Done())
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])
        self.assertIsNone(self.parts.held(self.key))

    def test_time_runs_out(self) -> None:
        """A write that is not acknowledged in time may or may not stand."""
        self.write()
        self.parts.clock.advance(4.99)
        self.writes.expire()
        self.assertEqual(self.answers, [])
        self.parts.clock.advance(0.01)
        self.writes.expire()
        text = "not all owners answered in time"
        self.assertEqual(self.answers, [Refused(INDETERMINATE, text)])
        self.ask.answer(Done(), A)
        self.assertEqual(len(self.answers), 1)
        self.assertEqual(len(self.writes), 0)

    def test_latest(self) -> None:
        """The last write under way of a key is known, until it is done."""
        self.write(b"one", 7)
        self.write(b"two", 8)
        latest = self.writes.latest("b", self.key)
        assert latest is not None
        self.assertEqual(latest.value, b"two")
        self.ask.answer(Done(), A)
        self.assertIs(self.writes.latest("b", self.key), latest)
        self.ask.answer(Done(), A)
        self.assertIsNone(self.writes.latest("b", self.key))
        self.assertIsNone(self.writes.latest("other", self.key))

    def test_answers_cross(self) -> None:
        """The higher version stays, whichever is acknowledged first."""
        self.write(b"one", 7)
        self.write(b"two", 8)
        first, second = self.ask.asked
        second.done(Done())
        first.done(Done())
        self.assertEqual(self.parts.held(self.key), b"two")
        self.assertEqual(self.answers, [Done(True, 2, 8, ME), Done(True, 2, 7, ME)])


class TwoReplicasTests(WritingTestCase):
    """Two replicas, A and B."""

    replicas = 2

    def test_all_of_them(self) -> None:
        """A write waits for both."""
        self.write()
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [])
        self.ask.answer(Done(), A)
        self.assertEqual(self.answers, [Done(True, 3, 7, ME)])

    def test_replica_restarts(self) -> None:
        """A replica that acknowledged and then restarted is sent it again."""
        self.write()
        self.ask.answer(Done(), A)
        self.parts.view.change([member(ME), member(A, 2), member(B)])
        self.writes.members_changed()
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [])
        self.ask.answer(Done(), A)
        self.assertEqual(self.answers, [Done(True, 3, 7, ME)])

    def test_dead_replica_does_not_count(self) -> None:
        """The copies that are told are those on live owners."""
        self.write()
        self.ask.answer(Done(), A)
        self.change(B)
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])


class ModeTests(WritingTestCase):
    """A write may be acknowledged before all copies stand."""

    replicas = 2

    def mode(self, write: WriteMode) -> None:
        """Let the bucket have a mode."""
        bucket = self.parts.bucket
        bucket.settings = attrs.evolve(bucket.settings, write=write)

    def test_one(self) -> None:
        """With "one" a replica is enough, and the rest follows."""
        self.mode("one")
        self.write()
        self.assertEqual((self.answers, self.parts.held(self.key)), ([], None))
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])
        self.assertEqual(self.parts.held(self.key), b"value")
        self.assertEqual(len(self.writes), 1)
        self.ask.answer(None, A)
        self.ask.answer(Done(), A)
        self.assertEqual((len(self.answers), len(self.writes)), (1, 0))

    def test_async(self) -> None:
        """With "async" the primary is enough; the copies are sent first."""
        self.mode("async")
        self.write()
        self.assertEqual(self.answers, [Done(True, 1, 7, ME)])
        self.assertEqual(self.parts.held(self.key), b"value")
        self.assertEqual(len(self.ask.asked), 2)
        self.ask.answer(Done(), A)
        self.ask.answer(Done(), B)
        self.assertEqual((len(self.answers), len(self.writes)), (1, 0))

    def test_all_at_once(self) -> None:
        """When nobody is missing, each mode tells all the copies there are."""
        self.change()
        for number, mode in enumerate(("all", "one", "async")):
            self.mode(cast(WriteMode, mode))
            self.write(stamp=7 + number)
            self.assertEqual(self.answers[number:], [Done(True, 1, 7 + number, ME)])

    def test_copies_in_vain(self) -> None:
        """Copies of what is acknowledged are given up in time, without a word."""
        self.mode("async")
        self.write()
        self.parts.clock.advance(5)
        self.writes.expire()
        self.assertEqual((len(self.answers), len(self.writes)), (1, 0))

    def test_one_without_replicas(self) -> None:
        """With "one" it waits for a replica as long as there is any."""
        self.mode("one")
        self.write()
        self.change(A)
        self.assertEqual(self.answers, [])
        self.change()
        self.assertEqual(self.answers, [Done(True, 1, 7, ME)])
