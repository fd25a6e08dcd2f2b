# -*- test-case-name: tests.mycel.operations.test_writing -*-
"""
Writes under way at their primary.
"""

from __future__ import annotations

from collections.abc import Callable

from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.messages import (
    INDETERMINATE,
    UNKNOWN_BUCKET,
    Answer,
    Buckets,
    Copy,
    Done,
    Refused,
    remaining_ms,
)
from mycorrizal.mycel.operations.asking import Ask
from mycorrizal.mycel.slots.view import SlotMember, View

#: How long a replica may take before it is sent the copy again.
COPY_TIMEOUT_S = 0.5


class Write:
    """
    One version on its way to all owners of its slot.

    It is readable when its copies stand: nobody reads a value that the death
    of one node could take back.

    :ivar until: When it is given up, monotonic.
    :ivar waiting: Owners that were sent a copy and have not answered.
    :ivar held: Members that hold it; one that has restarted is another.
    """

    __slots__ = (
        "bucket", "slot", "key", "value", "stamp", "deadline", "until", "existed",
        "done", "waiting", "held",
    )  # fmt: skip

    def __init__(
        self,
        bucket: OpenBucket,
        slot: int,
        key: bytes,
        value: bytes | None,
        stamp: int,
        deadline: float,
        until: float,
        existed: bool,
        done: Callable[[Answer], None],
    ) -> None:
        self.bucket = bucket
        self.slot = slot
        self.key = key
        self.value = value
        self.stamp = stamp
        self.deadline = deadline
        self.until = until
        self.existed = existed
        self.done = done
        self.waiting: set[bytes] = set()
        self.held: set[SlotMember] = set()


class Writes:
    """
    All writes under way at this node.

    :param now: The monotonic clock.
    :param linked: Whether a node can be asked now.
    """

    def __init__(
        self,
        view: View,
        ask: Ask,
        now: Callable[[], float],
        linked: Callable[[bytes], bool],
        buckets: Callable[[], Buckets],
    ) -> None:
        self._view = view
        self._ask = ask
        self._now = now
        self._linked = linked
        self._buckets = buckets
        self._under_way: dict[Write, None] = {}
        self._latest: dict[tuple[str, bytes], Write] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def latest(self, name: str, key: bytes) -> Write | None:
        """The last write of a key, if it is still under way."""
        return self._latest.get((name, key))

    def begin(self, write: Write) -> None:
        """Send a version to its owners, and answer when all have it."""
        self._under_way[write] = None
        self._latest[write.bucket.settings.name, write.key] = write
        self._advance(write)

    def members_changed(self) -> None:
        """Owners have changed, or a link is new: go on with all writes."""
        for write in list(self._under_way):
            self._advance(write)

    def expire(self) -> None:
        """Give up the writes whose time is over."""
        now = self._now()
        for write in [w for w in self._under_way if w.until <= now]:
            self._end(write, ())

    def _advance(self, write: Write) -> None:
        view = self._view
        owners = view.placement.owners(write.slot, write.bucket.owners)
        missing = [
            owner
            for owner in owners
            if owner != view.me and view.members[owner] not in write.held
        ]
        if not missing:
            self._end(write, owners)
            return
        for owner in missing:
            if owner not in write.waiting and self._linked(owner):
                self._send(write, owner)

    def _send(self, write: Write, owner: bytes) -> None:
        write.waiting.add(owner)
        member = self._view.members[owner]
        copy = Copy(
            write.bucket.settings.name,
            write.key,
            write.value,
            write.stamp,
            self._view.me,
            remaining_ms(write.deadline, self._now()),
        )

        def answered(answer: Answer | None) -> None:
            if write not in self._under_way:
                return
            write.waiting.discard(owner)
            if isinstance(answer, Done):
                write.held.add(member)
            elif isinstance(answer, Refused) and answer.reason == UNKNOWN_BUCKET:
                # It has not heard of the bucket yet; links keep the order.
                self._ask(owner, self._buckets(), COPY_TIMEOUT_S, lambda _: None)
            self._advance(write)

        self._ask(owner, copy, COPY_TIMEOUT_S, answered)

    def _end(self, write: Write, held: tuple[bytes, ...]) -> None:
        if self._under_way.pop(write, write) is write:
            return
        key = write.bucket.settings.name, write.key
        if self._latest.get(key) is write:
            del self._latest[key]
        me, now = self._view.me, self._now()
        if not held or me in held:
            write.bucket.store.merge(
                write.slot, write.key, write.value, write.stamp, me, write.deadline, now
            )
            if write.bucket.on_change is not None:
                write.bucket.on_change(write.key)
        if held:
            write.done(Done(write.existed, len(held), write.stamp, me))
        else:
            text = "not all owners answered in time"
            write.done(Refused(INDETERMINATE, text))
