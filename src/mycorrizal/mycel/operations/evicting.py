# -*- test-case-name: tests.mycel.operations.test_evicting -*-
"""
What goes from a bucket by itself, and who is told: those who watch, and the
owners of copies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.messages import Answer
from mycorrizal.mycel.operations.asking import Ask
from mycorrizal.mycel.slot_messages import Evict, Offered
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.view import View
from mycorrizal.mycel.store import Cause, Entry
from mycorrizal.mycel.watch_messages import EventKind
from mycorrizal.runtime import Runtime, Timer

#: Evictions of one moment are told together.
EVICT_PAUSE_S: Final = 0.05
#: So many are told at once, sooner if need be.
EVICTED_MAX: Final = 512
#: How long an owner may take to answer; one that does not keeps its copy.
EVICT_TIMEOUT_S: Final = 5.0

_KINDS: Final = {
    Cause.EXPIRED: EventKind.EXPIRE,
    Cause.EVICTED: EventKind.EVICT,
    Cause.DELETED: EventKind.CLEAR,
}


class Evicting:
    """
    The primary's word on what had to make room, for all owners of its copies.

    The primary alone sees which values are read, so it decides for all of them.
    An owner that is not reached keeps its copy, until it expires or has to make
    room there.
    """

    def __init__(self, runtime: Runtime, view: View, claims: Claims, ask: Ask) -> None:
        self._runtime = runtime
        self._view = view
        self._claims = claims
        self._ask = ask
        #: By bucket: the slot of each version that went.
        self._evicted: dict[OpenBucket, list[tuple[int, Offered]]] = {}
        self._timer: Timer | None = None

    def look_after(self, bucket: OpenBucket) -> None:
        """Tell from now on what goes from a bucket."""
        bucket.store.tell(self._gone_from(bucket))

    def _gone_from(self, bucket: OpenBucket) -> Callable[[Entry, Cause], None]:
        claims, watches = self._claims, bucket.watches

        def gone(entry: Entry, cause: Cause) -> None:
            if not claims.serving >> entry.slot & 1:
                return
            if watches and cause in _KINDS:
                bucket.changed(_KINDS[cause], entry.key)
            if cause is Cause.EVICTED and bucket.owners > 1:
                self._remember(bucket, entry)

        return gone

    def _remember(self, bucket: OpenBucket, entry: Entry) -> None:
        offered = Offered(entry.key, entry.stamp, entry.origin)
        evicted = self._evicted.setdefault(bucket, [])
        evicted.append((entry.slot, offered))
        if self._timer is None:
            self._timer = self._runtime.call_later(EVICT_PAUSE_S, self._tell)
        elif len(evicted) == EVICTED_MAX:
            self._tell_of(bucket, self._evicted.pop(bucket))

    def _tell(self) -> None:
        self._timer = None
        told, self._evicted = self._evicted, {}
        for bucket, evicted in told.items():
            self._tell_of(bucket, evicted)

    def _tell_of(self, bucket: OpenBucket, evicted: list[tuple[int, Offered]]) -> None:
        owners, by_owner = bucket.owners, dict[bytes, list[Offered]]()
        for slot, offered in evicted:
            for node_key in self._view.owners(slot, owners):
                if node_key != self._view.me:
                    by_owner.setdefault(node_key, []).append(offered)
        for node_key, versions in by_owner.items():
            evict = Evict(bucket.settings.name, tuple(versions))
            self._ask(node_key, evict, EVICT_TIMEOUT_S, _told)

    def stop(self) -> None:
        """Tell nobody any more."""
        self._evicted.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _told(answer: Answer | None) -> None:
    """Nothing is done about who did not hear it."""
