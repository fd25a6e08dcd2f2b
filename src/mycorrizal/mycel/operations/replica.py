# -*- test-case-name: tests.mycel.operations.test_replica -*-
"""
What a node answers to other owners of a slot.
"""

from __future__ import annotations

from collections.abc import Callable

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.buckets import BucketTable
from mycorrizal.mycel.messages import (
    UNKNOWN_BUCKET,
    Answer,
    Copy,
    Done,
    Fetch,
    Found,
    Push,
    Pushed,
    Refused,
    deadline_of,
    remaining_ms,
)
from mycorrizal.mycel.slots.placement import slot_of


class Replica:
    """
    The answering side of copies, fetches and pushes.

    :param now: The monotonic clock.
    """

    def __init__(
        self, buckets: BucketTable, clock: HybridClock, now: Callable[[], float]
    ) -> None:
        self._buckets = buckets
        self._clock = clock
        self._now = now

    def answer(self, request: Copy | Fetch | Push) -> Answer:
        """Take what is given, or give what is asked for."""
        bucket = self._buckets.by_name.get(request.bucket)
        if bucket is None:
            return Refused(UNKNOWN_BUCKET, request.bucket)
        now = self._now()
        if isinstance(request, Fetch):
            slot = slot_of(bucket.seed, request.key)
            entry = bucket.store.peek(slot, request.key, now)
            if entry is None:
                return Found(None)
            left_ms = remaining_ms(entry.deadline, now)
            return Found(entry.value, entry.stamp, entry.origin, left_ms)
        copies: tuple[Copy | Pushed, ...]
        copies = request.entries if isinstance(request, Push) else (request,)
        for copy in copies:
            self._clock.observe(copy.stamp)
            bucket.store.merge(
                slot_of(bucket.seed, copy.key),
                copy.key,
                copy.value,
                copy.stamp,
                copy.origin,
                deadline_of(copy.remaining_ms, now),
                now,
            )
            if bucket.on_change is not None:
                bucket.on_change(copy.key)
        return Done()
