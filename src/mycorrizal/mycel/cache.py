# -*- test-case-name: tests.mycel.test_cache -*-
"""
The public API of the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from xxhash import xxh3_64_intdigest

from mycorrizal.errors import CacheError
from mycorrizal.mycel.api.buckets import BucketCalls
from mycorrizal.mycel.api.bulk import BulkCalls
from mycorrizal.mycel.api.loading import LoadingCalls
from mycorrizal.mycel.api.near import NearCalls
from mycorrizal.mycel.api.outcomes import Copies, copies_of
from mycorrizal.mycel.api.scanning import ScanCalls
from mycorrizal.mycel.api.watching import WatchCalls
from mycorrizal.mycel.arguments import ttl_ms
from mycorrizal.mycel.codecs import decoded
from mycorrizal.mycel.config import KEY_BYTES_MAX, OPERATION_TIMEOUT_S, TIMEOUT_S_MAX
from mycorrizal.mycel.messages import DEFAULT_TTL, Done, Found, Get, Put, PutIf, Touch
from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.slots.routes import SETTLED

_SLOT_MASK = SLOTS - 1


@attrs.frozen
class CacheEntry:
    """
    What the cache holds of a key.

    :ivar value: Bytes, or what the bucket's codec makes of them.
    :ivar version: Higher for a later write: a stamp and the node that wrote.
    :ivar remaining_s: Time to live that is left, in seconds; None: for ever.
    """

    value: Any
    version: tuple[int, bytes]
    remaining_s: float | None


class Cache(BulkCalls, LoadingCalls, NearCalls, ScanCalls, WatchCalls, BucketCalls):
    """
    The cache, as applications see it.

    Every Deferred may be cancelled: an operation that the node which owns the
    key has not begun by then is not done.  Each call takes up to ``timeout_s`` (10,
    which outlives the 5 it takes to find a silent node dead; at most a day) and
    then fails with `Indeterminate`: it may or may not have taken effect.
    Nothing is raised at once: what a call can't be given fails its Deferred.

    Up to 8,192 operations may be under way at once, each key of a call about
    many one of them; more fail at once with `CacheBusy`.
    """

    # -- reading ------------------------------------------------------------------

    def get(
        self, bucket: str, key: str | bytes, timeout_s: float = OPERATION_TIMEOUT_S
    ) -> Deferred[Any]:
        """
        Read a value.

        :return: Fires with the value (bytes, unless the bucket has a codec),
            None if there is none.  Fails with `UnknownBucket`, `InvalidKey`,
            `KeyTooLarge`, `ConfigError` (a time makes no sense), `CodecError`,
            `CacheBusy`, `Indeterminate` or `NotRunning`.
        """
        try:
            raw = key.encode() if isinstance(key, str) else key
            opened = self._buckets[bucket]
            slot = xxh3_64_intdigest(raw, opened.seed) & _SLOT_MASK
            sound = 0 < len(raw) <= KEY_BYTES_MAX and 0.0 < timeout_s <= TIMEOUT_S_MAX
        except (KeyError, TypeError, UnicodeEncodeError):
            sound = False
        if not sound or not self.running or raw.__class__ is not bytes:
            # Which of them it is, is found out slowly.
            return self._ask(bucket, key, timeout_s, Get, _value)
        if self._status[slot] == SETTLED:
            now = self._now()
            if now < self.awake_until:
                value = opened.store.get(slot, raw, now)
                return self._decode(bucket, value) if self._codecs else succeed(value)
        convert = self._reading(bucket) if self._codecs else _value
        if not self._near or bucket not in self._near:
            return self._route(Get(bucket, raw), slot, timeout_s, convert)
        value = self._near[bucket].get(raw, self._awake())
        if value is not None:
            return self._decode(bucket, value)
        way = self._insides.near.route
        return self._route(Get(bucket, raw), slot, timeout_s, convert, way)

    def entry(
        self,
        bucket: str,
        key: str | bytes,
        timeout_s: float = OPERATION_TIMEOUT_S,
        *,
        raw: bool = False,
    ) -> Deferred[CacheEntry | None]:
        """
        Read a value with its version and remaining time to live.

        :param raw: Whether to give its bytes, whatever codec the bucket has.
        :return: Fires with the entry, None if there is none; fails as `get`.
        """
        codec = None if raw else self._codec(bucket)

        def entry(found: Found) -> CacheEntry | None:
            if found.value is None:
                return None
            left_ms = found.remaining_ms
            return CacheEntry(
                decoded(codec, bucket, found.value),
                (found.stamp, found.origin),
                None if left_ms < 0 else left_ms / 1000,
            )

        return self._ask(bucket, key, timeout_s, Get, entry)

    def _decode(self, bucket: str, value: bytes | None) -> Deferred[Any]:
        try:
            return succeed(decoded(self._codecs.get(bucket), bucket, value))
        except CacheError as error:
            return fail(error)

    def _reading(self, bucket: str) -> Callable[[Found], Any]:
        codec = self._codecs.get(bucket)
        return lambda found: decoded(codec, bucket, found.value)

    # -- writing ------------------------------------------------------------------

    def put(
        self,
        bucket: str,
        key: str | bytes,
        value: Any,
        ttl_s: float | None = 0,
        timeout_s: float = OPERATION_TIMEOUT_S,
        *,
        copies_min: int = 0,
        raw: bool = False,
    ) -> Deferred[Copies]:
        """
        Write a value.

        :param value: Bytes, unless the bucket has a codec.
        :param ttl_s: Time to live in seconds; 0: the bucket's; None: for ever.
        :param copies_min: How many nodes must hold it: if fewer do, since there
            are not as many members, this fails with `Degraded`.  The value is
            written all the same.
        :param raw: Whether the value is bytes, whatever codec the bucket has.
        :return: Fires with the number of nodes that hold it, when all live
            owners do, or as many as the bucket's ``write`` says.  Fails as
            `get`, or with `ValueTooLarge`, `CodecError`, `ConfigError` (of
            `ttl_s`) or `Degraded`.
        """
        owners = self._owners(bucket)

        def put(bucket: str, name: bytes) -> Put:
            data = self._bytes_of(bucket, value, raw)
            clock = self._insides.clock.unique()
            return Put(bucket, name, data, ttl_ms(ttl_s), clock)

        def copies(done: Done) -> Copies:
            return copies_of(done.copies, owners, copies_min)

        return self._ask(bucket, key, timeout_s, put, copies)

    def add(
        self,
        bucket: str,
        key: str | bytes,
        value: Any,
        ttl_s: float | None = 0,
        timeout_s: float = OPERATION_TIMEOUT_S,
        *,
        copies_min: int = 0,
        raw: bool = False,
    ) -> Deferred[bool]:
        """
        Write a value if there is none.

        The parameters are those of `put`.

        :return: Fires with whether it was written; fails as `put`.  If a node
            dies that may have written it, and there is a value then, it fails
            with `Indeterminate`: that value may be this one.
        """
        request = (bucket, key, value, ttl_s, False)
        return self._put_if(*request, timeout_s, copies_min, raw)

    def replace(
        self,
        bucket: str,
        key: str | bytes,
        value: Any,
        ttl_s: float | None = 0,
        timeout_s: float = OPERATION_TIMEOUT_S,
        *,
        copies_min: int = 0,
        raw: bool = False,
    ) -> Deferred[bool]:
        """
        Write a value if there is one.

        The parameters are those of `put`.

        :return: As of `add`.
        """
        request = (bucket, key, value, ttl_s, True)
        return self._put_if(*request, timeout_s, copies_min, raw)

    def _put_if(
        self,
        bucket: str,
        key: str | bytes,
        value: Any,
        ttl_s: float | None,
        if_present: bool,
        timeout_s: float,
        copies_min: int,
        raw: bool,
    ) -> Deferred[bool]:
        owners = self._owners(bucket)

        def put(bucket: str, name: bytes) -> PutIf:
            data = self._bytes_of(bucket, value, raw)
            clock = self._insides.clock.unique()
            return PutIf(bucket, name, data, ttl_ms(ttl_s), if_present, clock)

        def written(done: Done) -> bool:
            if done.existed != if_present:
                return False
            copies_of(done.copies, owners, copies_min)
            return True

        return self._ask(bucket, key, timeout_s, put, written)

    def put_ttl(
        self,
        bucket: str,
        key: str | bytes,
        ttl_s: float | None,
        timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> Deferred[bool]:
        """
        Give a value a new time to live, from now.

        :return: Fires with False if there is no such value; fails as `get`.
        """

        def touch(bucket: str, raw: bytes) -> Touch:
            return Touch(bucket, raw, ttl_ms(ttl_s), self._insides.clock.unique())

        return self._ask(bucket, key, timeout_s, touch, _existed)

    def delete(
        self, bucket: str, key: str | bytes, timeout_s: float = OPERATION_TIMEOUT_S
    ) -> Deferred[bool]:
        """
        Delete a value.

        :return: Fires with whether it was there; fails as `get`.
        """

        def delete(bucket: str, raw: bytes) -> Put:
            return Put(bucket, raw, None, DEFAULT_TTL, self._insides.clock.unique())

        return self._ask(bucket, key, timeout_s, delete, _existed)


def _value(found: Found) -> bytes | None:
    return found.value


def _existed(done: Done) -> bool:
    return done.existed
