"""
A write is acknowledged, and can be read, when all live owners hold it.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.messages import (
    INDETERMINATE,
    NEVER,
    PROMISED,
    UNKNOWN_BUCKET,
    Answer,
    Buckets,
    Copy,
    Done,
    Found,
    Refused,
)
from mycorrizal.mycel.operations.writing import COPY_TIMEOUT_S, Write
from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.slots.promises import Life
from mycorrizal.mycel.slots.slotset import ALL_SLOTS, slotset
from tests.mycel.parts import (
    ME,
    A,
    B,
    C,
    D,
    Parts,
    key_in,
    members,
    slot_owned_by,
    view_of,
    writes_of,
)


class WritingTestCase(SynchronousTestCase):
    """This node is primary of a slot, A its replica; B is there, too."""

    replicas = 1
    others: tuple[bytes, ...] = (A, B)

    def setUp(self) -> None:
        self.parts = Parts(*self.others, replicas=self.replicas)
        self.links: dict[bytes, object] = {it: object() for it in (A, B, C)}
        self.writes = writes_of(self.parts, self.links.get)
        self.ask = self.parts.ask
        self.slot = slot_owned_by(self.parts.view, ME, *self.others)
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
        self.writes.go_on()

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.parts.clock.advance(seconds)
        self.writes.tick()


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
        self.links.clear()
        self.write()
        self.assertEqual(self.ask.asked, [])
        self.links[A] = object()
        self.writes.go_on()
        self.ask.answer(Done(), A)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])

    def test_one_copy_at_a_time(self) -> None:
        """A new link elsewhere does not make the copy go twice."""
        self.write()
        self.writes.go_on()
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
        """A write is finished for the new owners, and held here until they claim."""
        later = view_of(A, B, C, D)
        self.slot = next(
            slot
            for slot in range(SLOTS)
            if set(later.placement.owners(slot, 2)) == {C, D}
            and self.parts.view.placement.primaries[slot] == ME
        )
        self.key = key_in(self.parts.bucket, self.slot)
        self.links[D] = object()
        self.write()
        self.change(A, B, C, D)
        while self.ask.asked:
            self.ask.answer(Done())
        self.assertEqual(self.answers, [Done(True, 3, 7, ME)])
        self.assertEqual(self.parts.held(self.key), b"value")

    def test_time_runs_out(self) -> None:
        """A write that is not acknowledged in time may or may not stand."""
        self.write()
        self.turn(4.99)
        self.assertEqual(self.answers, [])
        self.turn(0.01)
        text = "not all owners answered in time"
        self.assertEqual(self.answers, [Refused(INDETERMINATE, text)])
        self.ask.answer(Done(), A)
        self.assertEqual(len(self.answers), 1)
        self.assertEqual(len(self.writes), 0)
        self.assertEqual(self.parts.held(self.key), b"value")

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
        self.links[A] = object()
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


class FenceTests(WritingTestCase):
    """A replica has promised the slot to another node."""

    def test_refused(self) -> None:
        """To whom it was promised is told on, and the write waits."""
        self.write()
        self.ask.answer(Refused(PROMISED, promised=(B, 3)), A)
        self.assertEqual(self.parts.refused, [(self.slot, (B, 3))])
        self.assertEqual((self.answers, self.ask.asked), ([], []))
        self.assertEqual(len(self.writes), 1)

    def test_refused_without_a_name(self) -> None:
        """A refusal that does not say to whom changes nothing."""
        self.write()
        self.ask.answer(Refused(PROMISED), A)
        self.assertEqual((self.parts.refused, self.answers), ([], []))

    def test_stopped_by_a_refusal(self) -> None:
        """When that ends this node's turn, the write goes to who is next."""
        self.write()
        given_back: list[Write] = []
        self.parts.refused = _Stops(self.writes.stop, given_back)
        self.ask.answer(Refused(PROMISED, promised=(B, 3)), A)
        self.assertEqual([it.key for it in given_back], [self.key])

    def test_asked_again(self) -> None:
        """If this node is primary still, the copy is sent again after a while."""
        self.write()
        self.ask.answer(Refused(PROMISED, promised=(B, 3)), A)
        self.turn(COPY_TIMEOUT_S)
        self.ask.answer(Done(), A)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])


class _Stops(list[tuple[int, Life]]):
    """Ends the writes of a slot as soon as one of its copies was refused."""

    def __init__(
        self, stop: Callable[[int], list[Write]], given_back: list[Write]
    ) -> None:
        super().__init__()
        self._stop = stop
        self._given_back = given_back

    def append(self, refused: tuple[int, Life]) -> None:
        self._given_back += self._stop(1 << refused[0])


class StopTests(WritingTestCase):
    """This node is primary of slots no more."""

    def test_given_back(self) -> None:
        """A write under way is held here, and given back to be made elsewhere."""
        self.write()
        (write,) = self.writes.stop(slotset([self.slot]))
        self.assertEqual((write.key, write.value), (self.key, b"value"))
        self.assertEqual(self.parts.held(self.key), b"value")
        self.assertEqual((self.answers, len(self.writes)), ([], 0))
        self.assertIsNone(self.writes.latest("b", self.key))

    def test_late_answer(self) -> None:
        """An answer that comes afterwards acknowledges nothing."""
        self.write()
        self.writes.stop(ALL_SLOTS)
        self.ask.answer(Done(), A)
        self.turn(5)
        self.assertEqual(self.answers, [])

    def test_other_slots(self) -> None:
        """Writes of other slots go on."""
        self.write()
        self.assertEqual(self.writes.stop(ALL_SLOTS & ~(1 << self.slot)), [])
        self.ask.answer(Done(), A)
        self.assertEqual(self.answers, [Done(True, 2, 7, ME)])

    def test_delete(self) -> None:
        """Of a delete the tombstone stays here, until others have fetched it."""
        self.parts.store(self.key, b"old", 6)
        self.write(None, ttl_s=3600)
        self.assertEqual(len(self.writes.stop(ALL_SLOTS)), 1)
        entry = self.parts.bucket.store.peek(self.slot, self.key, 0.0)
        assert entry is not None
        self.assertEqual((entry.value, entry.stamp), (None, 7))

    def test_in_order(self) -> None:
        """Several writes of a key are given back in the order they were made."""
        self.write(b"one", 7)
        self.write(b"two", 8)
        values = [write.value for write in self.writes.stop(ALL_SLOTS)]
        self.assertEqual(values, [b"one", b"two"])
        self.assertEqual(self.parts.held(self.key), b"two")
