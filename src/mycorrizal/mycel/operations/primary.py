# -*- test-case-name: tests.mycel.operations.test_primary -*-
"""
What a slot's primary does with the operations that reach it.
"""

from __future__ import annotations

from collections.abc import Callable

from mycorrizal.clock import HybridClock
from mycorrizal.mycel.bucket_messages import Administered
from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.config import TTL_S_MAX
from mycorrizal.mycel.fields import AboutBucket
from mycorrizal.mycel.messages import (
    BUSY,
    DEFAULT_TTL,
    NOT_OWNER,
    UNKNOWN_BUCKET,
    UNREACHED,
    Answer,
    Done,
    Fetch,
    Fill,
    Found,
    Get,
    OfKey,
    Put,
    PutIf,
    Refused,
    Remake,
    Repeatable,
    Routed,
    Touch,
    deadline_of,
    remaining_ms,
)
from mycorrizal.mycel.operations.asking import Ask, Waiter
from mycorrizal.mycel.operations.leasing import Leasing
from mycorrizal.mycel.operations.repeats import Repeats
from mycorrizal.mycel.operations.writing import WRITES_MAX, Write, Writes
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.routes import SETTLED, UNSETTLED
from mycorrizal.mycel.slots.view import View
from mycorrizal.mycel.store.versions import TOMBSTONE_TTL_S

#: How long another holder may take to say what it has of a key.
FETCH_TIMEOUT_S = 0.5
#: Keys of unsettled slots that are known to be up to date.
FETCHED_MAX = 100_000

OnDone = Callable[[Answer], None]


class _Knowing(Waiter):
    """Who waits for a put; when that is made, its key is up to date here."""

    __slots__ = ("_bucket", "_done", "_key", "_primary")

    def __init__(
        self, primary: Primary, bucket: OpenBucket, key: bytes, done: OnDone
    ) -> None:
        self._primary = primary
        self._bucket = bucket
        self._key = key
        self._done = done

    @property
    def wanted(self) -> bool:  # type: ignore[override]
        """Whether its answer is still waited for."""
        done = self._done
        return not isinstance(done, Waiter) or done.wanted

    @property
    def origin(self) -> bytes | None:  # type: ignore[override]
        """The node that asks."""
        done = self._done
        return done.origin if isinstance(done, Waiter) else None

    def __call__(self, answer: Answer) -> None:
        self._primary.know(self._bucket, self._key)
        self._done(answer)


