# -*- test-case-name: tests.mycel.test_buckets -*-
"""
The buckets that this node knows of, and its share of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import attrs

from mycorrizal.mycel.config import BUCKETS_MAX, DROPPED_MAX, BucketSettings
from mycorrizal.mycel.messages import NEVER, BucketEntry, Found, deadline_of
from mycorrizal.mycel.slots.placement import bucket_seed
from mycorrizal.mycel.store import Bucket, Version
from mycorrizal.mycel.watch_messages import EventKind


class Watching(Protocol):
    """Who is told what happens to keys."""

    def changed(self, kind: EventKind, key: bytes) -> None: ...


@attrs.define(eq=False)
class OpenBucket:
    """
    A bucket of the cluster and this node's share of it.

    :ivar seed: Of the hash that spreads its keys over the slots.
    :ivar owners: How many nodes hold each key.
    :ivar version: Of its settings.
    :ivar created: The stamp of its creation.
    :ivar cleared: What was written up to this stamp is gone.
    :ivar dropped: Whether it is no more.
    :ivar watches: Who is told what happens to its keys.
    :ivar on_change: Called with each key whose value has changed on this node,
        in whichever way, if anybody wants to know.
    """

    settings: BucketSettings
    seed: int
    version: Version
    store: Bucket
    owners: int
    created: int = 0
    cleared: int = 0
    dropped: bool = False
    watches: list[Watching] = attrs.field(factory=list)
    on_change: Callable[[bytes], None] | None = None

    def take(
        self,
        slot: int,
        key: bytes,
        value: bytes | None,
        stamp: int,
        origin: bytes,
        deadline: float,
        now: float,
    ) -> bool:
        """As `Bucket.merge`; whoever wants to know of changes is told."""
        taken = self.store.merge(slot, key, value, stamp, origin, deadline, now)
        if taken and self.on_change is not None:
            self.on_change(key)
        return taken

    def take_found(self, slot: int, key: bytes, found: Found, now: float) -> bool:
        """As `take`, of what another node has answered."""
        deadline = deadline_of(found.remaining_ms, now)
        return self.take(
            slot, key, found.value, found.stamp, found.origin, deadline, now
        )

    def changed(self, kind: EventKind, key: bytes) -> None:
        """Tell those who watch."""
        for watch in self.watches:
            watch.changed(kind, key)

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
            settings.write,
            self.created,
            self.cleared,
        )


def settings_of(entry: BucketEntry) -> BucketSettings:
    """The settings in what another node said."""
    return BucketSettings(
        entry.name,
        None if entry.ttl_ms < 0 else entry.ttl_ms / 1000,
        entry.max_entries,
        entry.max_bytes,
        entry.replicas,
        entry.write,
    )


@attrs.define
class Merged:
    """
    What has come of the news of another node.

    :ivar conflicts: The buckets that were created apart with other settings,
        and what is different.
    :ivar cleared: Those of which something is to go.
    :ivar limited: Those whose limits have changed.
    :ivar dropped: Those that are no more.
    :ivar moved: Whether values have other owners now.
    """

    conflicts: list[tuple[str, str]] = attrs.field(factory=list)
    cleared: list[OpenBucket] = attrs.field(factory=list)
    limited: list[OpenBucket] = attrs.field(factory=list)
    dropped: list[OpenBucket] = attrs.field(factory=list)
    moved: bool = False


class BucketTable:
    """
    All buckets, by name, and those that were dropped.

    Nodes that have heard the same news, in whatever order and however often,
    have the same table: of buckets that were created apart under one name the
    later one's settings are in force, and of these the latest; a drop ends
    whatever was created before it, and what is created afterwards under that
    name is another bucket, of which nothing older can be a part.

    :param opened: Called with each bucket that is new here.
    :ivar dropped: The last drop of each name.
    """

    def __init__(
        self, opened: Callable[[OpenBucket], object] = lambda bucket: None
    ) -> None:
        self.by_name: dict[str, OpenBucket] = {}
        self.dropped: dict[str, BucketEntry] = {}
        self._opened = opened

    def entries(self) -> tuple[BucketEntry, ...]:
        """All buckets, as other nodes are told of them."""
        dropped = tuple(entry for _, entry in sorted(self.dropped.items()))
        return dropped + tuple(
            bucket.entry for _, bucket in sorted(self.by_name.items())
        )

    def merge(self, entries: Iterable[BucketEntry]) -> Merged:
        """Take what another node knows."""
        merged = Merged()
        for entry in sorted(entries, key=lambda entry: not entry.dropped):
            if entry.dropped:
                self._drop(entry, merged)
            elif entry.name in self.by_name:
                self._change(self.by_name[entry.name], entry, merged)
            elif (
                entry.created > self.dropped_at(entry.name)
                and len(self.by_name) < BUCKETS_MAX
            ):
                bucket = self.add(
                    settings_of(entry), (entry.stamp, entry.origin), entry.created
                )
                self._clear(bucket, entry.cleared, merged)
        return merged

    def sweep(self, now: float, limit: int) -> bool:
        """
        Free what has expired.

        :param limit: How many entries of each bucket to look at, at most.
        :return: Whether there may be more.
        """
        stores = [bucket.store for bucket in self.by_name.values()]
        due = [store for store in stores if store.next_due_s() <= now]
        return limit in [store.pop_due(now, limit) for store in due]

    def add(
        self, settings: BucketSettings, version: Version, created: int | None = None
    ) -> OpenBucket:
        """Open a bucket that is not known yet."""
        store = Bucket(
            settings.name,
            max_entries=settings.max_entries,
            max_bytes=settings.max_bytes,
        )
        bucket = OpenBucket(
            settings,
            bucket_seed(settings.name),
            version,
            store,
            settings.replicas + 1,
            version[0] if created is None else created,
        )
        self.by_name[settings.name] = bucket
        # Whoever was away may still have what another bucket of this name held.
        self._clear(bucket, self.dropped_at(settings.name), Merged())
        self._opened(bucket)
        return bucket

    def dropped_at(self, name: str) -> int:
        """The stamp of the last drop of that name; -1 if there was none."""
        dropped = self.dropped.get(name)
        return -1 if dropped is None else dropped.stamp

    def _drop(self, entry: BucketEntry, merged: Merged) -> None:
        if entry.stamp <= self.dropped_at(entry.name):
            return
        self.dropped.pop(entry.name, None)
        self.dropped[entry.name] = entry
        if len(self.dropped) > DROPPED_MAX:
            oldest = min(self.dropped.values(), key=lambda entry: entry.stamp)
            del self.dropped[oldest.name]
        bucket = self.by_name.get(entry.name)
        if bucket is None:
            return
        if bucket.created <= entry.stamp:
            del self.by_name[entry.name]
            bucket.dropped = True
            merged.dropped.append(bucket)
        else:
            self._clear(bucket, entry.stamp, merged)

    def _change(self, known: OpenBucket, entry: BucketEntry, merged: Merged) -> None:
        if entry.created <= self.dropped_at(entry.name):
            return
        settings, version = settings_of(entry), (entry.stamp, entry.origin)
        was = known.settings
        difference = was.difference(settings)
        if difference and known.created != entry.created:
            merged.conflicts.append((entry.name, difference))
        if (entry.created, version) > (known.created, known.version):
            known.created = entry.created
            known.version = version
            known.settings = settings
            known.owners = settings.replicas + 1
            limits = settings.max_entries, settings.max_bytes
            if limits != (was.max_entries, was.max_bytes):
                merged.limited.append(known)
            merged.moved |= settings.replicas != was.replicas
        self._clear(known, entry.cleared, merged)

    @staticmethod
    def _clear(bucket: OpenBucket, stamp: int, merged: Merged) -> None:
        if stamp > bucket.cleared:
            bucket.cleared = stamp
            bucket.store.refuse(stamp)
            merged.cleared.append(bucket)
