"""
What is wrong with a history whose versions are not known.

Pulse's answers carry no versions.  But each key is written by one client,
which waits for the end of a write before it begins the next of that key: so
the order of a key's writes is known all the same, and what a read may find.
A write whose end is not known may take effect at any later time.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

import attrs

from mycorrizal.testing.history import (
    FAIL,
    INFO,
    OK,
    PUTS,
    Operation,
    Record,
    operations,
)
from tests.faults.journal import NEMESIS

#: An entry may be read that much after its time: what it was under way for.
EXPIRY_SLACK_S = 0.5
#: A run that leaves out more than this share of its reads shows nothing.
EXCLUDED_MAX = 0.5
#: Clients of this name read when all nodes have said that all is done, and
#: those of the second name when, besides, nothing is written any more.
SWEEP = "sweep"
LAST_SWEEP = "sweep-last"
#: What can be wrong, each counted even when it is 0:
#: lost: an acknowledged write was not there when all was calm;
#: stale: a client read an older value; phantom: one that nobody wrote;
#: expired: one whose time was over; undeleted: one that had been deleted;
#: diverged: two nodes gave different answers after the end.
KINDS = ("lost", "stale", "phantom", "expired", "undeleted", "diverged")


def _ended(call: Operation) -> float:
    return math.inf if call.outcome == INFO else call.ended


def _follows(later: Operation, earlier: Operation) -> bool:
    """Whether it began when the other had certainly ended."""
    return later.began > _ended(earlier)


def _tells(call: Operation) -> bool:
    """Whether it says what is there, or that nothing is."""
    return call.op == "get" or (call.op == "replace" and call.refrained)


def _overlaps(call: Operation, windows: list[tuple[float, float]]) -> bool:
    return any(a <= call.ended and call.began <= b for a, b in windows)


@attrs.define
class Verdict:
    """
    What the checker found.

    :ivar counts: Of each class of operation and of fault.
    :ivar findings: One line for each thing that must not be.
    :ivar excused: Likewise, what came of writes during a partition.
    """

    counts: Counter[str] = attrs.field(factory=Counter)
    findings: list[str] = attrs.field(factory=list)
    excused: list[str] = attrs.field(factory=list)
    _seen: set[tuple[str, int]] = attrs.field(factory=set)

    def found(
        self, kind: str, read: Operation, write: Operation | None, excuse: str = ""
    ) -> None:
        """Count a fault; one with an excuse is no finding."""
        if write is not None:
            # A lost write is seen by each later read: it is one loss.
            if (kind + excuse, write.id) in self._seen:
                return
            self._seen.add((kind + excuse, write.id))
        text = f"{kind}: {read}; against: {write}"
        if excuse:
            self.counts[f"{kind} {excuse}"] += 1
            self.excused.append(text)
        else:
            self.counts[kind] += 1
            self.findings.append(text)


class Checker:
    """The passes over one history."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.verdict = Verdict()
        self._windows: list[tuple[float, float]] = []
        self._partitions: list[tuple[float, float]] = []
        self._calls: list[Operation] = []
        self._writes: dict[str, list[Operation]] = defaultdict(list)
        self._puts: dict[tuple[str, str | None], Operation] = {}
        for call in operations(records):
            if call.client == NEMESIS:
                if call.op != "event":
                    self._windows.append((call.began, call.ended))
                if call.op == "partition":
                    self._partitions.append((call.began, call.ended))
                continue
            self._calls.append(call)
            if call.op != "get":
                self._writes[call.key].append(call)
            if call.op in PUTS:
                self._puts[call.key, call.value] = call

    def check(self) -> Verdict:
        """All passes."""
        counts = self.verdict.counts
        counts.update(dict.fromkeys(KINDS, 0))
        for call in self._calls:
            counts[f"{call.op} {call.outcome}"] += 1
            if call.op == "put" and call.outcome == OK and call.copies < 2:
                counts["acknowledged with one copy"] += 1
        reads = [c for c in self._calls if c.outcome == OK and _tells(c)]
        excluded = 0
        for read in reads:
            excluded += _overlaps(read, self._windows)
            self._check_read(read)
        self._check_agreement(reads)
        counts["reads excluded"] = excluded
        if excluded > EXCLUDED_MAX * len(reads) or not reads:
            useless = f"useless: {excluded} of {len(reads)} reads excluded"
            self.verdict.findings.append(useless)
        return self.verdict

    def _excuse(self, read: Operation, write: Operation) -> str:
        """Why a read may contradict a write, if it may."""
        if _overlaps(read, self._windows):
            return "in a window"
        return "of a partition" if _overlaps(write, self._partitions) else ""

    def _check_read(self, read: Operation) -> None:
        found = self.verdict.found
        newest = self._newest(read)
        if read.found is None:
            if newest is not None and not self._may_be_absent(newest, read):
                excuse = self._excuse(read, newest)
                found(self._loss(read), read, newest, excuse)
            return
        put = self._puts.get((read.key, read.found))
        if put is None or put.failed or put.began > read.ended:
            found("phantom", read, put)
            return
        # Whatever became of the put, it was applied before it was read.
        applied_by = min(_ended(put), read.ended)
        if put.ttl_s and read.began > applied_by + put.ttl_s + EXPIRY_SLACK_S:
            # A second try may have been applied, which begins the time again.
            cut_off = _overlaps(put, self._partitions)
            found("expired", read, put, "of a partition" if cut_off else "")
        if newest is not None and _follows(newest, put):
            kind = "undeleted" if newest.op == "delete" else self._loss(read)
            found(kind, read, newest, self._excuse(read, newest))

    @staticmethod
    def _loss(read: Operation) -> str:
        return "lost" if read.client.startswith(SWEEP) else "stale"

    def _newest(self, read: Operation) -> Operation | None:
        """The last write of a key that was acknowledged before a read."""
        for write in reversed(self._writes[read.key]):
            # A delete that found nothing has written nothing.
            if write.outcome == OK and not write.refrained and _follows(read, write):
                return write
        return None

    def _may_be_absent(self, newest: Operation, read: Operation) -> bool:
        """Whether a delete or the end of a time can be why nothing is there."""
        return any(
            write.op == "delete"
            or (
                write.ttl_s is not None
                and not write.refrained
                and read.ended > write.began + write.ttl_s
            )
            for write in self._writes[read.key]
            if write.outcome != FAIL and not _follows(newest, write)
        )

    def _check_agreement(self, reads: list[Operation]) -> None:
        first: dict[str, Operation] = {}
        for read in reads:
            expires = any(write.ttl_s for write in self._writes[read.key])
            if not read.client.startswith(LAST_SWEEP) or expires:
                continue
            other = first.setdefault(read.key, read)
            if other.found != read.found:
                self.verdict.found("diverged", read, other)
