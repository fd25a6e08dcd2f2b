# -*- test-case-name: tests.mycel.store -*-
"""
One node's memory: its share of each bucket, with LRU, expiry and versions.

Everything here is pure.  Time comes in as ``now``, seconds on a clock that
never steps; whoever owns a `Bucket` calls its `Bucket.pop_due` when
`Bucket.next_due_s` has come.
"""

from mycorrizal.mycel.store.bucket import Bucket
from mycorrizal.mycel.store.counts import BucketStats, Cause
from mycorrizal.mycel.store.lru import Entry
from mycorrizal.mycel.store.sizing import entry_bytes
from mycorrizal.mycel.store.versions import Version, entry_digest

__all__ = [
    "Bucket",
    "BucketStats",
    "Cause",
    "Entry",
    "Version",
    "entry_bytes",
    "entry_digest",
]
