# -*- test-case-name: tests.mycel.slots.test_fetching -*-
"""
What a new primary does first: it fetches what others hold of its slots.
"""

from __future__ import annotations

from collections.abc import Callable

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.messages import Refused, deadline_of
from mycorrizal.mycel.operations.asking import Errands
from mycorrizal.mycel.slot_messages import Compare, Compared, Page, Paged, Pushed
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.slotset import parts_of, slots_of, slotset, to_bytes

#: How long a node may take to answer.
FETCH_TIMEOUT_S = 5.0
#: Pause before a node that did not answer is asked again.
FETCH_PAUSE_S = 0.1
#: Slots compared at once: with a million entries their digests take 20 ms.
COMPARED_MAX = 32


class Fetching:
    """
    The fetching of what others hold, from all holders side by side.

    :param done: Called when all that one node held is here.
    """

    def __init__(
        self,
        errands: Errands,
        claims: Claims,
        buckets: BucketTable,
        clock: HybridClock,
        now: Callable[[], float],
        done: Callable[[], None],
    ) -> None:
        self._errands = errands
        self._claims = claims
        self._buckets = buckets
        self._clock = clock
        self._now = now
        self._done = done
        #: Holders that have told of more since their errand looked.
        self._more: set[bytes] = set()

    def begin(self, node_key: bytes) -> None:
        """A node holds something of our slots."""
        self._more.add(node_key)
        name = "fetch", node_key
        if name not in self._errands:
            self._errands.begin(name, self._fetch(node_key))

    async def _fetch(self, node_key: bytes) -> None:
        claims = self._claims
        while slots := claims.held_by(node_key):
            self._more.discard(node_key)
            # While this runs buckets may come, but then their entries are here.
            for bucket in list(self._buckets.by_name.values()):
                if not await self._fetch_bucket(node_key, bucket, slots):
                    await self._errands.pause(FETCH_PAUSE_S)
                    break
            else:
                if node_key not in self._more:
                    claims.fetched(node_key, slots)
                    self._done()

    async def _fetch_bucket(
        self, node_key: bytes, bucket: OpenBucket, slots: int
    ) -> bool:
        """
        Fetch the slots of a bucket in which a node holds something else than
        this one.

        :return: Whether all of it is here.
        """
        for part in parts_of(slots, COMPARED_MAX):
            request = Compare(bucket.settings.name, to_bytes(part), everything=True)
            answer = await self._errands.ask(node_key, request, FETCH_TIMEOUT_S)
            if isinstance(answer, Refused):
                return True  # It does not know the bucket, so holds nothing of it.
            each = slots_of(part)
            if not isinstance(answer, Compared) or len(answer.digests) != len(each):
                return False
            now, store = self._now(), bucket.store
            other = slotset(
                slot
                for slot, digest in zip(each, answer.digests, strict=True)
                if digest and digest != store.digest(slot, now, everything=True)
            )
            if other and not await self._fetch_pages(node_key, bucket, other):
                return False
        return True

    async def _fetch_pages(
        self, node_key: bytes, bucket: OpenBucket, slots: int
    ) -> bool:
        name, slot, after = bucket.settings.name, 0, b""
        while True:
            request = Page(name, to_bytes(slots), slot, after)
            answer = await self._errands.ask(node_key, request, FETCH_TIMEOUT_S)
            if not isinstance(answer, Paged):
                return isinstance(answer, Refused)
            for entry in answer.entries:
                self._take(bucket, entry)
            if not answer.more:
                return True
            slot, after = answer.slot, answer.after

    def _take(self, bucket: OpenBucket, entry: Pushed) -> None:
        now = self._now()
        self._clock.observe(entry.stamp)
        bucket.take(
            slot_of(bucket.seed, entry.key),
            entry.key,
            entry.value,
            entry.stamp,
            entry.origin,
            deadline_of(entry.remaining_ms, now),
            now,
        )
