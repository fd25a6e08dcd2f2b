# -*- test-case-name: tests.mycel.slots.test_handoff -*-
"""
Slots on the move: a holder pushes what the new owners lack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

import attrs
from msgspec.structs import replace

from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.messages import (
    NEVER,
    UNKNOWN_BUCKET,
    Answer,
    Buckets,
    Done,
    Push,
    Pushed,
    Refused,
    remaining_ms,
)
from mycorrizal.mycel.operations.asking import Ask
from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.slots.view import View
from mycorrizal.mycel.store import Cause
from mycorrizal.runtime import Runtime, Timer

#: Bytes of values in one push: what an operation may have to wait for.
PUSH_BYTES = 256 * 1024
#: Entries in one push, however small.
PUSH_ENTRIES = 512
#: Pushes that may be unanswered at once.
PUSHES_MAX = 4
#: How long a node may take to answer a push before it is sent again.
PUSH_TIMEOUT_S = 5.0
#: Pause before a push that failed is sent again.
PUSH_PAUSE_S = 0.1


@attrs.frozen(eq=False)
class Batch:
    """
    Some entries of one slot, on their way to one owner.

    :ivar made_at: When the times that remain were right, monotonic.
    """

    owner: bytes
    push: Push
    made_at: float

    def aged(self, now: float) -> Push:
        """The entries as they are now; those that have expired are left out."""
        age_ms = ceil((now - self.made_at) * 1000)
        if not age_ms:
            return self.push
        entries = tuple(
            replace(entry, remaining_ms=max(NEVER, entry.remaining_ms - age_ms))
            for entry in self.push.entries
            if entry.remaining_ms == NEVER or entry.remaining_ms > age_ms
        )
        return Push(self.push.bucket, entries)


class Handoff:
    """
    The pushing side of moves: one round for each change of members.

    :param through: Called when a round is complete.
    :ivar epoch: Of the last round that was completed; see `View.epoch`.
    """

    def __init__(
        self,
        runtime: Runtime,
        view: View,
        buckets: BucketTable,
        ask: Ask,
        news: Callable[[], Buckets],
        through: Callable[[], None],
    ) -> None:
        self.epoch: int | None = None
        self._runtime = runtime
        self._view = view
        self._buckets = buckets
        self._ask = ask
        self._news = news
        self._through = through
        self._round = 0
        self._batches: Iterator[Batch] = iter(())
        self._again: list[Batch] = []
        self._unanswered = 0
        self._sent: dict[Batch, None] = {}
        self._digests: dict[tuple[str, int], int] = {}
        self._timer: Timer | None = None

    def begin(self, *, changed: bool = False) -> None:
        """
        Members have changed: push what has moved.

        :param changed: They have not: push the slots that have changed since
            they were pushed.
        """
        self._round += 1
        self.epoch = None
        self._again.clear()
        self._unanswered = 0
        self._sent.clear()
        pushed, self._digests = self._digests, {}
        self._batches = self._pending(pushed if changed else {})
        # In a turn of its own: a handoff must not hold up what began it.
        self._pump_later(0)

    def left(self) -> dict[str, int]:
        """How many copies of which bucket are still to be taken; ends it."""
        found: dict[str, int] = {}
        for batch in (*self._sent, *self._again, *self._batches):
            name = batch.push.bucket
            found[name] = found.get(name, 0) + len(batch.push.entries)
        return found

    def stop(self) -> None:
        """Push no more."""
        self._round += 1
        self._batches = iter(())
        self._again.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _pump_later(self, delay_s: float) -> None:
        if self._timer is None or not self._timer.active():
            self._timer = self._runtime.call_later(delay_s, self._pump)

    def _pump(self) -> None:
        while self._unanswered < PUSHES_MAX:
            batch = self._again.pop() if self._again else next(self._batches, None)
            if batch is None:
                break
            if batch.owner in self._view.members:
                self._send(batch)
        if not self._unanswered and not self._again and self.epoch is None:
            self._complete()

    def _send(self, batch: Batch) -> None:
        self._unanswered += 1
        self._sent[batch] = None
        current = self._round

        def answered(answer: Answer | None) -> None:
            if current != self._round:
                return
            self._unanswered -= 1
            del self._sent[batch]
            if isinstance(answer, Done):
                self._pump_later(0)
                return
            if isinstance(answer, Refused) and answer.reason == UNKNOWN_BUCKET:
                self._ask(batch.owner, self._news(), PUSH_TIMEOUT_S, lambda _: None)
            self._again.append(batch)
            self._pump_later(PUSH_PAUSE_S)

        push = batch.aged(self._runtime.now())
        self._ask(batch.owner, push, PUSH_TIMEOUT_S, answered)

    def _complete(self) -> None:
        self.epoch = self._view.epoch
        self._view.pushed()
        self._through()

    # -- what there is to push --------------------------------------------------

    def _pending(self, pushed: dict[tuple[str, int], int]) -> Iterator[Batch]:
        for bucket in list(self._buckets.by_name.values()):
            for slot in range(SLOTS):
                if not bucket.store.count(slot):
                    continue
                owners = self._view.lacking(slot, bucket.owners)
                name = bucket.settings.name
                digest = bucket.store.digest(slot, self._runtime.now())
                self._digests[name, slot] = digest
                if owners and pushed.get((name, slot)) != digest:
                    yield from self._slot_batches(bucket, slot, owners)

    def _slot_batches(
        self, bucket: OpenBucket, slot: int, owners: tuple[bytes, ...]
    ) -> Iterator[Batch]:
        store, name = bucket.store, bucket.settings.name
        after = b""
        while True:
            found = store.scan(slot, after, PUSH_ENTRIES)
            if not found:
                return
            after = found[-1].key
            now = self._runtime.now()
            # Read at once: an entry belongs to its store, which changes it.
            entries = [
                Pushed(
                    entry.key,
                    entry.value,
                    entry.stamp,
                    entry.origin,
                    remaining_ms(entry.deadline, now),
                )
                for entry in found
                if entry.deadline > now
            ]
            for part in _parts(entries):
                for owner in owners:
                    yield Batch(owner, Push(name, part), now)

    def drop(self) -> bool:
        """
        All is settled: let go what this node need not hold any more.

        :return: Whether some of it has changed since it was pushed, and must
            be pushed again first.
        """
        now, changed = self._runtime.now(), False
        for bucket in self._buckets.by_name.values():
            store, name = bucket.store, bucket.settings.name
            for slot in range(SLOTS):
                if not store.count(slot):
                    continue
                owners = self._view.placement.owners(slot, bucket.owners)
                if self._view.me in owners:
                    continue
                if self._digests.get((name, slot)) == store.digest(slot, now):
                    store.drop_slot(slot, Cause.MOVED)
                else:
                    changed = True
        return changed


def _parts(entries: list[Pushed]) -> Iterator[tuple[Pushed, ...]]:
    """Cut entries into pushes of bounded size; one large value stays whole."""
    part: list[Pushed] = []
    part_bytes = 0
    for entry in entries:
        entry_bytes = len(entry.key) + len(entry.value or b"") + 64
        if part and part_bytes + entry_bytes > PUSH_BYTES:
            yield tuple(part)
            part, part_bytes = [], 0
        part.append(entry)
        part_bytes += entry_bytes
    if part:
        yield tuple(part)
