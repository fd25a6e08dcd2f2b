"""
What goes from a bucket by itself is told: to those who watch, and to the owners
of copies of what had to make room.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.messages import Done
from mycorrizal.mycel.operations import evicting
from mycorrizal.mycel.operations.evicting import EVICT_PAUSE_S, Evicting
from mycorrizal.mycel.slot_messages import Evict, Offered
from mycorrizal.mycel.store import Cause
from mycorrizal.mycel.watch_messages import EventKind
from tests.mycel.parts import ME, A, B, C, Parts, key_in, slot_owned_by


class Watcher:
    """Who watches a bucket."""

    def __init__(self) -> None:
        self.seen: list[tuple[EventKind, bytes]] = []

    def changed(self, kind: EventKind, key: bytes) -> None:
        """A key has changed."""
        self.seen.append((kind, key))


class EvictingTestCase(SynchronousTestCase):
    """This node is primary of a slot with A; of others it is not."""

    def setUp(self) -> None:
        self.parts = parts = Parts(A, B)
        self.evicting = Evicting(parts.runtime, parts.view, parts.claims, parts.ask)
        self.evicting.look_after(parts.bucket)
        self.slot = slot_owned_by(parts.view, ME, A, B)
        self.key = key_in(parts.bucket, self.slot)

    def go(self, key: bytes, stamp: int = 1, cause: Cause = Cause.EVICTED) -> None:
        """Let a value go that was here."""
        slot = self.parts.store(key, b"value", stamp)
        self.parts.bucket.store.remove(slot, key, cause)


class WatchedTests(EvictingTestCase):
    """Those who watch."""

    def setUp(self) -> None:
        super().setUp()
        self.watcher = Watcher()
        self.parts.bucket.watches.append(self.watcher)

    def test_causes(self) -> None:
        """Values that expire, are evicted or cleared are told with the cause."""
        for stamp, (cause, kind) in enumerate(
            (
                (Cause.EXPIRED, EventKind.EXPIRE),
                (Cause.EVICTED, EventKind.EVICT),
                (Cause.DELETED, EventKind.CLEAR),
            ),
            1,
        ):
            self.go(self.key, stamp, cause)
            self.assertEqual(self.watcher.seen.pop(), (kind, self.key))

    def test_moved(self) -> None:
        """A value that only moves is not gone."""
        self.go(self.key, cause=Cause.MOVED)
        self.assertEqual(self.watcher.seen, [])

    def test_of_others(self) -> None:
        """What goes here of another node's slots is not told: that node tells."""
        self.go(key_in(self.parts.bucket, slot_owned_by(self.parts.view, A, ME, B)))
        self.assertEqual(self.watcher.seen, [])


class OwnersTests(EvictingTestCase):
    """Those who hold copies."""

    def tell(self) -> list[tuple[bytes, Evict]]:
        """Let a moment pass; whom it was told, and what."""
        self.parts.clock.advance(EVICT_PAUSE_S)
        told = []
        while self.parts.ask.asked:
            node_key = self.parts.ask.asked[0].node_key
            evict = self.parts.ask.answer(Done())
            assert isinstance(evict, Evict)
            told.append((node_key, evict))
        return told

    def test_told(self) -> None:
        """The other owner is told the version, a moment later."""
        self.go(self.key, 7)
        self.assertEqual(self.parts.ask.asked, [])
        evict = Evict("b", (Offered(self.key, 7, ME),))
        self.assertEqual(self.tell(), [(A, evict)])
        self.assertEqual(self.tell(), [])

    def test_together(self) -> None:
        """What goes at the same time is told at the same time, to each its own."""
        other = key_in(self.parts.bucket, slot_owned_by(self.parts.view, ME, B, A))
        keys = [key_in(self.parts.bucket, self.slot, number) for number in range(3)]
        for key in (*keys, other):
            self.go(key)
        told = {
            node_key: [it.key for it in evict.entries]
            for node_key, evict in self.tell()
        }
        self.assertEqual(told, {A: keys, B: [other]})

    def test_bound(self) -> None:
        """So many wait to be told; with one more they are told at once."""
        self.patch(evicting, "EVICTED_MAX", 3)
        for number in range(3):
            self.assertEqual(self.parts.ask.asked, [])
            self.go(key_in(self.parts.bucket, self.slot, number))
        [asked] = self.parts.ask.asked
        assert isinstance(asked.request, Evict)
        self.assertEqual(len(asked.request.entries), 3)
        self.assertEqual(len(self.tell()), 1)

    def test_silent(self) -> None:
        """Who does not hear it is not told again."""
        self.go(self.key)
        self.parts.clock.advance(EVICT_PAUSE_S)
        self.parts.ask.answer(None)
        self.assertEqual(self.tell(), [])

    def test_not_evicted(self) -> None:
        """What expires, or is cleared, the others let go themselves."""
        for stamp, cause in enumerate((Cause.EXPIRED, Cause.DELETED, Cause.MOVED), 1):
            self.go(self.key, stamp, cause)
        self.assertEqual(self.tell(), [])

    def test_not_ours(self) -> None:
        """What is not this node's to decide it tells nobody."""
        self.go(key_in(self.parts.bucket, slot_owned_by(self.parts.view, A, ME, B)))
        self.assertEqual(self.tell(), [])

    def test_no_copies(self) -> None:
        """A bucket without copies has nobody to tell."""
        bucket = self.parts.open("single", replicas=0)
        self.evicting.look_after(bucket)
        key = key_in(bucket, self.slot)
        bucket.store.merge(self.slot, key, b"", 1, ME, float("inf"), 0.0)
        bucket.store.remove(self.slot, key, Cause.EVICTED)
        self.assertEqual(self.tell(), [])

    def test_owners_of_that_moment(self) -> None:
        """Those are told who are owners when they are told."""
        self.go(self.key)
        self.parts.change(C)
        owners = set(self.parts.view.owners(self.slot, 2)) - {ME}
        self.assertEqual({node_key for node_key, _ in self.tell()}, owners)

    def test_stop(self) -> None:
        """After the stop nobody is told."""
        self.go(self.key)
        self.evicting.stop()
        self.assertEqual(self.tell(), [])
