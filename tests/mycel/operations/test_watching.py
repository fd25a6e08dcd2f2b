"""
A primary keeps what happens for those who watch, and says what it could not keep.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.messages import BUSY, UNKNOWN_BUCKET, Answer, Done, Refused
from mycorrizal.mycel.operations import watching
from mycorrizal.mycel.operations.asking import Waiter
from mycorrizal.mycel.operations.watching import (
    IDLE_S,
    OUTBOX_MAX,
    Outboxes,
    Poll,
)
from mycorrizal.mycel.operations.writing import Write
from mycorrizal.mycel.watch_messages import (
    EVENTS_MAX,
    Event,
    EventKind,
    Events,
    Watch,
)
from tests.mycel.parts import ME, A, B, Parts, key_in, slot_owned_by, writes_of

PATIENCE_S = 5.0


class Asker(Waiter):
    """Who watches."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []

    def __call__(self, answer: Answer) -> None:
        self.answers.append(answer)


class OutboxTestCase(SynchronousTestCase):
    """This node is primary of a slot with A; B watches."""

    def setUp(self) -> None:
        self.parts = parts = Parts(A, B)
        self.outboxes = Outboxes(parts.runtime, parts.buckets)
        self.slot = slot_owned_by(parts.view, ME, A, B)
        self.key = key_in(parts.bucket, self.slot)
        self.link = object()

    def ask(self, prefix: bytes = b"", watch: int = 1) -> Asker:
        """B asks what has happened."""
        asker = Asker()
        request = Watch("b", prefix, watch, int(PATIENCE_S * 1000))
        self.poll: Poll | None = self.outboxes.ask(self.link, request, asker)
        return asker

    def told(self, asker: Asker) -> Events:
        """What B is told, in the next turn."""
        self.parts.clock.advance(0)
        (events,) = asker.answers
        assert isinstance(events, Events)
        return events

    def begin(self, prefix: bytes = b"", watch: int = 1) -> None:
        """B begins to watch."""
        asker = self.ask(prefix, watch)
        self.assertEqual(asker.answers, [Events((), 0, True)])

    def happen(self, keys: Iterable[bytes], kind: EventKind = EventKind.PUT) -> None:
        """Keys change."""
        for key in keys:
            self.parts.bucket.changed(kind, key)


