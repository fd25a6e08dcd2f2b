# -*- test-case-name: tests.mycel.operations.test_replica -*-
"""
What a node answers to others that hold, or want to hold, the same slots.
"""

from __future__ import annotations

from collections.abc import Callable

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.messages import (
    PROMISED,
    UNKNOWN_BUCKET,
    Answer,
    Copy,
    Done,
    Fetch,
    Found,
    Refused,
    deadline_of,
    remaining_ms,
)
from mycorrizal.mycel.slot_messages import (
    Compare,
    Compared,
    Evict,
    Lacking,
    Offer,
    Page,
    Paged,
    Push,
    Pushed,
)
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.leveling import PUSH_ENTRIES, cut, pushed
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.promises import Life
from mycorrizal.mycel.slots.slotset import from_bytes, slots_of, to_bytes
from mycorrizal.mycel.slots.view import View
from mycorrizal.mycel.store import Cause
from mycorrizal.mycel.store.lru import Entry

#: Asked of one who may hold something.
Asked = Copy | Fetch | Push | Page | Compare | Offer | Evict


class Replica:
    """
    The answering side of copies, pushes, pages and comparisons.

    :param now: The monotonic clock.
    :param written: Called with the bucket and key of what another node brings of
        a slot that this one is primary of.
    """

    def __init__(
        self,
        view: View,
        claims: Claims,
        buckets: BucketTable,
        clock: HybridClock,
        now: Callable[[], float],
        written: Callable[[str, bytes], None] = lambda name, key: None,
    ) -> None:
        self._view = view
        self._claims = claims
        self._buckets = buckets
        self._clock = clock
        self._now = now
        self._written = written

    def answer(self, request: Asked, life: Life) -> Answer:
        """
        Take what is given, or give what is asked for.

        :param life: Who asks.
        """
        bucket = self._buckets.by_name.get(request.bucket)
        if bucket is None:
            return self._without_bucket(request)
        if isinstance(request, Copy):
            slot = slot_of(bucket.seed, request.key)
            promised = self._claims.takes_copy(life, slot)
            if promised is not None:
                return Refused(PROMISED, promised=promised)
            self._take(bucket, slot, request)
            return Done()
        if isinstance(request, Push):
            for entry in request.entries:
                self._take(bucket, slot_of(bucket.seed, entry.key), entry)
            return Done()
        if isinstance(request, Evict):
            return self._evict(bucket, request, life)
        return self._give(bucket, request)

    def _give(
        self, bucket: OpenBucket, request: Fetch | Page | Compare | Offer
    ) -> Answer:
        if isinstance(request, Fetch):
            return self._fetch(bucket, request.key)
        if isinstance(request, Page):
            return self._page(bucket, request)
        if isinstance(request, Compare):
            return self._compare(bucket, request)
        return self._lacking(bucket, request)

    def _take(self, bucket: OpenBucket, slot: int, copy: Copy | Pushed) -> None:
        now = self._now()
        self._clock.observe(copy.stamp)
        taken = bucket.take(
            slot,
            copy.key,
            copy.value,
            copy.stamp,
            copy.origin,
            deadline_of(copy.remaining_ms, now),
            now,
        )
        if taken and self._claims.serving >> slot & 1:
            self._written(bucket.settings.name, copy.key)

    def _fetch(self, bucket: OpenBucket, key: bytes) -> Found:
        now, slot, store = self._now(), slot_of(bucket.seed, key), bucket.store
        # Who asks may be told of an older value by others.
        store.expire(slot, key, now)
        entry = store.peek(slot, key, now)
        if entry is None:
            return Found(None)
        left_ms = remaining_ms(entry.deadline, now)
        return Found(entry.value, entry.stamp, entry.origin, left_ms)

    def _page(self, bucket: OpenBucket, page: Page) -> Paged:
        now, store, found = self._now(), bucket.store, list[Entry]()
        slots = from_bytes(page.slots) >> page.slot << page.slot
        for slot in slots_of(slots & store.held()):
            after = page.after if slot == page.slot else b""
            part = store.scan(slot, after, PUSH_ENTRIES - len(found))
            if over := [it.key for it in part if it.deadline <= now]:
                # What stays in their place has to travel.
                for key in over:
                    store.expire(slot, key, now)
                part = store.scan(slot, after, PUSH_ENTRIES - len(found))
            found += part
            if len(found) >= PUSH_ENTRIES:
                break
        first = next(cut(found), [])
        if len(first) == len(found) < PUSH_ENTRIES:
            return Paged(pushed(first, now), more=False)
        last = first[-1]
        return Paged(pushed(first, now), True, last.slot, last.key)

    def _compare(self, bucket: OpenBucket, compare: Compare) -> Compared:
        now, digest = self._now(), bucket.store.digest
        slots, everything = from_bytes(compare.slots), compare.everything
        return Compared(
            tuple(digest(it, now, everything=everything) for it in slots_of(slots)),
            to_bytes(slots & self._claims.steady),
            self._view.epoch,
        )

    def _lacking(self, bucket: OpenBucket, offer: Offer) -> Lacking:
        now, store = self._now(), bucket.store
        places, newer = [], []
        for place, offered in enumerate(offer.entries):
            held = store.peek(slot_of(bucket.seed, offered.key), offered.key, now)
            version = offered.stamp, offered.origin
            if held is None or held.version < version:
                places.append(place)
            elif held.version > version:
                newer.append(place)
        return Lacking(tuple(places), tuple(newer))

    def _evict(self, bucket: OpenBucket, evict: Evict, life: Life) -> Done:
        now, store = self._now(), bucket.store
        # Who was primary once may not take from us what the next one counts on.
        decides = self._claims.promised_to(life)
        for it in evict.entries:
            slot = slot_of(bucket.seed, it.key)
            held = store.peek(slot, it.key, now)
            if decides >> slot & 1 and held is not None and held.value is not None:
                if held.version <= (it.stamp, it.origin):
                    store.remove(slot, it.key, Cause.EVICTED)
        return Done()

    def _without_bucket(self, request: Asked) -> Answer:
        dropped_at = self._buckets.dropped_at(request.bucket)
        if isinstance(request, Copy):
            newest = request.stamp
        elif isinstance(request, Push):
            newest = max((pushed.stamp for pushed in request.entries), default=0)
        elif isinstance(request, Fetch):
            return Found(None)
        else:
            return Refused(UNKNOWN_BUCKET, request.bucket)
        if newest > dropped_at:
            return Refused(UNKNOWN_BUCKET, request.bucket)
        # It was dropped after all that was written: there is nothing to hold.
        return Done()
