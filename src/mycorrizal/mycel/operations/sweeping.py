# -*- test-case-name: tests.mycel.operations.test_sweeping -*-
"""
What goes from a bucket at once and may be much: cleared, dropped, or above new
limits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.store import Cause
from mycorrizal.runtime import Runtime, Timer

#: Entries that go in one turn of the reactor, 2 to 5 µs each; a slot is not
#: divided.
SWEEP_ENTRIES: Final = 1024
#: The same in bytes of a limit: what so many small entries take.
SWEEP_BYTES: Final = 256 * 1024


class Sweeper:
    """
    The sweeps of one node, done a little in each turn of the reactor: a bucket
    of a million entries is cleared without holding anything up.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._sweeps: deque[Iterator[int] | Callable[[], None]] = deque()
        self._sweeping = False
        self._timer: Timer | None = None

    def clear(self, bucket: OpenBucket) -> None:
        """Let what was cleared go."""
        self._begin(self._clear(bucket))

    def free(self, bucket: OpenBucket) -> None:
        """Let all of a bucket go that was dropped."""
        self._begin(self._free(bucket))

    def limit(self, bucket: OpenBucket) -> None:
        """Bring a bucket to the limits of its settings."""
        self._begin(self._limit(bucket))

    def then(self, done: Callable[[], None]) -> None:
        """Call `done` when all sweeps that have begun are through."""
        self._begin(done)

    def stop(self) -> None:
        """Sweep no more."""
        self._sweeps.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self, sweep: Iterator[int] | Callable[[], None]) -> None:
        self._sweeps.append(sweep)
        if not self._sweeping:
            self._sweeping = True
            self._turn()

    def _turn(self) -> None:
        gone = 0
        while self._sweeps:
            if gone >= SWEEP_ENTRIES:
                self._timer = self._runtime.call_later(0, self._turn)
                return
            sweep = self._sweeps[0]
            if isinstance(sweep, Iterator):
                step = next(sweep, None)
                if step is not None:
                    gone += step
                    continue
            # Not before it is through: it may be stopped meanwhile.
            if self._sweeps:
                self._sweeps.popleft()
            if not isinstance(sweep, Iterator):
                sweep()
        self._sweeping = False

    @staticmethod
    def _clear(bucket: OpenBucket) -> Iterator[int]:
        store = bucket.store
        for slot in range(SLOTS):
            if held := store.count(slot):
                store.clear(slot, bucket.cleared)
                yield held

    @staticmethod
    def _free(bucket: OpenBucket) -> Iterator[int]:
        for slot in range(SLOTS):
            if held := bucket.store.drop_slot(slot, Cause.DELETED):
                yield held

    def _limit(self, bucket: OpenBucket) -> Iterator[int]:
        store, over = bucket.store, True
        while over:
            settings = bucket.settings
            entries, size_bytes = settings.max_entries, settings.max_bytes
            over = False
            if entries is not None and store.entries - SWEEP_ENTRIES > entries:
                entries, over = store.entries - SWEEP_ENTRIES, True
            if size_bytes is not None and store.size_bytes - SWEEP_BYTES > size_bytes:
                size_bytes, over = store.size_bytes - SWEEP_BYTES, True
            store.limit(entries, size_bytes)
            store.trim(self._runtime.now())
            if over:
                yield SWEEP_ENTRIES
