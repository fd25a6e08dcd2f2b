# -*- test-case-name: tests.mycel.operations.test_primary -*-
"""
What a slot's primary does with the operations that reach it.
"""

from __future__ import annotations

from collections.abc import Callable

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.buckets import BucketTable, OpenBucket, settings_of
from mycorrizal.mycel.config import BUCKETS_MAX, TTL_S_MAX
from mycorrizal.mycel.messages import (
    CONFLICT,
    DEFAULT_TTL,
    INDETERMINATE,
    NOT_OWNER,
    TOO_MANY,
    UNKNOWN_BUCKET,
    Answer,
    BucketEntry,
    Buckets,
    CreateBucket,
    Done,
    Fetch,
    Fill,
    Found,
    Get,
    Keyed,
    Put,
    Refused,
    Routed,
    Touch,
    deadline_of,
    remaining_ms,
)
from mycorrizal.mycel.operations.asking import Ask
from mycorrizal.mycel.operations.leasing import Leasing
from mycorrizal.mycel.operations.writing import Write, Writes
from mycorrizal.mycel.slots.view import View
from mycorrizal.mycel.store.versions import TOMBSTONE_TTL_S

#: How long another holder may take to say what it has of a key.
FETCH_TIMEOUT_S = 0.5
#: Keys of unsettled slots that are known to be up to date.
FETCHED_MAX = 100_000

OnDone = Callable[[Answer], None]


