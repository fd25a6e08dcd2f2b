# -*- test-case-name: tests.mycel.operations.test_leasing -*-
"""
What a slot's primary does with wishes to load a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.leases import Lease, Leases, Verdict, Wish
from mycorrizal.mycel.load_messages import AboutLoad
from mycorrizal.mycel.messages import (
    INDETERMINATE,
    LOAD_FAILED,
    NEVER,
    NOT_OWNER,
    TOO_MANY,
    UNKNOWN_BUCKET,
    Answer,
    Done,
    Fill,
    Found,
    Leased,
    Load,
    Refused,
    remaining_ms,
)
from mycorrizal.mycel.slots.routes import SETTLED

OnDone = Callable[[Answer], None]

#: What performs a wish once more: the primary.
Perform = Callable[[Load, int, float, OnDone], None]
#: What writes a value that was loaded or, if there is none, deletes it.
Store = Callable[[OpenBucket, int, Fill, float, OnDone], None]


class Leasing:
    """
    The loads of the slots that this node is primary of.

    :param status: What this node is to each slot, see `Routes`.
    :param now: The monotonic clock.
    :ivar leases: Who loads what, and who waits.
    """

    def __init__(
        self,
        status: bytearray,
        now: Callable[[], float],
        perform: Perform,
        store: Store,
    ) -> None:
        self.leases = Leases()
        self._status = status
        self._now = now
        self._perform = perform
        self._store = store

    # -- requests ---------------------------------------------------------------

    def perform(
        self,
        bucket: OpenBucket,
        slot: int,
        request: AboutLoad,
        until: float,
        done: OnDone,
    ) -> None:
        """Do what a request asks; `done` is called once, maybe much later."""
        if isinstance(request, Load):
            self._load(bucket, Wish(request, slot, until, done))
        elif isinstance(request, Fill):
            self._fill(bucket, slot, request, until, done)
        else:
            waiters = self.leases.forgo(request.token)
            done(Done())
            if request.problem is None:
                self._again(waiters)
            else:
                _tell(waiters, Refused(LOAD_FAILED, request.problem))

    def _load(self, bucket: OpenBucket, wish: Wish) -> None:
        load, leases, now = wish.load, self.leases, self._now()
        leased = Leased()
        if load.anew:
            # What is being loaded may be older than the wish.
            if not leases.holds(load.token):
                leases.written(load.bucket, load.key)
        else:
            entry = bucket.store.entry(wish.slot, load.key, now)
            if entry is not None and entry.value is not None:
                left_s = entry.deadline - now
                leased = Leased(entry.value, entry.stamp)
                if left_s * 1000 > load.stale_ms or leases.loaded_by_other(load):
                    left_ms = remaining_ms(entry.deadline, now)
                    wish.done(Found(entry.value, entry.stamp, entry.origin, left_ms))
                    return
            elif leases.known_absent(load.bucket, load.key, now):
                wish.done(Found(None))
                return
        verdict = leases.ask(wish)
        if verdict is Verdict.LEASED:
            wish.done(leased)
        elif verdict is Verdict.FULL:
            wish.done(Refused(TOO_MANY, "too many loads are under way"))

    def _fill(
        self, bucket: OpenBucket, slot: int, fill: Fill, until: float, done: OnDone
    ) -> None:
        lease = self.leases.fill(fill.token)
        if lease is None:
            done(Done(existed=False))
        elif lease.current:
            # It stays in force until the value can be read: whoever asked
            # meanwhile would find nothing, and load.
            stored = self._when_stored(slot, lease, fill, done)
            self._store(bucket, slot, fill, until, stored)
        else:
            waiters = self.leases.end(lease)
            done(Done(existed=False))
            _tell(waiters, Found(fill.value))

    def _when_stored(self, slot: int, lease: Lease, fill: Fill, done: OnDone) -> OnDone:
        def stored(answer: Answer) -> None:
            leases = self.leases
            done_here = isinstance(answer, Done) and lease.current
            if fill.value is None and fill.ttl_ms and done_here:
                for_ms = float("inf") if fill.ttl_ms == NEVER else fill.ttl_ms
                until = self._now() + for_ms / 1000
                leases.remember_absent(*lease.key, slot, until)
            waiters = leases.end(lease)
            done(Done(copies=answer.copies) if isinstance(answer, Done) else answer)
            # Also if not all owners have answered: it was loaded all the same.
            _tell(waiters, Found(fill.value))

        return stored

    # -- what happens meanwhile -------------------------------------------------

    def node_lost(self, node_key: bytes) -> None:
        """A node can't be reached: others load what it was to load."""
        if self.leases:
            self._again(self.leases.lost(node_key))

    def slots_moved(self) -> None:
        """Slots have changed hands: who waits for one is to ask its primary."""
        if self.leases:
            status = self._status
            waiters = self.leases.moved(lambda slot: status[slot] == SETTLED)
            _tell(waiters, Refused(NOT_OWNER))

    def emptied(self, name: str, *, dropped: bool) -> None:
        """A bucket was cleared or dropped: what is being loaded is out of date."""
        if not self.leases:
            return
        self.leases.cleared(name)
        if dropped:
            # Who was to load it can't fill it any more.
            _tell(self.leases.dropped(name), Refused(UNKNOWN_BUCKET, name))

    def expire(self) -> None:
        """Take back what is not filled in time; call it now and then."""
        if self.leases:
            waiters, over = self.leases.expire(self._now())
            _tell(over, Refused(INDETERMINATE, "nobody has loaded it in time"))
            self._again(waiters)

    def _again(self, waiters: Iterable[Wish]) -> None:
        for wish in waiters:
            self._perform(wish.load, wish.slot, wish.until, wish.done)


def _tell(waiters: Iterable[Wish], answer: Answer) -> None:
    for wish in waiters:
        wish.done(answer)
