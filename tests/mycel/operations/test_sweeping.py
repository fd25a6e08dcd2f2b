"""
What is cleared, dropped or limited goes a little at a time.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.config import BucketSettings
from mycorrizal.mycel.operations.sweeping import (
    SWEEP_BYTES,
    SWEEP_ENTRIES,
    Sweeper,
)
from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.store import entry_bytes
from tests.mycel.parts import ME, Parts

COUNT = 3 * SWEEP_ENTRIES


class SweeperTests(SynchronousTestCase):
    """A bucket with more than goes in one turn."""

    def setUp(self) -> None:
        self.parts = parts = Parts()
        settings = BucketSettings("many", max_entries=COUNT)
        self.bucket = parts.buckets.add(settings, (1, ME))
        self.store = self.bucket.store
        for number in range(COUNT):
            key = b"%06d" % number
            self.store.merge(number % SLOTS, key, b"", number + 1, ME, 1e9, 0.0)
        self.sweeper = Sweeper(parts.runtime)
        self.ends: list[int] = []

    def end(self) -> None:
        """Note what is held when a sweep is over."""
        self.ends.append(self.store.entries)

    def turns(self) -> int:
        """Let the reactor turn until nothing is left to do; in how many turns."""
        turns = 0
        while self.parts.runtime.pending_timers():
            before = self.store.entries
            self.parts.runtime.poke()
            self.assertLessEqual(before - self.store.entries, SWEEP_ENTRIES + SLOTS)
            turns += 1
        return turns

    def test_clear(self) -> None:
        """What was cleared goes, and what was written since stays."""
        self.bucket.cleared = COUNT - 10
        self.store.refuse(self.bucket.cleared)
        self.sweeper.clear(self.bucket)
        self.sweeper.then(self.end)
        self.assertEqual(self.ends, [])
        self.assertEqual(self.turns(), 2)
        self.assertEqual(self.ends, [10])
        self.assertEqual(self.store.stats().deleted, COUNT - 10)

    def test_free(self) -> None:
        """All of a bucket that was dropped goes."""
        self.sweeper.free(self.bucket)
        self.sweeper.then(self.end)
        self.assertEqual(self.turns(), 2)
        self.assertEqual((self.ends, self.store.size_bytes), ([0], 0))

    def test_fewer_entries(self) -> None:
        """Lower limits evict what was used the longest ago."""
        self.bucket.settings = BucketSettings("many", max_entries=5)
        self.sweeper.limit(self.bucket)
        self.sweeper.then(self.end)
        self.assertEqual(self.turns(), 2)
        self.assertEqual(self.ends, [5])
        self.assertEqual(self.store.stats().evicted, COUNT - 5)
        last = COUNT - 1
        self.assertIsNotNone(self.store.peek(last % SLOTS, b"%06d" % last, 1))

    def test_fewer_bytes(self) -> None:
        """So does a lower limit of memory."""
        bytes_max = 10 * entry_bytes(6, 0)
        self.bucket.settings = BucketSettings("many", max_bytes=bytes_max)
        self.sweeper.limit(self.bucket)
        self.sweeper.then(self.end)
        self.assertEqual(self.turns(), COUNT * entry_bytes(6, 0) // SWEEP_BYTES)
        self.assertEqual(self.ends, [10])

    def test_higher_limits(self) -> None:
        """Higher limits are in force at once."""
        self.bucket.settings = BucketSettings("many", max_entries=COUNT + 1)
        self.sweeper.limit(self.bucket)
        for number in range(2):
            self.store.merge(0, b"new %d" % number, b"", COUNT + 9, ME, 1e9, 0.0)
        self.assertEqual(self.store.entries, COUNT + 1)

    def test_one_after_the_other(self) -> None:
        """Who waits for one sweep waits for those that began before it, too."""
        self.sweeper.free(self.bucket)
        self.sweeper.clear(self.parts.bucket)
        self.sweeper.then(self.end)
        self.sweeper.then(lambda: self.sweeper.then(self.end))
        self.turns()
        self.assertEqual(self.ends, [0, 0])
        self.sweeper.then(self.end)
        self.assertEqual(len(self.ends), 3)

    def test_stop(self) -> None:
        """A node that stops leaves nothing behind."""
        self.sweeper.free(self.bucket)
        self.sweeper.then(self.end)
        self.sweeper.stop()
        self.assertEqual(self.parts.runtime.pending_timers(), 0)
        self.assertEqual(self.ends, [])
