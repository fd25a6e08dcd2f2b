# -*- test-case-name: tests.mycel.store.test_bucket -*-
"""
Why entries go, and what a bucket counts.
"""

from __future__ import annotations

from enum import Enum

import attrs


class Cause(Enum):
    """Why an entry is no longer there to be read."""

    EXPIRED = "expired"  # its time to live had run out
    EVICTED = "evicted"  # the bucket was full, and others were used later
    DELETED = "deleted"  # someone deleted it, or cleared or dropped the bucket
    REPLACED = "replaced"  # a newer version came
    MOVED = "moved"  # other nodes hold it now


@attrs.frozen
class BucketStats:
    """
    What one node holds of one bucket, and has counted since the bucket came to
    be there.  A node that restarts begins anew, and so does one that gets the
    bucket back.

    :ivar entries: Values held now, for which ``max_entries`` is the limit;
        those that have expired in the last second among them.
    :ivar tombstones: Deleted keys that are remembered now, and keys whose
        value lived shorter than the one before.
    :ivar size_bytes: Memory taken now, within 10 % of what the process has
        resident for it; ``max_bytes`` is the limit.  Keys, values, what keeps
        them in order and tombstones count.
    :ivar hits: Reads that found a value here.
    :ivar misses: Reads that found none here.  A read that goes to another
        node counts there.
    :ivar puts: Values taken that were newer than what was held, copies for
        this node as a replica and moved ones included.
    :ivar deletes: Deletes taken that were newer, also of absent keys, copies
        included.
    :ivar refused: Values and deletes not taken, being no newer than what is
        held.
    :ivar expired: Values gone because their time to live had run out.
    :ivar evicted: Values gone because the bucket was full.
    :ivar deleted: Values gone by a delete, clear or drop.
    :ivar replaced: Values gone because a newer one came.
    :ivar moved: Values gone because other nodes hold them now.
    :ivar tombstones_dropped: Deletes forgotten before their time, for want of
        room.
    """

    entries: int
    tombstones: int
    size_bytes: int
    hits: int
    misses: int
    puts: int
    deletes: int
    refused: int
    expired: int
    evicted: int
    deleted: int
    replaced: int
    moved: int
    tombstones_dropped: int


class Counts:
    """
    The running counts of a bucket, each as `BucketStats` defines it.
    """

    __slots__ = (
        "deleted", "deletes", "entries", "evicted", "expired", "hits", "misses",
        "moved", "puts", "refused", "replaced", "size_bytes", "tombstones",
        "tombstones_dropped",
    )  # fmt: skip

    def __init__(self) -> None:
        self.entries = self.tombstones = self.size_bytes = 0
        self.hits = self.misses = self.puts = self.deletes = self.refused = 0
        self.expired = self.evicted = self.deleted = self.replaced = self.moved = 0
        self.tombstones_dropped = 0

    def _count(self, cause: Cause) -> None:
        """An entry with a value went."""
        if cause is Cause.EXPIRED:
            self.expired += 1
        elif cause is Cause.EVICTED:
            self.evicted += 1
        elif cause is Cause.REPLACED:
            self.replaced += 1
        elif cause is Cause.DELETED:
            self.deleted += 1
        else:
            self.moved += 1

    def stats(self) -> BucketStats:
        """What is held and what was counted, now."""
        return BucketStats(
            **{field.name: getattr(self, field.name) for field in _FIELDS}
        )


_FIELDS = attrs.fields(BucketStats)
