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
    What one node counts of one bucket, since the bucket came to be there.

    The first three are what it holds now, tombstones and entries that have
    expired in the last second included in `size_bytes`.
    """

    entries: int  # entries with a value held, for which max_entries is the limit
    tombstones: int  # deleted keys that are remembered
    size_bytes: int  # memory taken, for which max_bytes is the limit
    hits: int  # reads that found a value
    misses: int  # reads that found none
    puts: int  # values taken that were newer than what was held, copies included
    deletes: int  # deletes taken that were newer, of absent keys too, and copies
    refused: int  # values and deletes not taken, being no newer than what is held
    expired: int  # entries gone because their time to live had run out
    evicted: int  # entries gone because the bucket was full
    deleted: int  # entries gone by a delete, clear or drop
    replaced: int  # entries gone because a newer value came
    moved: int  # entries gone because other nodes hold them now
    tombstones_dropped: int  # deletes forgotten before their time, for want of room


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
