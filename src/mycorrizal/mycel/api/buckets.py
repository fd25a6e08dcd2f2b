# -*- test-case-name: tests.mycel.api.test_buckets -*-
"""
Calls about whole buckets.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from mycorrizal.errors import ConfigError, MycorrizalError, UnknownBucket
from mycorrizal.mycel.api.calls import Calls
from mycorrizal.mycel.arguments import ttl_ms
from mycorrizal.mycel.bucket_messages import (
    NO_LIMIT,
    AlterBucket,
    ClearBucket,
    CreateBucket,
    DropBucket,
)
from mycorrizal.mycel.codecs import Codec, find_codec
from mycorrizal.mycel.config import (
    ENTRIES_MAX_DEFAULT,
    OPERATION_TIMEOUT_S,
    BucketSettings,
    WriteMode,
)
from mycorrizal.mycel.store import BucketStats


class Unchanged(Enum):
    """What stands for a setting that is to stay as it is."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged.UNCHANGED


class BucketCalls(Calls):
    """
    The calls about whole buckets, which are the same on every node.
    """

    _log = Logger()

    def create_bucket(
        self,
        name: str,
        *,
        ttl_s: float | None = None,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        replicas: int = 1,
        write: WriteMode = "all",
        codec: Codec | str | None = None,
        timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> Deferred[None]:
        """
        Create a bucket in the whole cluster.

        :param ttl_s: Time to live of values put without one; None: for ever.
        :param max_entries: Values per node; the least recently used go first.
            100,000 without this and `max_bytes`.
        :param max_bytes: Memory per node.
        :param replicas: Copies of each value on other nodes.
        :param write: When a write is acknowledged: ``"all"``, when all live
            owners hold it; ``"one"``, when the primary and one replica do;
            ``"async"``, when the primary does, and copies follow.
        :param codec: As of `use_codec`, on this node.
        :return: Fires with None when every member knows it, also if it was
            there with these settings.  Fails with `BucketConflict` if it is
            there with others, `ConfigError` if they make no sense, `CacheError`
            if there are 1,024 buckets already, `Indeterminate` if not every
            member answered, `CacheBusy` or `NotRunning`.
        """
        limited = max_entries is not None or max_bytes is not None
        if not limited:
            max_entries = ENTRIES_MAX_DEFAULT
        settings = BucketSettings(name, ttl_s, max_entries, max_bytes, replicas, write)
        try:
            settings.validate()
            found = find_codec(codec)
            self._check_running(timeout_s)
        except MycorrizalError as error:
            return fail(error)
        if not limited and name not in self._buckets:
            self._log.info(
                "Bucket {bucket} has no limit; it gets max_entries={max_entries}",
                bucket=name,
                max_entries=max_entries,
            )
        ttl, clock = ttl_ms(ttl_s), self._insides.clock.last
        request = CreateBucket(
            name, ttl, max_entries, max_bytes, replicas, clock, write=write
        )

        def created(answer: object) -> None:
            if codec is not None:
                self._set_codec(name, found)

        return self._administer(request, timeout_s, created)

    def alter_bucket(
        self,
        name: str,
        *,
        ttl_s: float | Unchanged | None = UNCHANGED,
        max_entries: int | Unchanged | None = UNCHANGED,
        max_bytes: int | Unchanged | None = UNCHANGED,
        replicas: int | Unchanged = UNCHANGED,
        write: WriteMode | Unchanged = UNCHANGED,
        timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> Deferred[None]:
        """
        Change settings of a bucket in the whole cluster, values staying.

        What is not given stays as it is.  A new `ttl_s` is that of later puts.
        Lower limits evict what is above them, a little at a time, before this
        fires.  More replicas are copied after it fires: `pulse status` says how
        many copies are missing meanwhile.

        :return: Fires with None when every member has done it.  Fails with
            `UnknownBucket`, with `ConfigError` if the settings would make no
            sense (one of the limits must stay), `Indeterminate` if not every
            member answered, `CacheBusy` or `NotRunning`.
        """
        settings = BucketSettings(
            name,
            None if ttl_s is UNCHANGED else ttl_s,
            1 if max_entries is UNCHANGED else max_entries,
            1 if max_bytes is UNCHANGED else max_bytes,
            replicas=1 if replicas is UNCHANGED else replicas,
            write="all" if write is UNCHANGED else write,
        )
        try:
            settings.validate()
        except ConfigError as error:
            return fail(error)
        request = AlterBucket(
            name,
            None if ttl_s is UNCHANGED else ttl_ms(ttl_s),
            _new_limit(max_entries),
            _new_limit(max_bytes),
            None if replicas is UNCHANGED else replicas,
            None if write is UNCHANGED else write,
            self._insides.clock.last,
        )
        return self._administer(request, timeout_s, lambda answer: None)

    def clear(
        self, bucket: str, timeout_s: float = OPERATION_TIMEOUT_S
    ) -> Deferred[None]:
        """
        Delete all values of a bucket, on every node.

        A write that is under way meanwhile is before it or after it; one that
        begins when this has fired stays.  A node that was away deletes what it
        holds of before when it is back.

        :return: Fires with None when nothing is left.  Fails with
            `UnknownBucket`, `Indeterminate` if not every member answered,
            `CacheBusy` or `NotRunning`.
        """
        request = ClearBucket(bucket, self._insides.clock.last)
        return self._administer(request, timeout_s, lambda answer: None)

    def drop_bucket(
        self, name: str, timeout_s: float = OPERATION_TIMEOUT_S
    ) -> Deferred[None]:
        """
        Delete a bucket and all its values, on every node.

        A node that was away drops it when it is back.  If it is created again
        it is empty, whatever anybody still held of the one before.

        :return: Fires with None when no member has it any more.  Fails as
            `clear`.
        """
        request = DropBucket(name, self._insides.clock.last)
        return self._administer(request, timeout_s, lambda answer: None)

    def use_codec(self, bucket: str, codec: Codec | str | None) -> None:
        """
        Say how values of a bucket become bytes, for the calls on this node.

        Nodes know bytes only: every node whose program uses the bucket has to
        say the same, before its first call.

        :param codec: ``"json"``, ``"msgpack"``, `JsonCodec`, `MsgpackCodec` or
            any object with ``encode`` and ``decode``; ``"bytes"`` or None:
            values are bytes, as they are without this.
        :raises ConfigError: It is none of these.
        """
        self._set_codec(bucket, find_codec(codec))

    def _set_codec(self, bucket: str, codec: Codec | None) -> None:
        if codec is None:
            self._codecs.pop(bucket, None)
        else:
            self._codecs[bucket] = codec

    def buckets(self) -> dict[str, BucketSettings]:
        """The buckets of the cluster, by name."""
        return {name: self._buckets[name].settings for name in sorted(self._buckets)}

    def stats(self, bucket: str) -> BucketStats:
        """
        What this node holds and has counted of a bucket.

        :raises UnknownBucket: There is none of that name.
        """
        if bucket not in self._buckets:
            raise UnknownBucket(bucket)
        return self._buckets[bucket].store.stats()


def _new_limit(limit: int | Unchanged | None) -> int | None:
    """A new limit as it travels: None stays, and none is `NO_LIMIT`."""
    if limit is UNCHANGED:
        return None
    return NO_LIMIT if limit is None else limit
