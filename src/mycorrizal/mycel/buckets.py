# -*- test-case-name: tests.mycel.test_buckets -*-
"""
The buckets that this node knows of, and its share of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from mycorrizal.mycel.config import BUCKETS_MAX, BucketSettings
from mycorrizal.mycel.messages import NEVER, BucketEntry
from mycorrizal.mycel.slots.placement import bucket_seed
from mycorrizal.mycel.store import Bucket, Version


@attrs.define
class OpenBucket:
    """
    A bucket of the cluster and this node's share of it.

    :ivar seed: Of the hash that spreads its keys over the slots.
    :ivar owners: How many nodes hold each key.
    :ivar version: Of its settings.
    :ivar on_change: Called with each key whose value has changed on this node,
        or was deleted again, if anybody wants to know.
    """

    settings: BucketSettings
    seed: int
    version: Version
    store: Bucket
    owners: int
    on_change: Callable[[bytes], None] | None = None

    @property
    def entry(self) -> BucketEntry:
        """The bucket as other nodes are told of it."""
        settings, (stamp, origin) = self.settings, self.version
        ttl_s = settings.ttl_s
        return BucketEntry(
            settings.name,
            NEVER if ttl_s is None else max(1, round(ttl_s * 1000)),
            settings.max_entries,
            settings.max_bytes,
            settings.replicas,
            stamp,
            origin,
        )


def settings_of(entry: BucketEntry) -> BucketSettings:
    """The settings in what another node said."""
    return BucketSettings(
        entry.name,
        None if entry.ttl_ms < 0 else entry.ttl_ms / 1000,
        entry.max_entries,
        entry.max_bytes,
        entry.replicas,
    )


class BucketTable:
    """
    All buckets, by name.

    :param opened: Called with each bucket that is new here.
    """

    def __init__(
        self, opened: Callable[[OpenBucket], object] = lambda bucket: None
    ) -> None:
        self.by_name: dict[str, OpenBucket] = {}
        self._opened = opened

    def entries(self) -> tuple[BucketEntry, ...]:
        """All buckets, as other nodes are told of them."""
        return tuple(bucket.entry for _, bucket in sorted(self.by_name.items()))

    def merge(self, entries: Iterable[BucketEntry]) -> list[tuple[str, str]]:
        """
        Take what another node knows.

        Of two settings of one bucket, made apart, the later ones win on every
        node.

        :return: The buckets whose settings were in conflict, and how.
        """
        conflicts = []
        for entry in entries:
            settings, version = settings_of(entry), (entry.stamp, entry.origin)
            known = self.by_name.get(entry.name)
            if known is None:
                if len(self.by_name) < BUCKETS_MAX:
                    self.add(settings, version)
                continue
            difference = known.settings.difference(settings)
            if difference:
                conflicts.append((entry.name, difference))
            if version > known.version:
                known.version = version
                self._change(known, settings)
        return conflicts

    def add(self, settings: BucketSettings, version: Version) -> OpenBucket:
        """Open a bucket that is not known yet."""
        store = Bucket(
            settings.name,
            max_entries=settings.max_entries,
            max_bytes=settings.max_bytes,
        )
        bucket = OpenBucket(
            settings, bucket_seed(settings.name), version, store, settings.replicas + 1
        )
        self.by_name[settings.name] = bucket
        self._opened(bucket)
        return bucket

    @staticmethod
    def _change(bucket: OpenBucket, settings: BucketSettings) -> None:
        bucket.settings = settings
        bucket.owners = settings.replicas + 1
        bucket.store.limit(settings.max_entries, settings.max_bytes)