class Primary:
    """
    The operations of the slots that this node is primary of.

    :param now: The monotonic clock.
    :param meeting: Whether there are nodes that this one has heard of and not
        met yet: they may hold what nobody else does.
    :ivar leasing: Who loads what is not here.
    """

    def __init__(
        self,
        view: View,
        buckets: BucketTable,
        clock: HybridClock,
        writes: Writes,
        ask: Ask,
        now: Callable[[], float],
        meeting: Callable[[], bool] = lambda: False,
    ) -> None:
        self._view = view
        self._buckets = buckets
        self._clock = clock
        self._writes = writes
        self._ask = ask
        self._now = now
        self._meeting = meeting
        self._fetched: set[tuple[str, bytes]] = set()
        self.leasing = Leasing(view, now, self.perform, self._put)
        self._leases = self.leasing.leases

    def members_changed(self) -> None:
        """What was fetched before may be out of date."""
        self._fetched.clear()
        self.leasing.slots_moved()

    def perform(
        self, request: Routed, slot: int, deadline: float, done: OnDone
    ) -> None:
        """
        Do what a request asks.

        :param slot: Its slot, which this node is primary of.
        :param deadline: When it becomes indeterminate, monotonic.
        :param done: Called once, maybe at once, with the answer; `NOT_OWNER`
            if it has to be tried again.
        """
        if isinstance(request, CreateBucket):
            self._create(request, deadline, done)
            return
        bucket = self._buckets.by_name.get(request.bucket)
        if bucket is None:
            done(Refused(UNKNOWN_BUCKET, request.bucket))
            return
        if self._view.unsettled[slot]:
            self._fetch(bucket, slot, request, deadline, done)
        else:
            self._perform_settled(bucket, slot, request, deadline, done)

    def _perform_settled(
        self,
        bucket: OpenBucket,
        slot: int,
        request: Keyed,
        until: float,
        done: OnDone,
    ) -> None:
        if isinstance(request, Get):
            done(self._get(bucket, slot, request.key))
        elif isinstance(request, Put):
            leases = self._leases
            if leases.current or leases.absent:
                leases.written(request.bucket, request.key)
            self._put(bucket, slot, request, until, done)
        elif isinstance(request, Touch):
            self._touch(bucket, slot, request, until, done)
        else:
            self.leasing.perform(bucket, slot, request, until, done)

    def _put(
        self, bucket: OpenBucket, slot: int, put: Put | Fill, until: float, done: OnDone
    ) -> None:
        if put.value is None:
            self._delete(bucket, slot, put, until, done)
        else:
            deadline = self._deadline(bucket, put.ttl_ms)
            self._write(bucket, slot, put, put.value, deadline, until, False, done)

    # -- settled ----------------------------------------------------------------

    def _get(self, bucket: OpenBucket, slot: int, key: bytes) -> Found:
        now = self._now()
        entry = bucket.store.entry(slot, key, now)
        if entry is None:
            return Found(None)
        left_ms = remaining_ms(entry.deadline, now)
        return Found(entry.value, entry.stamp, entry.origin, left_ms)

    def _delete(
        self, bucket: OpenBucket, slot: int, put: Put | Fill, until: float, done: OnDone
    ) -> None:
        if self._last_value(bucket, slot, put.key) is None:
            # Others may have copies of what was evicted here.
            if bucket.on_change is not None:
                bucket.on_change(put.key)
            done(Done(existed=False))
            return
        deadline = self._now() + TOMBSTONE_TTL_S
        self._write(bucket, slot, put, None, deadline, until, True, done)

    def _touch(
        self, bucket: OpenBucket, slot: int, touch: Touch, until: float, done: OnDone
    ) -> None:
        value = self._last_value(bucket, slot, touch.key)
        if value is None:
            done(Done(existed=False))
            return
        deadline = self._deadline(bucket, touch.ttl_ms)
        self._write(bucket, slot, touch, value, deadline, until, True, done)

    def _last_value(self, bucket: OpenBucket, slot: int, key: bytes) -> bytes | None:
        # A write builds on the last one, also if that can't be read yet: else
        # an older value would come back with a higher version.
        now = self._now()
        entry = bucket.store.peek(slot, key, now)
        write = self._writes.latest(bucket.settings.name, key)
        if write is not None and (entry is None or write.stamp > entry.stamp):
            return write.value if write.deadline > now else None
        return None if entry is None else entry.value

    def _write(
        self,
        bucket: OpenBucket,
        slot: int,
        request: Put | Touch | Fill,
        value: bytes | None,
        deadline: float,
        until: float,
        existed: bool,
        done: OnDone,
    ) -> None:
        self._clock.observe(request.clock)
        stamp = self._clock.tick()
        self._writes.begin(
            Write(
                bucket, slot, request.key, value, stamp, deadline, until, existed, done
            )
        )

    def _deadline(self, bucket: OpenBucket, ttl_ms: int) -> float:
        now = self._now()
        if ttl_ms != DEFAULT_TTL:
            return deadline_of(min(ttl_ms, int(TTL_S_MAX * 1000)), now)
        ttl_s = bucket.settings.ttl_s
        return float("inf") if ttl_s is None else now + ttl_s

    # -- unsettled ----------------------------------------------------------------

    def _know(self, bucket: OpenBucket, key: bytes) -> None:
        if len(self._fetched) >= FETCHED_MAX:
            self._fetched.clear()
        self._fetched.add((bucket.settings.name, key))

    def _fetch(
        self,
        bucket: OpenBucket,
        slot: int,
        request: Keyed,
        deadline: float,
        done: OnDone,
    ) -> None:
        # Others may hold a newer version, and have not pushed it yet; also a
        # put must be newer than that.
        view, name, key = self._view, bucket.settings.name, request.key
        holders = set(view.waiting_for)
        if (name, key) in self._fetched or not holders:
            self._perform_settled(bucket, slot, request, deadline, done)
            return
        if self._meeting():
            done(Refused(NOT_OWNER))
            return
        epoch = view.epoch

        def ask(holder: bytes) -> None:
            self._ask(
                holder,
                Fetch(name, key),
                FETCH_TIMEOUT_S,
                lambda answer: answered(holder, answer),
            )

        def answered(holder: bytes, answer: Answer | None) -> None:
            if holder not in holders:
                return  # It is too late.
            if isinstance(answer, Found) and answer.stamp:
                self._take(bucket, slot, key, answer)
            elif answer is None and epoch == view.epoch:
                if self._now() < deadline:
                    ask(holder)
                else:
                    holders.clear()
                    done(Refused(INDETERMINATE, "not all who may have it answered"))
                return
            holders.discard(holder)
            if not holders and epoch != view.epoch:
                done(Refused(NOT_OWNER))
            elif not holders:
                self._know(bucket, key)
                self._perform_settled(bucket, slot, request, deadline, done)

        for holder in sorted(holders):
            ask(holder)

    def _take(self, bucket: OpenBucket, slot: int, key: bytes, found: Found) -> None:
        now = self._now()
        self._clock.observe(found.stamp)
        deadline = deadline_of(found.remaining_ms, now)
        bucket.store.merge(
            slot, key, found.value, found.stamp, found.origin, deadline, now
        )

    # -- buckets ------------------------------------------------------------------

    def _create(self, request: CreateBucket, deadline: float, done: OnDone) -> None:
        me = self._view.me
        self._clock.observe(request.clock)
        entry = BucketEntry(
            request.name,
            request.ttl_ms,
            request.max_entries,
            request.max_bytes,
            request.replicas,
            self._clock.tick(),
            me,
        )
        settings = settings_of(entry)
        bucket = self._buckets.by_name.get(request.name)
        if bucket is None:
            if len(self._buckets.by_name) >= BUCKETS_MAX:
                done(Refused(TOO_MANY, f"there are {BUCKETS_MAX} buckets already"))
                return
            self._buckets.merge([entry])
        else:
            difference = settings.difference(bucket.settings)
            if difference:
                done(Refused(CONFLICT, difference))
                return
            entry = bucket.entry
        self._spread(entry, deadline, done)

    def _spread(self, entry: BucketEntry, deadline: float, done: OnDone) -> None:
        """Tell every member of a bucket, and answer when all know it."""
        missing = self._view.members.keys() - {self._view.me}
        if not missing:
            done(Done(copies=1))
            return
        news = Buckets((entry,), self._clock.last)

        def tell(node_key: bytes) -> None:
            left_s = deadline - self._now()
            self._ask(node_key, news, left_s, lambda answer: told(node_key, answer))

        def told(node_key: bytes, answer: Answer | None) -> None:
            gone = node_key not in self._view.members
            if answer is None and not gone and self._now() < deadline:
                tell(node_key)
                return
            missing.discard(node_key)
            if answer is None and not gone and not over:
                over.append(node_key)
                done(Refused(INDETERMINATE, "not all members answered in time"))
            elif not missing and not over:
                done(Done(copies=len(self._view.members)))

        over: list[bytes] = []
        for node_key in sorted(missing):
            tell(node_key)
