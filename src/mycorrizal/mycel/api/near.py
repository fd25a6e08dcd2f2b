# -*- test-case-name: tests.mycel.near.test_cluster -*-
"""
The calls of the cache about near copies.
"""

from __future__ import annotations

from mycorrizal.errors import ConfigError, UnknownBucket
from mycorrizal.mycel.api.calls import Calls
from mycorrizal.mycel.config import LIMIT_MAX
from mycorrizal.mycel.near.copies import NearStats

#: Near copies of a bucket, and the memory that they take, unless told otherwise.
NEAR_ENTRIES_MAX = 10_000
NEAR_BYTES_MAX = 64 * 1024 * 1024


class NearCalls(Calls):
    """
    The calls about near copies: what this node reads is kept here, too.
    """

    def keep_near(
        self,
        bucket: str,
        *,
        max_entries: int = NEAR_ENTRIES_MAX,
        max_bytes: int = NEAR_BYTES_MAX,
    ) -> None:
        """
        Keep copies of the values of a bucket that this node reads, on this
        node, in addition to what it holds as an owner.

        `get` and `get_or_load` then answer from the copy, without the network.
        The value's primary tells of each change.  A read may miss the changes
        that are on their way here, which takes as long as the network does; it
        never misses one that the primary made more than 3 seconds before,
        whatever happens to messages, links and nodes.  A copy is never served
        when its value has expired.  A node reads what it has itself written.

        :param max_entries: Copies; the least recently used go first.
        :param max_bytes: Memory that they may take.
        :raises NotRunning: The node was not started, or was stopped.
        :raises UnknownBucket: There is none of that name.
        :raises ConfigError: A limit makes no sense.
        """
        if not self.running:
            raise self._runtime.not_running("the cache")
        if bucket not in self._buckets:
            raise UnknownBucket(bucket)
        for name, limit in (("max_entries", max_entries), ("max_bytes", max_bytes)):
            if type(limit) is not int or not 1 <= limit <= LIMIT_MAX:
                raise ConfigError(name, f"must be 1 to {LIMIT_MAX}")
        self._insides.near.keep(bucket, max_entries, max_bytes)

    def keep_no_near(self, bucket: str) -> None:
        """Keep no near copies of a bucket any more; no error if there are none."""
        self._insides.near.keep_none(bucket)

    def near_stats(self, bucket: str) -> NearStats | None:
        """What near copies of a bucket there are here; None: none are kept."""
        copies = self._near.get(bucket)
        return None if copies is None else copies.stats()
