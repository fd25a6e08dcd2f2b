# -*- test-case-name: tests.mycel.store.test_expiry -*-
"""
When entries are due: rings of those that expire in the same second.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mycorrizal.mycel.store.lru import INF, Entry, ring_end

#: Deadlines further away than this share a ring with those of about the same
#: time, and are filed again before it comes; so there are at most this many
#: rings and one for each further `COARSE_S`.
FINE_S: Final = 2048
COARSE_S: Final = 1024

#: How long before the first of a coarse ring is due it is taken apart: time
#: enough to do it a few at a time.
COARSE_LEAD_S: Final = 512

#: How far ahead `DueRings.next_due_s` looks before it says "ask again then".
LOOK_AHEAD_S: Final = 64


class DueRings:
    """
    The entries that have a deadline, by the second in which it falls.

    Each second has a ring, found in a dict.  Filing an entry and taking it out
    are O(1), exact (an entry that is gone leaves nothing behind) and allocate
    nothing but the ring; two pointers in the entry are the whole cost.
    Compared: a heap is O(log n) and must be cleaned of entries that went
    before their time; a dict of sets of keys takes 27 to 107 bytes for each
    key, is tracked by the garbage collector, and stops the world when a set of
    a million keys grows.

    An entry may be filed under an earlier second than its own (one whose
    deadline was put off is left where it is): its ring's time is when it is
    looked at, and filed again if it is not due.  (Varghese and Lauck: Hashed
    and Hierarchical Timing Wheels, 1987; this is their wheel with a dict for
    the array, and one coarse wheel above it.)
    """

    __slots__ = ("_rings", "_swept")

    def __init__(self) -> None:
        #: The rings that are not empty.  No second below `_swept` has one.
        self._rings: dict[int, Entry] = {}
        self._swept = 0

    def file(self, entry: Entry, now: float) -> None:
        """Put an entry, on no ring, with a finite deadline, where it is due."""
        rings = self._rings
        this_second = int(now)
        if not rings:
            self._swept = this_second
        elif this_second < self._swept:
            this_second = self._swept
        second = int(entry.deadline)
        if second - this_second >= FINE_S:
            second = second // COARSE_S * COARSE_S - COARSE_LEAD_S
        elif second < this_second:
            second = this_second
        ring = rings.get(second)
        if ring is None:
            ring = rings[second] = ring_end(second)
            ring.earlier = ring.later = ring
        latest = ring.earlier
        latest.later = entry
        entry.earlier = latest
        entry.later = ring
        ring.earlier = entry

    def take_out(self, entry: Entry) -> None:
        """Take an entry off its ring of due ones; harmless on none."""
        earlier = entry.earlier
        if earlier is None:
            return
        later = entry.later
        if earlier is later:
            # Only the ring's end is on both sides: the ring is now empty.  No
            # entry refers to it any more, so it is freed.
            del self._rings[later.stamp]
        else:
            earlier.later = later
            later.earlier = earlier
        entry.earlier = entry.later = None

    def bring_forward(self, entry: Entry, deadline: float, now: float) -> None:
        """Give an entry an earlier deadline than it has."""
        self.take_out(entry)
        entry.deadline = deadline
        self.file(entry, now)

    def take_due(self, now: float, limit: int) -> tuple[list[Entry], int]:
        """
        Take out entries of the seconds that are over.

        :param limit: How many to look at, at most.
        :return: Those that have expired, and how many were looked at; if that
            is `limit`, there may be more.
        """
        due: list[Entry] = []
        looked_at = 0
        rings = self._rings
        for second in self._seconds_before(int(now)):
            while (ring := rings.get(second)) is not None:
                if looked_at >= limit:
                    self._swept = second
                    return due, looked_at
                looked_at += 1
                entry = ring.later
                self.take_out(entry)
                if entry.deadline <= now:
                    due.append(entry)
                elif entry.deadline != INF:
                    self.file(entry, now)
        self._swept = max(self._swept, int(now))
        return due, looked_at

    def _seconds_before(self, second: int) -> Iterable[int]:
        """The seconds that are over and may have a ring, in order."""
        if second - self._swept <= len(self._rings):
            return range(self._swept, second)
        # A long time has passed; there are fewer rings than seconds.
        return sorted(ring for ring in self._rings if ring < second)

    def next_due_s(self) -> float:
        """
        When to call `take_due` next: the time at which the first ring's second
        is over, or earlier, or inf if there is no ring.
        """
        rings = self._rings
        if not rings:
            return INF
        horizon = self._swept + LOOK_AHEAD_S
        for second in range(self._swept, horizon):
            if second in rings:
                return second + 1.0
        return float(horizon)