class Primary:
    """
    The operations of the slots that this node is primary of.

    :param now: The monotonic clock.
    :param administer: Does what is asked about whole buckets.
    :ivar leasing: Who loads what is not here.
    """

    def __init__(
        self,
        view: View,
        claims: Claims,
        buckets: BucketTable,
        clock: HybridClock,
        writes: Writes,
        ask: Ask,
        now: Callable[[], float],
        administer: Callable[[Administered, float, OnDone], None],
    ) -> None:
        self._view = view
        self._claims = claims
        self._buckets = buckets
        self._clock = clock
        self._writes = writes
        self._ask = ask
        self._now = now
        self._administer = administer
        self._fetched: set[tuple[str, bytes]] = set()
        self._repeats = Repeats()
        self.leasing = Leasing(now, self.perform, self._fill)
        self._leases = self.leasing.leases

    def slots_ended(self) -> None:
        """This node is primary of some slots no more."""
        self._repeats.forget()

    def holders_changed(self) -> None:
        """Others hold something of our slots: what was fetched may be old."""
        self._fetched.clear()

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
        if isinstance(request, AboutBucket):
            self._administer(request, deadline, done)
            return
        bucket = self._buckets.by_name.get(request.bucket)
        if bucket is None:
            done(Refused(UNKNOWN_BUCKET, request.bucket))
            return
        status = self._claims.routes.status[slot]
        if status == SETTLED:
            self._perform_settled(bucket, slot, request, deadline, done)
        elif status == UNSETTLED:
            self._perform_unsettled(bucket, slot, request, deadline, done)
        else:
            done(Refused(NOT_OWNER))

    def _perform_settled(
        self,
        bucket: OpenBucket,
        slot: int,
        request: OfKey,
        until: float,
        done: OnDone,
    ) -> None:
        origin: bytes | None = None
        if isinstance(done, Waiter):
            if not done.wanted:
                return  # It was cancelled before it began.
            origin = done.origin
        if isinstance(request, Get):
            done(read(bucket, slot, request.key, self._now()))
        elif origin is not None and self._was_made(request, origin, done):
            pass
        elif isinstance(request, Touch):
            self._touch(bucket, slot, request, until, done)
        elif isinstance(request, PutIf):
            self._put_if(bucket, slot, request, until, done)
        elif isinstance(request, Remake):
            self._remake(bucket, slot, request, until, done)
        elif not isinstance(request, Put):
            self.leasing.perform(bucket, slot, request, until, done)
        elif request.value is None:
            self._delete(bucket, slot, request, until, done)
        else:
            deadline = self._deadline(bucket, request.ttl_ms)
            self._write(
                bucket, slot, request, request.value, deadline, until, False, done
            )

    # -- settled ----------------------------------------------------------------

    def _was_made(self, request: OfKey, origin: bytes, done: OnDone) -> bool:
        if not isinstance(request, Repeatable):
            return False
        return self._repeats.answer(request, origin, done)

    def _delete(
        self, bucket: OpenBucket, slot: int, put: Put, until: float, done: OnDone
    ) -> None:
        # Also of what is not here: a node that is away may have it.
        existed = self._last_value(bucket, slot, put.key) is not None
        deadline = self._now() + TOMBSTONE_TTL_S
        self._write(bucket, slot, put, None, deadline, until, existed, done)

    def _touch(
        self, bucket: OpenBucket, slot: int, touch: Touch, until: float, done: OnDone
    ) -> None:
        value = self._last_value(bucket, slot, touch.key)
        if value is None:
            done(Done(existed=False))
            return
        deadline = self._deadline(bucket, touch.ttl_ms)
        self._write(bucket, slot, touch, value, deadline, until, True, done)

    def _put_if(
        self, bucket: OpenBucket, slot: int, put: PutIf, until: float, done: OnDone
    ) -> None:
        existed = self._last_value(bucket, slot, put.key) is not None
        if existed != put.if_present:
            done(Done(existed))
            return
        deadline = self._deadline(bucket, put.ttl_ms)
        self._write(bucket, slot, put, put.value, deadline, until, existed, done)

    def _fill(
        self, bucket: OpenBucket, slot: int, fill: Fill, until: float, done: OnDone
    ) -> None:
        """Write what was loaded; if it is nowhere, what is here has to go."""
        value, existed = fill.value, False
        if value is not None:
            deadline = self._deadline(bucket, fill.ttl_ms)
        elif self._last_value(bucket, slot, fill.key) is None:
            # Others may have copies of what was evicted here.
            if bucket.on_change is not None:
                bucket.on_change(fill.key)
            done(Done(existed=False))
            return
        else:
            deadline, existed = self._now() + TOMBSTONE_TTL_S, True
        self._write(bucket, slot, fill, value, deadline, until, existed, done)

    def _last_value(self, bucket: OpenBucket, slot: int, key: bytes) -> bytes | None:
        # A write builds on the last one, also if that can't be read yet: else
        # an older value would come back with a higher version.
        now = self._now()
        entry = bucket.store.peek(slot, key, now)
        write = self._writes.latest(bucket.settings.name, key)
        if (
            write is not None
            and write.stamp > bucket.cleared
            and (entry is None or write.stamp > entry.stamp)
        ):
            return write.value if write.deadline > now else None
        return None if entry is None else entry.value

    def _write(
        self,
        bucket: OpenBucket,
        slot: int,
        request: Put | PutIf | Touch | Fill,
        value: bytes | None,
        deadline: float,
        until: float,
        existed: bool,
        done: OnDone,
    ) -> None:
        if len(self._writes) >= WRITES_MAX:
            done(Refused(BUSY, str(WRITES_MAX)))
            return
        leases = self._leases
        if (leases.current or leases.absent) and not isinstance(request, (Touch, Fill)):
            leases.written(request.bucket, request.key)
        self._clock.observe(request.clock)
        stamp = self._clock.tick()
        write = Write(
            bucket, slot, request.key, value, stamp, deadline, until, existed, done
        )
        origin = done.origin if isinstance(done, Waiter) else None
        if origin is not None and not isinstance(request, Fill):
            self._repeats.began(request, origin, write)
        self._writes.begin(write)

    def _remake(
        self, bucket: OpenBucket, slot: int, request: Remake, until: float, done: OnDone
    ) -> None:
        if len(self._writes) >= WRITES_MAX:
            done(Refused(BUSY, str(WRITES_MAX)))
            return
        leases = self._leases
        if leases.current or leases.absent:
            leases.written(request.bucket, request.key)
        self._clock.observe(request.stamp)
        deadline = deadline_of(request.remaining_ms, self._now())
        self._writes.begin(
            Write(
                bucket, slot, request.key, request.value, request.stamp, deadline,
                until, request.existed, done, request.origin,
            )
        )  # fmt: skip

    def _deadline(self, bucket: OpenBucket, ttl_ms: int) -> float:
        now = self._now()
        if ttl_ms != DEFAULT_TTL:
            return deadline_of(min(ttl_ms, int(TTL_S_MAX * 1000)), now)
        ttl_s = bucket.settings.ttl_s
        return float("inf") if ttl_s is None else now + ttl_s

    # -- unsettled ----------------------------------------------------------------

    def _perform_unsettled(
        self,
        bucket: OpenBucket,
        slot: int,
        request: OfKey,
        deadline: float,
        done: OnDone,
    ) -> None:
        # A stamp of ours is higher than every one that was acknowledged, so a
        # value that replaces the last one need not know it.
        if isinstance(request, Remake):
            self._perform_settled(bucket, slot, request, deadline, done)
        elif isinstance(request, Put) and request.value is not None:
            knowing = _Knowing(self, bucket, request.key, done)
            self._perform_settled(bucket, slot, request, deadline, knowing)
        elif (bucket.settings.name, request.key) in self._fetched:
            self._perform_settled(bucket, slot, request, deadline, done)
        else:
            self._fetch(bucket, slot, request, deadline, done)

    def know(self, bucket: OpenBucket, key: bytes) -> None:
        """What is here of a key of an unsettled slot is up to date."""
        if len(self._fetched) >= FETCHED_MAX:
            self._fetched.clear()
        self._fetched.add((bucket.settings.name, key))

    def _fetch(
        self,
        bucket: OpenBucket,
        slot: int,
        request: OfKey,
        deadline: float,
        done: OnDone,
    ) -> None:
        """Ask all who may hold a newer version of a key, before it is used."""
        claims, name, key = self._claims, bucket.settings.name, request.key
        missing = dict.fromkeys(claims.holders_of(slot))

        def ask(holder: bytes) -> None:
            self._ask(
                holder,
                Fetch(name, key),
                FETCH_TIMEOUT_S,
                lambda answer: answered(holder, answer),
            )

        def answered(holder: bytes, answer: Answer | None) -> None:
            if holder not in missing:
                return  # It is too late.
            if isinstance(answer, Found) and answer.stamp:
                self._take(bucket, slot, key, answer)
            elif answer is None and holder in claims.holders_of(slot):
                if self._now() < deadline:
                    ask(holder)
                else:
                    missing.clear()
                    done(Refused(UNREACHED, "not all who may have it answered"))
                return
            del missing[holder]
            if not missing:
                self.know(bucket, key)
                self.perform(request, slot, deadline, done)

        for holder in list(missing):
            ask(holder)

    def _take(self, bucket: OpenBucket, slot: int, key: bytes, found: Found) -> None:
        self._clock.observe(found.stamp)
        bucket.take_found(slot, key, found, self._now())


def read(bucket: OpenBucket, slot: int, key: bytes, now: float) -> Found:
    """
    What may be read of a key of a settled slot; that is a use of it.
    """
    entry = bucket.store.entry(slot, key, now)
    if entry is None:
        return Found(None)
    left_ms = remaining_ms(entry.deadline, now)
    return Found(entry.value, entry.stamp, entry.origin, left_ms)
