# -*- test-case-name: tests.mycel.operations.test_watching -*-
"""
Changes of keys, kept by the primaries until those who watch ask for them.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.messages import BUSY, UNKNOWN_BUCKET, Event, Events, Refused
from mycorrizal.mycel.operations.asking import Waiter
from mycorrizal.mycel.watch_messages import EVENTS_MAX, EventKind, Watch
from mycorrizal.runtime import Runtime, Timer

#: Changes that wait for one who watches; of more it is told how many were lost.
OUTBOX_MAX: Final = 1024
#: Watches of others that a node keeps changes for.
OUTBOXES_MAX: Final = 1024
#: Who has not asked for so long is forgotten.
IDLE_S: Final = 30.0

#: Who watches, and its number for the watch; this node is None.
Watcher = tuple[object, int]


class Outbox:
    """
    What one who watches is still to be told.
    """

    __slots__ = (
        "asked_at", "bucket", "events", "lost", "prefix", "until", "waiter",
        "_outboxes",
    )  # fmt: skip

    def __init__(self, outboxes: Outboxes, bucket: OpenBucket, prefix: bytes) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self.events: deque[Event] = deque()
        self.lost = 0
        self.waiter: Waiter | None = None
        self.until = 0.0
        self.asked_at = 0.0
        self._outboxes = outboxes

    def changed(self, kind: EventKind, key: bytes) -> None:
        """A key has changed."""
        if not key.startswith(self.prefix):
            return
        # What was lost stands behind what waits: nothing may come in between.
        if self.lost or len(self.events) >= OUTBOX_MAX:
            self.lost += 1
        else:
            self.events.append(Event(kind, key))
        if self.waiter is not None:
            self._outboxes.answer_later(self)

    def answer(self, *, fresh: bool = False) -> None:
        """Tell who asks what there is."""
        waiter, self.waiter = self.waiter, None
        if waiter is None or not waiter.wanted:
            return
        events = tuple(
            self.events.popleft() for _ in range(min(EVENTS_MAX, len(self.events)))
        )
        lost = 0
        if not self.events:
            lost, self.lost = self.lost, 0
        waiter(Events(events, lost, fresh))


class Poll:
    """One who watches, and waits; if it gives up its outbox goes."""

    def __init__(self, outboxes: Outboxes, watcher: Watcher) -> None:
        self._outboxes = outboxes
        self._watcher = watcher

    def cancel(self) -> None:
        """Nobody watches any more."""
        self._outboxes.remove(self._watcher)


class Outboxes:
    """
    All that this node has to tell those who watch, of the slots it is primary of.
    """

    def __init__(self, runtime: Runtime, buckets: BucketTable) -> None:
        self._runtime = runtime
        self._buckets = buckets
        self._outboxes: dict[Watcher, Outbox] = {}
        self._to_answer: dict[Outbox, None] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._outboxes)

    def ask(self, link: object, request: Watch, waiter: Waiter) -> Poll | None:
        """
        Somebody asks what has happened.

        :param link: On which it asks; None: this node.
        :return: What can be cancelled, if there is no answer yet.
        """
        watcher = (link, request.watch)
        now = self._runtime.now()
        outbox = self._outboxes.get(watcher)
        if outbox is not None and outbox.bucket.dropped and not outbox.events:
            self.remove(watcher)
            outbox = None
        fresh = outbox is None
        if outbox is None:
            bucket = self._buckets.by_name.get(request.bucket)
            if bucket is None:
                waiter(Refused(UNKNOWN_BUCKET, request.bucket))
                return None
            if len(self._outboxes) >= OUTBOXES_MAX:
                waiter(Refused(BUSY, str(OUTBOXES_MAX)))
                return None
            outbox = self._open(watcher, bucket, request.prefix)
        outbox.waiter = waiter
        outbox.asked_at = now
        outbox.until = now + request.patience_ms / 1000
        if fresh or outbox.events or outbox.lost:
            outbox.answer(fresh=fresh)
            return None
        return Poll(self, watcher)

    def _open(self, watcher: Watcher, bucket: OpenBucket, prefix: bytes) -> Outbox:
        outbox = self._outboxes[watcher] = Outbox(self, bucket, prefix)
        bucket.watches.append(outbox)
        return outbox

    def remove(self, watcher: Watcher) -> None:
        """Somebody watches no more."""
        outbox = self._outboxes.pop(watcher, None)
        if outbox is None:
            return
        self._to_answer.pop(outbox, None)
        outbox.bucket.watches.remove(outbox)

    def answer_later(self, outbox: Outbox) -> None:
        """
        Answer in a turn of its own: changes that come together are told
        together, and whoever made them is not held up.
        """
        self._to_answer[outbox] = None
        if self._timer is None or not self._timer.active():
            self._timer = self._runtime.call_later(0, self._answer)

    def _answer(self) -> None:
        to_answer, self._to_answer = self._to_answer, {}
        for outbox in to_answer:
            outbox.answer()

    def expire(self) -> None:
        """Answer those whose patience is over; forget those who ask no more."""
        now = self._runtime.now()
        for watcher, outbox in list(self._outboxes.items()):
            if outbox.waiter is not None:
                if outbox.until <= now:
                    outbox.answer()
            elif outbox.asked_at + IDLE_S <= now:
                self.remove(watcher)

    def stop(self) -> None:
        """Tell nobody any more."""
        for watcher in list(self._outboxes):
            self.remove(watcher)
        if self._timer is not None:
            self._timer.cancel()
