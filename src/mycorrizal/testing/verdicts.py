# -*- test-case-name: tests.testing.test_verdicts -*-
"""
Whether a history keeps the cache's promises; each check apart from the others.

Of the eighteen invariants of the simulation these are judged today, by history
(here), at each moment (`watch`), or in the quiet at the end (`checkers`):

===  ==========================================  ======================
 I2  the clock of stamps never goes back         watch: ``clock``
 I6  a key's version never goes back on a node   watch: ``versions``
 I7  reads: written once, not expired            ``phantom, expired``
 I8  ok means that so many nodes hold it         watch: ``copies-at-ack``
 I9  one link for each pair, but for 1 s         watch: ``one-link``
I10  queues and tables keep to their bounds      watch: ``bounds``
I11  nothing from who does not know the secret,  watch: ``strangers,
     no link over a greeting that was changed    greetings``
I12  no error that nobody caught                 watch: ``errors``
I13  views are equal and complete                checkers: ``views``
I14  a key is on its owners, in one version      checkers: ``copies``
I15  no acknowledged write is lost, no deleted   ``acknowledged,
     key comes back, no evicted or expired one   deleted, order, stale,
                                                 returned, evicted``
     nothing that was loaded too late            ``late-fill``
     a key is loaded once at a time              ``one-flight``
I17  messages at most once, in order             postbox: ``messages,
                                                 delivery, requests``
I18  each operation ends within its timeout      ``time``
===  ==========================================  ======================

The others (I1, I3, I4, I5, I16: leaders, registers, fencing tokens, leases and
linearizable buckets) are about what does not exist yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from mycorrizal.testing.conditions import Conditions
from mycorrizal.testing.evictions import Evictions
from mycorrizal.testing.history import (
    DELETES,
    FAIL,
    INFO,
    PUTS,
    READS,
    WRITES,
    Operation,
    Version,
)

#: What an answer may be late on a busy node, in seconds.
LATE_S: Final = 0.5
#: Clocks run up to 1 % wrong; and what expires may be read this much later.
CLOCKS_WRONG: Final = 0.025
EXPIRED_S: Final = 1.0
#: How long bytes may be on their way before their link is given up.
SPLIT_S: Final = 6.0

Problem = tuple[float, str, str]


@attrs.define
class Verdict:
    """
    What was found, and how much was looked at.

    :ivar problems: When, which invariant, and how.
    :ivar judged: Operations that were held to the promises of quiet times.
    :ivar excluded: Operations that were not: the cluster was split.
    """

    problems: list[Problem] = attrs.field(factory=list)
    judged: int = 0
    excluded: int = 0


def judge(
    found: Sequence[Operation],
    conditions: Conditions,
    evictions: Evictions,
    now: float = float("inf"),
) -> Verdict:
    """
    Judge a whole history, read to the end when all was quiet.

    :param evictions: What nodes let go for want of room.
    :param now: When the history was cut short, if it was.
    """
    verdict = Verdict()
    places: dict[tuple[str, str], list[Operation]] = {}
    for operation in found:
        verdict.problems += _in_time(operation, conditions, now)
        if operation.key:
            places.setdefault((operation.bucket, operation.key), []).append(operation)
            split = conditions.splits.touch(operation.began, operation.ended)
            verdict.excluded += split
            verdict.judged += not split
    for _, of_key in sorted(places.items()):
        key = _Key(of_key, conditions, evictions)
        for check in (
            key.order, key.phantom, key.expired, key.stale, key.undeleted,
            key.evicted, key.late_fill, key.one_flight,
        ):  # fmt: skip
            verdict.problems += check()
    return verdict


def _in_time(
    operation: Operation, conditions: Conditions, now: float
) -> Iterator[Problem]:
    took_s = min(operation.ended, now) - operation.began
    limit_s = operation.timeout_s * (1 + CLOCKS_WRONG) + LATE_S
    limit_s += conditions.paused_s(operation.began, operation.began + limit_s)
    if operation.timeout_s and took_s > limit_s:
        text = f"{operation} took {took_s:.3f} of {operation.timeout_s} s"
        yield operation.began + limit_s, "time", text


class _Key:
    """The operations of one key, in the order in which they began."""

    def __init__(
        self, found: list[Operation], conditions: Conditions, evictions: Evictions
    ) -> None:
        self.found = found
        self.conditions = conditions
        self.evictions = evictions
        self.written = {op.value: op for op in found if op.op in PUTS}
        self.acknowledged = [op for op in found if op.acknowledged]

    def _split(self, operation: Operation) -> bool:
        return self.conditions.splits.touch(operation.began, operation.ended)

    def _before(
        self, operations: Iterable[Operation], writes: list[Operation]
    ) -> Iterator[tuple[Operation, Operation]]:
        """Each operation, and the highest write that ended before it began."""
        ended = sorted(writes, key=lambda op: op.ended, reverse=True)
        highest: Operation | None = None
        for operation in operations:
            while ended and ended[-1].ended < operation.began:
                write = ended.pop()
                if highest is None or _version(write) > _version(highest):
                    highest = write
            if highest is not None:
                yield operation, highest

    # -- checks ---------------------------------------------------------------

    def order(self) -> Iterator[Problem]:
        """Of two writes, one after the other, the second has the higher version."""
        writes = [op for op in self.acknowledged if not self._split(op)]
        for later, earlier in self._before(writes, writes):
            if _version(later) <= _version(earlier) and not self._lost(earlier):
                yield later.ended, "order", f"{later} is not above {earlier}"

    def phantom(self) -> Iterator[Problem]:
        """What is read was written, under this key, and not later than that."""
        for read in self.found:
            if read.found is None:
                continue
            put = self.written.get(read.found)
            if put is None or put.began > read.ended or put.failed:
                yield read.ended, "phantom", f"{read}, which {put} wrote"

    def expired(self) -> Iterator[Problem]:
        """What is read may still live, even if all writes took effect late."""
        for read in self.found:
            put = self.written.get(read.found or "")
            if put is None:
                continue
            ends = [_expiry(put)]
            for touch in self.found:
                meets = touch.ended >= put.began and touch.began <= read.ended
                if touch.op == "touch" and touch.existed and meets:
                    ends.append(_expiry(touch))
            # A copy lives from when it arrives: a stopped process, or a network
            # that stands still, keeps it on its way for a while.
            begun = min(put.began, read.began)
            held_up_s = self.conditions.paused_s(begun, read.began)
            if self.conditions.splits.touch(begun, read.began):
                held_up_s += SPLIT_S
            if read.began > max(ends) + EXPIRED_S + held_up_s:
                yield read.ended, "expired", f"{read} was over at {max(ends):.3f}"

    def stale(self) -> Iterator[Problem]:
        """A read is no older than the last write that was acknowledged."""
        for read, write in self._before(self.found, self.acknowledged):
            if not read.reads or self._excused(read) or self._lost(write):
                continue
            version = self._version_of(read)
            if read.found is None:
                # The version of a write is its own, not of what it met.
                seen = read.op in READS and version is not None
                seen = seen and version >= _version(write)  # type: ignore[operator]
                if write.op in DELETES or seen or self._evicted(read, write):
                    continue
                if not self._gone(read, write):
                    yield read.ended, "acknowledged", f"{read} does not see {write}"
            elif version is not None and version < _version(write):
                what = "deleted" if write.op in DELETES else "stale"
                if _soonest(write) <= read.ended:
                    what = "returned"
                elif self._evicted(read, write):
                    what = "evicted"
                yield read.ended, what, f"{read} does not see {write}"

    def undeleted(self) -> Iterator[Problem]:
        """What was deleted, and not written since, is not there."""
        for op, delete in self._before(self.found, self.acknowledged):
            if not op.met or delete.op not in DELETES:
                continue
            if self._excused(op) or self._lost(delete):
                continue
            if not any(self._may_outlive(put, delete, op) for put in self.found):
                yield op.ended, "deleted", f"{op}, though {delete}"

    def late_fill(self) -> Iterator[Problem]:
        """What a loader gave that began before a write is not read after it."""
        for read in self.found:
            load = self.written.get(read.found or "")
            if load is None or load.op != "load" or self._excused(read):
                continue
            for write in self.acknowledged:
                if write.op == "touch" or not load.began < write.began:
                    continue
                if not write.ended < read.began or self._lost(write):
                    continue
                if self.conditions.splits.touch(load.began, write.ended):
                    continue
                what = "late-fill"
                if _soonest(write) <= read.ended:
                    what = "returned"
                elif self._evicted(read, write):
                    what = "evicted"
                yield read.ended, what, f"{read} of {load}, after {write}"
                break

    def one_flight(self) -> Iterator[Problem]:
        """While nothing moves, and nobody writes, one loader is called at a time."""
        loads = [op for op in self.found if op.op == "load"]
        for number, second in enumerate(loads):
            for first in loads[:number]:
                # Each clock is a little wrong, and so when leases end.
                end = first.ended - CLOCKS_WRONG * (second.began - first.began)
                if end > second.began and not self._may_overlap(first, second):
                    yield second.began, "one-flight", f"{second} during {first}"

    def evicted(self) -> Iterator[Problem]:
        """What was missed for having been evicted is not read again."""
        missed: list[Operation] = []
        for read in self.found:
            if not read.reads or self._excused(read):
                continue
            if read.found is None:
                missed.append(read)
                continue
            put = self.written.get(read.found)
            for earlier in missed:
                if put is None or not put.ended < earlier.began:
                    continue
                if earlier.ended < read.began and self._evicted(earlier, put):
                    yield read.ended, "evicted", f"{read}, which {earlier} missed"
                    break

    # -- excuses --------------------------------------------------------------

    def _excused(self, read: Operation) -> bool:
        return self._split(read) or self.conditions.failing.touch(
            read.began, read.ended
        )

    def _lost(self, write: Operation) -> bool:
        return self.conditions.may_be_lost(write.began, write.ended, write.copies)

    def _evicted(self, read: Operation, write: Operation) -> bool:
        """Whether a read may have missed a write for having been evicted."""
        if write.version is None:
            return False
        return self.evictions.excuse_read(
            read.bucket, read.key.encode(), write.version, read.ended
        )

    def _version_of(self, read: Operation) -> Version | None:
        """Of what was read, a tombstone too; None if it can't be known."""
        if read.version is not None or read.found is None:
            return read.version
        put = self.written.get(read.found)
        if put is None or put.version is None:
            return None
        touched = any(
            op.op == "touch" and op.began <= read.ended and op.ended >= put.began
            for op in self.found
        )
        return None if touched else put.version

    def _gone(self, read: Operation, write: Operation) -> bool:
        """Whether the key may have been deleted, or have expired, since."""
        return any(
            op.began <= read.ended
            and op.outcome != FAIL
            and (op.version is None or op.version >= _version(write))
            and (op.op in DELETES or _soonest(op) <= read.ended)
            for op in self.found
            if op.op in WRITES and self._had_effect(op)
        )

    def _had_effect(self, op: Operation) -> bool:
        """Whether a write that was answered may have written."""
        # A delete that was tried again finds nothing: it deleted it at first.
        tried_again = op.op in DELETES and self.conditions.upset(op.began, op.ended)
        return not op.refrained or tried_again

    def _may_outlive(self, put: Operation, delete: Operation, read: Operation) -> bool:
        """Whether a value may have been written after a delete, and before a read."""
        if put.op not in PUTS or put.failed or put.began > read.ended or put is read:
            return False
        if put.op == "load" and put.began < delete.began:
            # It came too late, but where nodes were of two minds.
            return self.conditions.splits.touch(put.began, delete.ended)
        return put.version is None or put.version > _version(delete)

    def _may_overlap(self, first: Operation, second: Operation) -> bool:
        """Whether a key may be loaded though it is being loaded."""
        conditions = self.conditions
        # The lease was granted when the call that loads was under way.
        since = min(
            op.began
            for op in (first, *self.found)
            if op is first
            or (
                op.op == "get_or_load"
                and op.client == first.client
                and op.began <= first.began <= op.ended
            )
        )
        until = second.began
        if conditions.splits.touch(since, until):
            return True
        if conditions.failing.touch(since, until) or conditions.upset(since, until):
            return True
        if conditions.paused_s(since, until):
            return True
        return any(
            op.began <= until and since <= _over(op)
            for op in self.found
            if op.op in WRITES - {"touch", "load"} and op.outcome != FAIL
        )


def _version(operation: Operation) -> Version:
    assert operation.version is not None
    return operation.version


def _expiry(write: Operation) -> float:
    """When what it wrote is over at the latest."""
    if write.ttl_s is None:
        return float("inf")
    return _over(write) + write.ttl_s * (1 + CLOCKS_WRONG)


def _over(write: Operation) -> float:
    """When nobody goes on with it any more."""
    # An owner may go on with a write after its client has given up, and what a
    # loader gave is stored behind its caller's back.
    late_s = 10.0 if write.outcome == INFO else 0.0
    return write.ended + (late_s if write.op != "load" else 20.0)


def _soonest(write: Operation) -> float:
    """When what it wrote is over at the soonest."""
    if write.ttl_s is None:
        return float("inf")
    return write.began + write.ttl_s * (1 - CLOCKS_WRONG)
