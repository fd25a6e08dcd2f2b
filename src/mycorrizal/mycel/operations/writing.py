# -*- test-case-name: tests.mycel.operations.test_writing -*-
"""
Writes under way at their primary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.messages import (
    INDETERMINATE,
    PROMISED,
    UNKNOWN_BUCKET,
    Answer,
    Buckets,
    Copy,
    Done,
    Refused,
    remaining_ms,
)
from mycorrizal.mycel.operations.asking import Ask
from mycorrizal.mycel.slots.view import View
from mycorrizal.mycel.watch_messages import EventKind

#: How long a replica may take before it is sent the copy again, and another
#: node one in its place.
COPY_TIMEOUT_S = 0.5
#: Writes that may be under way at one primary, those among them that are
#: acknowledged while copies are on the way.
WRITES_MAX: Final = 65_536
_NOT_SENT: Final = object()
#: How many nodes are to hold a write before it is acknowledged, but for "all".
ENOUGH: Final = {"one": 2, "async": 1}


class Write:
    """
    One version on its way to all owners of its slot.

    It is readable when it is acknowledged, which with ``write="all"`` is when
    its copies stand: nobody reads a value that the death of one node could take
    back.

    :ivar until: When it is given up, monotonic.
    :ivar origin: Who gave it its stamp, if it was not this node.
    :ivar began: When it began, monotonic.
    :ivar copies: Who was sent a copy; with the link that said that it is held,
        or None as long as there is no answer.
    :ivar answer: What was answered; then it may still be on the way to some.
    """

    __slots__ = (
        "bucket", "slot", "key", "value", "stamp", "deadline", "until", "existed",
        "done", "origin", "began", "copies", "answer",
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
        origin: bytes | None = None,
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
        self.origin = origin
        self.began = 0.0
        self.copies: dict[bytes, object | None] = {}
        self.answer: Answer | None = None

    @property
    def stands(self) -> bool:
        """Whether it was acknowledged."""
        return isinstance(self.answer, Done)

    def end(self, answer: Answer) -> None:
        """Tell whoever waits."""
        self.answer = answer
        done, self.done = self.done, _nobody
        done(answer)


def _nobody(answer: Answer) -> None:
    """Who waits for an answer that was given: it may be remembered for long."""


class Writes:
    """
    All writes under way at this node.

    :param now: The monotonic clock.
    :param link_to: The link to a node, if it can be asked now.
    :param buckets: The buckets that this node knows.
    :param refused: Called with a slot and the node it was promised to, when
        that is another than this one.
    :param behind: Called when a write counts without an owner that did not
        take it: with the bucket, the owner and the slot.
    """

    def __init__(
        self,
        view: View,
        ask: Ask,
        now: Callable[[], float],
        link_to: Callable[[bytes], object | None],
        buckets: Callable[[], Buckets],
        refused: Callable[[int, tuple[bytes, int]], None],
        behind: Callable[[OpenBucket, bytes, int], None],
    ) -> None:
        self._view = view
        self._ask = ask
        self._now = now
        self._link_to = link_to
        self._buckets = buckets
        self._refused = refused
        self._behind = behind
        self._under_way: dict[Write, None] = {}
        self._latest: dict[tuple[str, bytes], Write] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def __iter__(self) -> Iterator[Write]:
        return iter(self._under_way)

    def latest(self, name: str, key: bytes) -> Write | None:
        """The last write of a key, if it is still under way."""
        return self._latest.get((name, key))

    def begin(self, write: Write) -> None:
        """Send a version to its owners, and answer when all have it."""
        write.began = self._now()
        self._under_way[write] = None
        key = write.bucket.settings.name, write.key
        latest = self._latest.get(key)
        if latest is None or latest.stamp < write.stamp:
            self._latest[key] = write
        self._advance(write)

    def go_on(self) -> None:
        """Owners have changed, or a link is new: go on with all writes."""
        for write in list(self._under_way):
            self._advance(write)

    def tick(self) -> None:
        """Give up the writes whose time is over, and go on with the others."""
        now = self._now()
        for write in list(self._under_way):
            if write.until <= now:
                self._end(write, ())
            else:
                self._advance(write)

    def stop(self, slots: int) -> list[Write]:
        """
        This node is primary of some slots no more.

        :return: Their writes, which are ended here: it holds them, and who is
            primary now has to make them anew.
        """
        stopped = [write for write in self._under_way if slots >> write.slot & 1]
        for write in stopped:
            self._forget(write)
            # Who makes it anew tells of it.
            self._merge(write)
        return [write for write in stopped if not write.stands]

    # -- copies -----------------------------------------------------------------

    def _advance(self, write: Write) -> None:
        bucket = write.bucket
        if bucket.dropped:
            self._end(write, ())
            return
        me, link_to, copies = self._view.me, self._link_to, write.copies
        owners = self._view.owners(write.slot, bucket.owners)
        missing: list[bytes] = []
        for owner in owners:
            if owner == me:
                continue
            link = link_to(owner)
            held_by = copies.get(owner, _NOT_SENT)
            if link is None or held_by is not link:
                missing.append(owner)
                if link is not None and held_by is not None:
                    self._send(write, owner, link)
        if not missing:
            self._end(write, (me, *(owner for owner in owners if owner != me)))
            return
        mode = bucket.settings.write
        if mode != "all" and len(owners) - len(missing) >= ENOUGH[mode]:
            self._stand(write, [owner for owner in owners if owner not in missing])
        elif self._now() >= write.began + COPY_TIMEOUT_S:
            self._substitute(write, owners, missing)

    def _substitute(
        self, write: Write, owners: tuple[bytes, ...], missing: list[bytes]
    ) -> None:
        """Let the next-ranked nodes hold it in place of owners that are late."""
        me, link_to, copies = self._view.me, self._link_to, write.copies
        others = [
            node_key
            for node_key in self._view.placement.ranked(write.slot)
            if node_key not in owners and node_key != me
        ]
        standing = [it for it in others if copies.get(it) and copies[it] is link_to(it)]
        if len(standing) >= len(missing):
            for owner in missing:
                self._behind(write.bucket, owner, write.slot)
            holding = (it for it in owners if it != me and it not in missing)
            self._end(write, (me, *holding, *standing))
            return
        asked = [it for it in others if copies.get(it, _NOT_SENT) is None]
        for node_key in others:
            if len(standing) + len(asked) >= len(missing):
                break
            if node_key not in standing and node_key not in asked:
                link = link_to(node_key)
                if link is not None:
                    self._send(write, node_key, link)
                    asked.append(node_key)

    def _send(self, write: Write, node_key: bytes, link: object) -> None:
        write.copies[node_key] = None
        copy = Copy(
            write.bucket.settings.name,
            write.key,
            write.value,
            write.stamp,
            write.origin or self._view.me,
            remaining_ms(write.deadline, self._now()),
        )

        def answered(answer: Answer | None) -> None:
            if write not in self._under_way:
                return
            if isinstance(answer, Done):
                write.copies[node_key] = link
                self._advance(write)
                return
            write.copies.pop(node_key, None)
            if isinstance(answer, Refused) and answer.reason == UNKNOWN_BUCKET:
                # It has not heard of the bucket yet; links keep the order.
                self._ask(node_key, self._buckets(), COPY_TIMEOUT_S, lambda _: None)
            elif isinstance(answer, Refused) and answer.reason == PROMISED:
                if answer.promised is not None:
                    self._refused(write.slot, answer.promised)
                return
            self._advance(write)

        self._ask(node_key, copy, COPY_TIMEOUT_S, answered)

    # -- ends -------------------------------------------------------------------

    def _forget(self, write: Write) -> None:
        del self._under_way[write]
        key = write.bucket.settings.name, write.key
        if self._latest.get(key) is write:
            del self._latest[key]

    def _end(self, write: Write, held: Sequence[bytes]) -> None:
        if write not in self._under_way:
            return
        self._forget(write)
        if held:
            self._stand(write, held)
        elif write.bucket.dropped:
            if not write.stands:
                write.end(Refused(UNKNOWN_BUCKET, write.bucket.settings.name))
        else:
            # It is here in any case, and owners may lack it.
            for owner in self._view.owners(write.slot, write.bucket.owners):
                if owner != self._view.me and not write.copies.get(owner):
                    self._behind(write.bucket, owner, write.slot)
            if not write.stands:
                self._keep(write)
                text = "not all owners answered in time"
                write.end(Refused(INDETERMINATE, text))
        # It may be remembered for a while, but not all those bytes.
        write.value = None

    def _stand(self, write: Write, held: Sequence[bytes]) -> None:
        """A version is on as many nodes as its bucket demands: acknowledge it."""
        if write.stands:
            return
        self._keep(write)
        origin = write.origin or self._view.me
        write.end(Done(write.existed, len(held), write.stamp, origin))

    def _keep(self, write: Write) -> None:
        bucket = write.bucket
        there_was = write.existed or write.value is not None
        if self._merge(write) and there_was and bucket.watches:
            kind = EventKind.DELETE if write.value is None else EventKind.PUT
            bucket.changed(kind, write.key)

    def _merge(self, write: Write) -> bool:
        return write.bucket.take(
            write.slot,
            write.key,
            write.value,
            write.stamp,
            write.origin or self._view.me,
            write.deadline,
            self._now(),
        )
