"""
Who is late with a copy holds up no write for long, and is known to be behind.
"""

from __future__ import annotations

from typing import cast

import attrs

from mycorrizal.mycel.config import WriteMode
from mycorrizal.mycel.messages import INDETERMINATE, UNKNOWN_BUCKET, Copy, Done, Refused
from mycorrizal.mycel.operations.writing import COPY_TIMEOUT_S
from mycorrizal.mycel.slots.slotset import ALL_SLOTS
from tests.mycel.operations.test_writing import WritingTestCase
from tests.mycel.parts import ME, A, B, C


class LateTests(WritingTestCase):
    """The replica does not answer; two others rank after it."""

    others = (A, B, C)

    def test_next_ranked(self) -> None:
        """After a while the next-ranked node is sent a copy, which counts."""
        self.write()
        self.turn(COPY_TIMEOUT_S - 0.01)
        self.assertEqual(self.ask.requests(B), [])
        self.turn(0.01)
        (copy,) = self.ask.requests(B)
        self.assertIsInstance(copy, Copy)
        self.assertEqual(self.ask.requests(C), [])
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])
        self.assertEqual(self.parts.behind, [(A, self.slot)])
        self.assertEqual(self.parts.held(self.key), b"value")

    def test_asked_once(self) -> None:
        """It is sent one copy, however much time passes."""
        self.write()
        for _ in range(4):
            self.turn(COPY_TIMEOUT_S)
        self.assertEqual(len(self.ask.requests(B)), 1)
        self.assertEqual(len(self.ask.requests(A)), 1)

    def test_owner_after_all(self) -> None:
        """If the owner answers first, it is not behind."""
        self.write()
        self.turn(COPY_TIMEOUT_S)
        self.ask.answer(Done(), A)
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])
        self.assertEqual(self.parts.behind, [])

    def test_no_link(self) -> None:
        """Who can't be reached is passed over."""
        del self.links[B]
        self.write()
        self.turn(COPY_TIMEOUT_S)
        self.assertEqual(len(self.ask.requests(C)), 1)
        self.ask.answer(Done(), C)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])

    def test_link_of_the_owner_is_gone(self) -> None:
        """An owner without a link is late as well."""
        del self.links[A]
        self.write()
        self.turn(COPY_TIMEOUT_S)
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])
        self.assertEqual(self.parts.behind, [(A, self.slot)])

    def test_copies_per_link(self) -> None:
        """A copy in an owner's place counts while its link lives, too."""
        self.write()
        self.turn(COPY_TIMEOUT_S)
        (asked,) = [it for it in self.ask.asked if it.node_key == B]
        self.links[B] = object()
        self.ask.asked.remove(asked)
        asked.done(Done())
        self.assertEqual(self.answers, [])
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])

    def test_does_not_know_the_bucket(self) -> None:
        """It may have to be told of the bucket first."""
        self.write()
        self.turn(COPY_TIMEOUT_S)
        self.ask.answer(Refused(UNKNOWN_BUCKET, "b"), B)
        _, copy = self.ask.requests(B)
        self.assertIsInstance(copy, Copy)

    def test_nobody_else(self) -> None:
        """Without others a write waits for the owner, and is indeterminate in time."""
        self.change(A)
        self.write()
        self.turn(4.99)
        self.assertEqual(self.answers, [])
        self.turn(0.01)
        text = "not all owners answered in time"
        self.assertEqual(self.answers, [Refused(INDETERMINATE, text)])

    def test_given_up(self) -> None:
        """An owner that has not answered in all that time may lack it."""
        self.links.clear()
        self.write()
        self.turn(5)
        self.assertEqual(len(self.answers), 1)
        self.assertEqual(self.parts.behind, [(A, self.slot)])


class TwoLateTests(WritingTestCase):
    """Two replicas, and one node more."""

    replicas = 2
    others = (A, B, C)

    def test_one_of_two(self) -> None:
        """Only as many are asked as owners are late."""
        self.write()
        self.ask.answer(Done(), A)
        self.turn(COPY_TIMEOUT_S)
        self.assertEqual(len(self.ask.requests(C)), 1)
        self.ask.answer(Done(), C)
        self.assertEqual(self.answers, [Done(True, 3, 7, ME)])
        self.assertEqual(self.parts.behind, [(B, self.slot)])

    def test_both(self) -> None:
        """One cannot stand for two."""
        self.write()
        self.turn(COPY_TIMEOUT_S)
        self.ask.answer(Done(), C)
        self.assertEqual(self.answers, [])
        self.ask.answer(Done(), B)
        self.assertEqual(self.answers, [Done(True, 3, 7, ME)])
        self.assertEqual(self.parts.behind, [(A, self.slot)])


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
        """Copies of what is acknowledged are given up in time, and known to lack."""
        self.mode("async")
        self.write()
        self.ask.answer(Done(), B)
        self.turn(5)
        self.assertEqual((len(self.answers), len(self.writes)), (1, 0))
        self.assertEqual(self.parts.behind, [(A, self.slot)])

    def test_stopped(self) -> None:
        """What was acknowledged is not given back, to be made a second time."""
        self.mode("async")
        self.write()
        self.assertEqual(self.writes.stop(ALL_SLOTS), [])
        self.assertEqual(len(self.writes), 0)

    def test_one_without_replicas(self) -> None:
        """With "one" it waits for a replica as long as there is any."""
        self.mode("one")
        self.write()
        self.change(A)
        self.assertEqual(self.answers, [])
        self.change()
        self.assertEqual(self.answers, [Done(True, 1, 7, ME)])