class OutboxTests(OutboxTestCase):
    """What is kept."""

    def test_first_time(self) -> None:
        """The first time it is answered at once, and told that this is the first."""
        self.happen([b"before"])
        self.begin()

    def test_together(self) -> None:
        """What happens together is told together, to one who waits."""
        self.begin()
        asker = self.ask()
        self.happen([b"a", b"b"])
        self.assertEqual(asker.answers, [])
        put = EventKind.PUT
        events = Events((Event(put, b"a"), Event(put, b"b")))
        self.assertEqual(self.told(asker), events)

    def test_meanwhile(self) -> None:
        """What happens between two questions is told the second time."""
        self.begin()
        self.happen([b"a"], EventKind.DELETE)
        asker = self.ask()
        self.assertEqual(asker.answers, [Events((Event(EventKind.DELETE, b"a"),))])

    def test_prefix(self) -> None:
        """Only keys that begin so are told."""
        self.begin(b"user:")
        self.happen([b"page:1", b"user:1", b"user", b"user:"])
        events = self.told(self.ask(b"user:")).events
        self.assertEqual([event.key for event in events], [b"user:1", b"user:"])

    def test_nothing(self) -> None:
        """When nothing happens it is told so, as soon as its patience is over."""
        self.begin()
        asker = self.ask()
        self.parts.clock.advance(PATIENCE_S - 0.001)
        self.outboxes.expire()
        self.assertEqual(asker.answers, [])
        self.parts.clock.advance(0.001)
        self.outboxes.expire()
        self.assertEqual(asker.answers, [Events(())])

    def test_many(self) -> None:
        """One answer has so many; the rest comes with the next, in order."""
        self.begin()
        keys = [b"%d" % number for number in range(EVENTS_MAX + 1)]
        self.happen(keys)
        first, second = self.told(self.ask()), self.told(self.ask())
        found = [event.key for event in first.events + second.events]
        self.assertEqual((len(first.events), found), (EVENTS_MAX, keys))

    def test_lost(self) -> None:
        """What is beyond the bound is counted, and told behind what was kept."""
        self.begin()
        self.happen(b"%d" % number for number in range(OUTBOX_MAX + 2))
        for _ in range(OUTBOX_MAX // EVENTS_MAX - 1):
            events = self.told(self.ask())
            self.assertEqual((len(events.events), events.lost), (EVENTS_MAX, 0))
            self.happen([b"lost, too"])
        events = self.told(self.ask())
        last = Event(EventKind.PUT, b"%d" % (OUTBOX_MAX - 1))
        self.assertEqual((events.events[-1], events.lost), (last, 5))
        self.happen([b"again"])
        self.assertEqual(
            self.told(self.ask()), Events((Event(EventKind.PUT, b"again"),))
        )

    def test_at_the_bound(self) -> None:
        """As many as the bound are kept."""
        self.begin()
        self.happen(b"%d" % number for number in range(OUTBOX_MAX))
        total = 0
        while total < OUTBOX_MAX:
            events = self.told(self.ask())
            self.assertEqual(events.lost, 0)
            total += len(events.events)

    def test_cancelled(self) -> None:
        """Nothing is kept for one who watches no more."""
        self.begin()
        asker = self.ask()
        assert self.poll is not None
        self.happen([b"a"])
        self.poll.cancel()
        self.parts.clock.advance(0)
        self.assertEqual((asker.answers, len(self.outboxes)), ([], 0))
        self.assertEqual(self.parts.bucket.watches, [])
        self.begin()

    def test_forgotten(self) -> None:
        """Nor for one who has not asked for long; it is new when it asks again."""
        self.begin()
        self.parts.clock.advance(IDLE_S - 0.001)
        self.outboxes.expire()
        self.assertEqual(len(self.outboxes), 1)
        self.parts.clock.advance(0.001)
        self.outboxes.expire()
        self.assertEqual(len(self.outboxes), 0)
        self.begin()

    def test_bound(self) -> None:
        """So many watches are kept for, and one more is refused."""
        self.patch(watching, "OUTBOXES_MAX", 2)
        self.begin(watch=1)
        self.begin(watch=2)
        self.assertEqual(self.ask(watch=3).answers, [Refused(BUSY, "2")])

    def test_unknown_bucket(self) -> None:
        """A bucket that is not there can't be watched."""
        asker = Asker()
        self.outboxes.ask(self.link, Watch("x", b"", 1, 5000), asker)
        self.assertEqual(asker.answers, [Refused(UNKNOWN_BUCKET, "x")])

    def test_stop(self) -> None:
        """A node that stops leaves nothing behind."""
        self.begin()
        asker = self.ask()
        self.happen([b"a"])
        self.outboxes.stop()
        self.assertEqual(self.parts.runtime.pending_timers(), 0)
        self.assertEqual((asker.answers, self.parts.bucket.watches), ([], []))


class SourceTests(OutboxTestCase):
    """What happens."""

    def setUp(self) -> None:
        super().setUp()
        self.writes = writes_of(self.parts)
        self.begin()

    def write(self, value: bytes | None, stamp: int = 7) -> None:
        """Begin a write."""
        self.writes.begin(
            Write(
                self.parts.bucket, self.slot, self.key, value, stamp, 1e9,
                self.parts.now() + 5, True, lambda _: None,
            )
        )  # fmt: skip

    def kinds(self, key: bytes | None = None) -> list[EventKind]:
        """What happened to the key."""
        events = self.told(self.ask()).events if self.happened() else ()
        for event in events:
            self.assertEqual(event.key, key or self.key)
        return [event.kind for event in events]

    def happened(self) -> bool:
        """Whether anything has."""
        (outbox,) = self.outboxes._outboxes.values()
        return bool(outbox.events)

    def test_writes(self) -> None:
        """A write is told when it is acknowledged, once."""
        self.write(b"value")
        self.assertFalse(self.happened())
        self.parts.ask.answer(Done())
        self.write(None, 8)
        self.parts.ask.answer(Done())
        self.assertEqual(self.kinds(), [EventKind.PUT, EventKind.DELETE])

    def test_not_acknowledged(self) -> None:
        """So is one that is not, but may be read."""
        self.write(b"value")
        self.parts.clock.advance(5)
        self.writes.tick()
        self.assertEqual(self.kinds(), [EventKind.PUT])

    def test_overtaken(self) -> None:
        """One that was overtaken by a later one is not told after it."""
        self.write(b"value", 7)
        self.write(None, 8)
        first, second = self.parts.ask.asked
        second.done(Done())
        first.done(Done())
        self.assertEqual(self.kinds(), [EventKind.DELETE])
