# -*- test-case-name: tests.testing.test_evictions -*-
"""
What nodes have let go for want of room, and so which losses that excuses.

A bucket that is full loses values, and may: the least recently used go.  What
may not happen is that anything else is lost along with them, so a loss is
excused only by the eviction of that key, in that version or a later one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.store import Cause
from mycorrizal.service import Mycorrizal
from mycorrizal.testing.history import Version

#: So long a new primary may take to fetch what others hold.
FETCH_S: Final = 5.0
#: Evictions of one key that are remembered.
OF_KEY_MAX: Final = 10_000


@attrs.frozen
class Eviction:
    """
    One value that a node let go.

    :ivar t: When, in seconds since the world began.
    :ivar process: The node; one that was restarted is another.
    :ivar led: Whether the node was, as far as it knew, the slot's primary.
    """

    t: float
    process: Mycorrizal
    version: Version
    led: bool


class Evictions:
    """
    All evictions of a storm, by bucket and key.

    :param now: Seconds since the world began.
    :ivar upset: Whether owners may have changed between two times.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.upset: Callable[[float, float], bool] = lambda since, until: True
        self._now = now
        self._by_key: dict[tuple[str, bytes], deque[Eviction]] = {}
        self._expired: dict[tuple[str, bytes], deque[Eviction]] = {}

    def __iter__(self) -> Iterator[Eviction]:
        for found in self._by_key.values():
            yield from found

    def set_up(self, node: Mycorrizal) -> None:
        """Look at what a new process lets go."""
        buckets: Any = node.mycel.buckets
        add = buckets.add

        def added(*args: Any, **kwargs: Any) -> OpenBucket:
            bucket: OpenBucket = add(*args, **kwargs)
            self._look_at(bucket, node)
            return bucket

        buckets.add = added
        for bucket in buckets.by_name.values():
            self._look_at(bucket, node)

    def _look_at(self, bucket: OpenBucket, node: Mycorrizal) -> None:
        store, name = bucket.store, bucket.settings.name
        gone = store._gone

        def goes(entry: Any, cause: Cause) -> None:
            version = entry.stamp, entry.origin.hex()
            if cause is Cause.EVICTED:
                led = store._ends[entry.slot] is store._led
                self.evicted(name, entry.key, node, version, led=led)
            elif cause is Cause.EXPIRED:
                self._remember(self._expired, name, entry.key, node, version, True)
            if gone is not None:
                gone(entry, cause)

        store._gone = goes

    def evicted(
        self,
        bucket: str,
        key: bytes,
        process: Mycorrizal,
        version: Version,
        *,
        led: bool,
    ) -> None:
        """A node lets a value go."""
        self._remember(self._by_key, bucket, key, process, version, led)

    def _remember(
        self,
        where: dict[tuple[str, bytes], deque[Eviction]],
        bucket: str,
        key: bytes,
        process: Mycorrizal,
        version: Version,
        led: bool,
    ) -> None:
        of_key = where.get((bucket, key))
        if of_key is None:
            of_key = where[bucket, key] = deque(maxlen=OF_KEY_MAX)
        of_key.append(Eviction(self._now(), process, version, led))

    # -- what that excuses ----------------------------------------------------

    def excuse_read(
        self, bucket: str, key: bytes, version: Version, ended: float
    ) -> bool:
        """
        Whether a read that ended then may have missed a version.

        The slot's primary alone decides what goes.  A copy that another owner
        let go, being far beyond its limits, is missed only if that owner, or
        one that has copied from it, has become primary since; or if it was
        primary just before, and the next one had not fetched it yet.
        """
        return any(
            it.t <= ended
            and it.version >= version
            and (it.led or self.upset(it.t - FETCH_S, ended))
            for it in self._by_key.get((bucket, key), ())
        )

    def by(
        self, bucket: str, key: bytes, version: Version, since: float = 0.0
    ) -> set[Mycorrizal]:
        """Who has let that version go, or a later one."""
        return {
            it.process
            for it in self._by_key.get((bucket, key), ())
            if it.version >= version and it.t >= since
        }

    def has_expired(self, bucket: str, key: bytes, version: Version) -> bool:
        """Whether that version has expired on a node."""
        expired = self._expired.get((bucket, key), ())
        return any(it.version == version for it in expired)

    def gone_from(
        self, bucket: str, key: bytes, version: Version, since: float
    ) -> set[Mycorrizal]:
        """Who has had that version or a later one, which went or expired since."""
        expired = {
            it.process
            for it in self._expired.get((bucket, key), ())
            if it.version >= version and it.t >= since
        }
        return expired | self.by(bucket, key, version, since)
