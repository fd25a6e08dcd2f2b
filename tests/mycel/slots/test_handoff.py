"""
What moves arrives, in pieces, and is let go only when it has.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.messages import (
    NEVER,
    UNKNOWN_BUCKET,
    Buckets,
    Done,
    Push,
    Pushed,
    Refused,
)
from mycorrizal.mycel.slots import handoff
from mycorrizal.mycel.slots.handoff import Handoff
from tests.mycel.parts import ME, A, B, Parts, key_in, members, slot_owned_by


class HandoffTestCase(SynchronousTestCase):
    """This node and A, settled; B is about to join."""

    def setUp(self) -> None:
        self.parts = Parts(A)
        self.rounds = 0
        self.handoff = Handoff(*self.arguments())
        self.ask = self.parts.ask

    def arguments(self) -> tuple[Any, ...]:
        """What a handoff is made of."""
        return (
            self.parts.runtime,
            self.parts.view,
            self.parts.buckets,
            self.parts.ask,
            lambda: Buckets(self.parts.buckets.entries(), 0),
            self.complete,
        )

    def complete(self) -> None:
        self.rounds += 1

    def join(self) -> None:
        """B becomes a member."""
        self.parts.view.change(members(A, B))
        self.handoff.begin()
        self.parts.clock.advance(0)

    def turn(self, seconds: float = 0) -> None:
        """Let time pass."""
        self.parts.clock.advance(seconds)

    def moved_key(self, number: int = 0) -> bytes:
        """A key whose slot B joins as primary and this node keeps."""
        view = Parts(A, B).view
        return key_in(self.parts.bucket, slot_owned_by(view, B, ME), number)

    def lost_key(self, number: int = 0) -> bytes:
        """A key whose slot this node is to let go."""
        view = Parts(A, B).view
        return key_in(self.parts.bucket, slot_owned_by(view, B, A), number)

    def pushes(self) -> list[Push]:
        """The pushes that are under way."""
        return [it for it in self.ask.requests() if isinstance(it, Push)]

    def answer_all(self) -> list[tuple[bytes, Push]]:
        """Let every push arrive; returns which and where."""
        answered = []
        while self.ask.asked:
            node_key = self.ask.asked[0].node_key
            push = self.ask.answer(Done())
            assert isinstance(push, Push)
            answered.append((node_key, push))
            self.turn()
        return answered


class PushTests(HandoffTestCase):
    """A newcomer is sent what it lacks."""

    def test_nothing_to_push(self) -> None:
        """A node that holds nothing is through in its next turn."""
        self.parts.view.change(members(A, B))
        self.handoff.begin()
        self.assertIsNone(self.handoff.epoch)
        self.turn()
        self.assertEqual(self.handoff.epoch, self.parts.view.epoch)
        self.assertEqual(self.rounds, 1)

    def test_entry(self) -> None:
        """An entry arrives with its version and what is left of its life."""
        key = self.moved_key()
        self.parts.store(key, b"value", 7, ttl_s=10)
        self.turn(4)
        self.join()
        self.assertEqual(self.rounds, 0)
        sent = self.answer_all()
        entry = Pushed(key, b"value", 7, ME, 6000)
        self.assertEqual(sent, [(B, Push("b", (entry,)))])
        self.assertEqual(self.rounds, 1)

    def test_only_what_is_lacking(self) -> None:
        """Slots of which the owners stay the same are left alone."""
        kept = key_in(
            self.parts.bucket, slot_owned_by(Parts(A, B).view, ME, A), number=0
        )
        self.parts.store(kept, b"value", 7)
        self.join()
        self.assertEqual(self.ask.asked, [])
        self.assertEqual(self.rounds, 1)

    def test_tombstone(self) -> None:
        """A delete moves, too: it must not be forgotten by its new owners."""
        key = self.moved_key()
        self.parts.store(key, None, 7, ttl_s=3600)
        self.join()
        (push,) = self.pushes()
        self.assertEqual(push.entries, (Pushed(key, None, 7, ME, 3_600_000),))

    def test_expired(self) -> None:
        """What has expired and is not yet freed stays behind."""
        self.parts.store(self.moved_key(), b"value", 7, ttl_s=1)
        self.turn(1)
        self.join()
        self.assertEqual(self.ask.asked, [])

    def test_all_owners(self) -> None:
        """What this node does not keep is sent to each of its owners."""
        key = self.lost_key()
        self.parts.store(key, b"value", 7)
        self.join()
        self.assertEqual([owner for owner, _ in self.answer_all()], [B, A])


class BoundTests(HandoffTestCase):
    """A handoff takes bounded pieces, few at a time."""

    def fill(self, count: int, value: bytes) -> None:
        """Hold so many values of one moved slot."""
        for number in range(count):
            self.parts.store(self.moved_key(number), value, number + 1)

    def test_bytes(self) -> None:
        """A push holds no more bytes than its bound, but at least one value."""
        half = bytes(handoff.PUSH_BYTES // 2 - 100)
        self.fill(3, half)
        self.parts.store(self.moved_key(3), bytes(handoff.PUSH_BYTES + 1), 9)
        self.join()
        sizes = sorted(len(push.entries) for push in self.pushes())
        self.assertEqual(sum(sizes), 4)
        self.assertEqual(max(sizes), 2)
        (alone,) = [
            push
            for push in self.pushes()
            if any(len(it.value or b"") > handoff.PUSH_BYTES for it in push.entries)
        ]
        self.assertEqual(len(alone.entries), 1)

    def test_pushes_at_once(self) -> None:
        """No more than so many pushes are unanswered; an answer lets one go."""
        self.fill(handoff.PUSHES_MAX + 1, bytes(handoff.PUSH_BYTES))
        self.join()
        self.assertEqual(len(self.ask.asked), handoff.PUSHES_MAX)
        self.ask.answer(Done())
        self.turn()
        self.assertEqual(len(self.ask.asked), handoff.PUSHES_MAX)
        self.ask.answer(Done())
        self.turn()
        self.assertEqual(len(self.ask.asked), handoff.PUSHES_MAX - 1)

    def test_entries(self) -> None:
        """A push holds at most so many entries, however small."""
        self.patch(handoff, "PUSH_ENTRIES", 3)
        self.fill(4, b"")
        self.join()
        self.assertEqual([len(push.entries) for push in self.pushes()], [3, 1])


class AgainTests(HandoffTestCase):
    """What does not arrive is sent again."""

    def test_timeout(self) -> None:
        """A push without an answer is repeated after a pause."""
        self.parts.store(self.moved_key(), b"value", 7)
        self.join()
        self.ask.answer(None)
        self.turn()
        self.assertEqual(self.ask.asked, [])
        self.turn(handoff.PUSH_PAUSE_S)
        self.assertEqual(len(self.answer_all()), 1)
        self.assertEqual(self.rounds, 1)

    def test_time_to_live_goes_on(self) -> None:
        """What is sent again says how much of its life is left by then."""
        self.parts.store(self.moved_key(0), b"short", 7, ttl_s=2)
        self.parts.store(self.moved_key(1), b"long", 8, ttl_s=10)
        self.parts.store(self.moved_key(2), b"for ever", 9)
        self.join()
        self.turn(5 - handoff.PUSH_PAUSE_S)
        self.ask.answer(None)
        self.turn(handoff.PUSH_PAUSE_S)
        (push,) = self.pushes()
        left = {entry.value: entry.remaining_ms for entry in push.entries}
        self.assertEqual(left, {b"long": 5000, b"for ever": NEVER})

    def test_unknown_bucket(self) -> None:
        """An owner that does not know the bucket is told, and sent it again."""
        self.parts.store(self.moved_key(), b"value", 7)
        self.join()
        self.ask.answer(Refused(UNKNOWN_BUCKET, "b"))
        self.assertIsInstance(self.ask.answer(Done()), Buckets)
        self.turn(handoff.PUSH_PAUSE_S)
        self.assertEqual(len(self.pushes()), 1)

    def test_left(self) -> None:
        """What nobody has taken is counted: sent, to be sent again, and the rest."""
        for number in range(20):
            self.parts.store(self.moved_key(number), b"v" * handoff.PUSH_BYTES, 7)
        self.join()
        self.ask.answer(Done())
        self.turn()
        self.ask.answer(None)
        self.turn()
        self.assertEqual(self.handoff.left(), {"b": 19})
        self.assertEqual(Handoff(*self.arguments()).left(), {})

    def test_dead_owner(self) -> None:
        """An owner that is no member any more is not waited for."""
        self.parts.store(self.moved_key(), b"value", 7)
        self.join()
        self.parts.view.change(members(A))
        self.ask.answer(None)
        self.turn(handoff.PUSH_PAUSE_S)
        self.assertEqual(self.ask.asked, [])
        self.assertEqual(self.rounds, 1)

    def test_members_change_meanwhile(self) -> None:
        """A new round forgets the old one, whatever is still answered."""
        self.parts.store(self.moved_key(), b"value", 7)
        self.join()
        self.handoff.begin()
        self.turn()
        old, new = self.ask.asked
        old.done(Done())
        self.turn()
        self.assertEqual(self.rounds, 0)
        new.done(Done())
        self.turn()
        self.assertEqual(self.rounds, 1)

    def test_stop(self) -> None:
        """A handoff that was stopped leaves no timer and sends nothing."""
        self.parts.store(self.moved_key(), b"value", 7)
        self.join()
        self.ask.answer(None)
        self.handoff.stop()
        self.turn(10)
        self.assertEqual(self.ask.asked, [])
        self.assertEqual(self.parts.runtime.pending_timers(), 0)


class DropTests(HandoffTestCase):
    """A copy is let go when its owners have it."""

    def setUp(self) -> None:
        super().setUp()
        self.key = self.lost_key()
        self.parts.store(self.key, b"value", 7)
        self.join()
        self.answer_all()

    def test_drop(self) -> None:
        """What was pushed and has not changed is let go; the rest is kept."""
        kept = self.moved_key()
        self.parts.store(kept, b"kept", 7)
        self.assertFalse(self.handoff.drop())
        self.assertIsNone(self.parts.held(self.key))
        self.assertEqual(self.parts.held(kept), b"kept")

    def test_changed_since(self) -> None:
        """What has changed since it was pushed is pushed again first."""
        self.parts.store(self.key, b"newer", 8)
        self.assertTrue(self.handoff.drop())
        self.assertEqual(self.parts.held(self.key), b"newer")
        self.handoff.begin()
        self.turn()
        values = {push.entries[0].value for _, push in self.answer_all()}
        self.assertEqual(values, {b"newer"})
        self.assertFalse(self.handoff.drop())
        self.assertIsNone(self.parts.held(self.key))

    def test_stray(self) -> None:
        """A copy that came after all was pushed is passed on before it goes."""
        other = self.lost_key(1)
        self.parts.store(other, b"stray", 8)
        self.assertTrue(self.handoff.drop())
        self.assertEqual(self.parts.held(other), b"stray")

    def test_changed_only(self) -> None:
        """A second round can be kept to what has changed."""
        self.parts.view.leave()
        elsewhere = key_in(
            self.parts.bucket, slot_owned_by(self.parts.view, ME, A), number=0
        )
        self.parts.store(elsewhere, b"new", 9)
        self.handoff.begin(changed=True)
        self.turn()
        sent = self.answer_all()
        self.assertEqual(
            [(owner, push.entries[0].key) for owner, push in sent], [(B, elsewhere)]
        )
        self.assertEqual(self.rounds, 2)
