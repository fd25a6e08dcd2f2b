# -*- test-case-name: tests.mycel.test_cache -*-
"""
The public API of the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from xxhash import xxh3_64_intdigest

from mycorrizal.clock import HybridClock
from mycorrizal.errors import (
    BucketConflict,
    CacheError,
    Indeterminate,
    MycorrizalError,
    NotRunning,
    UnknownBucket,
)
from mycorrizal.mycel.arguments import (
    check_timeout_s,
    key_bytes,
    ttl_ms,
    value_bytes,
)
from mycorrizal.mycel.buckets import BucketTable
from mycorrizal.mycel.config import (
    ENTRIES_MAX_DEFAULT,
    KEY_BYTES_MAX,
    OPERATION_TIMEOUT_S,
    TIMEOUT_S_MAX,
    BucketSettings,
)
from mycorrizal.mycel.messages import (
    CONFLICT,
    DEFAULT_TTL,
    TOO_MANY,
    UNKNOWN_BUCKET,
    Answer,
    CreateBucket,
    Done,
    Found,
    Get,
    Put,
    Refused,
    Routed,
    Touch,
)
from mycorrizal.mycel.operations.routing import Operation, Router
from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.slots.view import View
from mycorrizal.mycel.store import BucketStats
from mycorrizal.runtime import Runtime

_SLOT_MASK = SLOTS - 1
_T = TypeVar("_T")


@attrs.frozen
class CacheEntry:
    """
    What the cache holds of a key.

    :ivar version: Higher for a later write: a stamp and the node that wrote.
    :ivar remaining_s: Time to live that is left, in seconds; None: for ever.
    """

    value: bytes
    version: tuple[int, bytes]
    remaining_s: float | None


class Insides(Protocol):
    """What the API needs of its service."""

    runtime: Runtime
    clock: HybridClock
    buckets: BucketTable
    view: View
    router: Router

    def slot(self, request: Routed) -> int: ...


class Cache:
    """
    The cache, as applications see it.

    Every Deferred may be cancelled; each call takes up to ``timeout_s`` (10,
    which outlives the 5 it takes to find a silent node dead; at most a day) and
    then fails with `Indeterminate`: it may or may not have taken effect.
    Nothing is raised at once: what a call can't be given fails its Deferred.

    :ivar awake_until: If it is later than this (monotonic) the node did not run
        for so long that others have given it up, and has not noticed it yet.
    """

    _log = Logger()

    def __init__(self, insides: Insides) -> None:
        self.running = False
        self.awake_until = float("-inf")
        self._insides = insides
        self._runtime = insides.runtime
        self._now = insides.runtime.now
        self._buckets = insides.buckets.by_name
        self._me = insides.view.me
        self._primaries = insides.view.placement.primaries
        self._unsettled = insides.view.unsettled
        self._waiting: dict[Deferred[Any], None] = {}

    # -- buckets ----------------------------------------------------------------

    def create_bucket(
        self,
        name: str,
        *,
        ttl_s: float | None = None,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        replicas: int = 1,
        timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> Deferred[None]:
        """
        Create a bucket in the whole cluster.

        :param ttl_s: Time to live of values put without one; None: for ever.
        :param max_entries: Values per node; the least recently used go first.
            Without this and `max_bytes`: 100,000.
        :param max_bytes: Memory per node.
        :param replicas: Copies of each value on other nodes.
        :return: Fires with None when every member knows it, also if it was
            there with these settings.  Fails with `BucketConflict` if it is
            there with others, `ConfigError` if they make no sense, `CacheError`
            if there are 1,024 buckets already.
        """
        limited = max_entries is not None or max_bytes is not None
        if not limited:
            max_entries = ENTRIES_MAX_DEFAULT
        settings = BucketSettings(name, ttl_s, max_entries, max_bytes, replicas)
        try:
            settings.validate()
            check_timeout_s(timeout_s)
            if not self.running:
                raise NotRunning("the cache")
        except MycorrizalError as error:
            return fail(error)
        if not limited and name not in self._buckets:
            self._log.info(
                "Bucket {bucket} has no limit; it gets max_entries={max_entries}",
                bucket=name,
                max_entries=max_entries,
            )
        request = CreateBucket(
            name,
            ttl_ms(ttl_s),
            max_entries,
            max_bytes,
            replicas,
            self._insides.clock.last,
        )
        slot = self._insides.slot(request)
        return self._route(request, slot, timeout_s, lambda answer: None)

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

    # -- values -----------------------------------------------------------------

    def get(
        self, bucket: str, key: str | bytes, timeout_s: float = OPERATION_TIMEOUT_S
    ) -> Deferred[bytes | None]:
        """
        Read a value.

        :return: Fires with the value, None if there is none.  Fails with
            `UnknownBucket`, `InvalidKey`, `KeyTooLarge`, `ConfigError` (a time
            makes no sense), `Indeterminate` or `NotRunning`.
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
        if self._primaries[slot] == self._me and not self._unsettled[slot]:
            now = self._now()
            if now < self.awake_until:
                return succeed(opened.store.get(slot, raw, now))
        return self._route(Get(bucket, raw), slot, timeout_s, _value)

    def entry(
        self, bucket: str, key: str | bytes, timeout_s: float = OPERATION_TIMEOUT_S
    ) -> Deferred[CacheEntry | None]:
        """
        Read a value with its version and remaining time to live.

        :return: Fires with the entry, None if there is none; fails as `get`.
        """
        return self._ask(bucket, key, timeout_s, Get, _entry)

    def put(
        self,
        bucket: str,
        key: str | bytes,
        value: bytes,
        ttl_s: float | None = 0,
        timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> Deferred[int]:
        """
        Write a value.

        :param ttl_s: Time to live in seconds; 0: the bucket's; None: for ever.
        :return: Fires with the number of nodes that hold it, when all live
            owners do.  Fails as `get`, or with `ValueTooLarge`.
        """

        def put(bucket: str, raw: bytes) -> Put:
            clock = self._insides.clock.last
            return Put(bucket, raw, value_bytes(value), ttl_ms(ttl_s), clock)

        return self._ask(bucket, key, timeout_s, put, _copies)

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
            return Touch(bucket, raw, ttl_ms(ttl_s), self._insides.clock.last)

        return self._ask(bucket, key, timeout_s, touch, _existed)

    def delete(
        self, bucket: str, key: str | bytes, timeout_s: float = OPERATION_TIMEOUT_S
    ) -> Deferred[bool]:
        """
        Delete a value.

        :return: Fires with whether it was there; fails as `get`.
        """

        def delete(bucket: str, raw: bytes) -> Put:
            return Put(bucket, raw, None, DEFAULT_TTL, self._insides.clock.last)

        return self._ask(bucket, key, timeout_s, delete, _existed)

    # -- the way there and back --------------------------------------------------

    def _ask(
        self,
        bucket: str,
        key: str | bytes,
        timeout_s: float,
        make: Callable[[str, bytes], Get | Put | Touch],
        convert: Callable[[Any], _T],
    ) -> Deferred[_T]:
        """Check what the caller gave, make the request of it, and ask."""
        name: object = bucket
        try:
            if not self.running:
                raise NotRunning("the cache")
            check_timeout_s(timeout_s)
            if not isinstance(name, str) or name not in self._buckets:
                raise UnknownBucket(bucket)
            request = make(bucket, key_bytes(key))
        except MycorrizalError as error:
            return fail(error)
        return self._route(request, self._insides.slot(request), timeout_s, convert)

    def _route(
        self,
        request: Routed,
        slot: int,
        timeout_s: float,
        convert: Callable[[Any], _T],
    ) -> Deferred[_T]:
        operation: Operation | None = None
        waiting = self._waiting

        def cancel(result: Deferred[_T]) -> None:
            waiting.pop(result, None)
            if operation is not None:
                operation.cancel()

        result: Deferred[_T] = Deferred(cancel)

        def done(answer: Answer) -> None:
            waiting.pop(result, None)
            if result.called:
                return  # It was cancelled, or the node was stopped.
            if isinstance(answer, Refused):
                result.errback(self._refused(answer, request, timeout_s))
            else:
                if answer.stamp:
                    self._insides.clock.observe(answer.stamp)
                result.callback(convert(answer))

        now = self._now()
        if now >= self.awake_until:
            # Whatever is due comes first, above all the look at the clock.
            self._runtime.poke()
        deadline = now + timeout_s
        operation = self._insides.router.route(request, slot, deadline, done)
        if not result.called:
            waiting[result] = None
        return result

    def _refused(
        self, refused: Refused, request: Routed, timeout_s: float
    ) -> MycorrizalError:
        if isinstance(request, CreateBucket):
            if refused.reason == CONFLICT:
                return BucketConflict(request.name, refused.text)
            if refused.reason == TOO_MANY:
                return CacheError(refused.text)
        elif refused.reason == UNKNOWN_BUCKET:
            return UnknownBucket(request.bucket)
        if not self.running:
            return NotRunning("the cache")
        return Indeterminate(
            f"no answer within {timeout_s:g} s: {refused.text or refused.reason}"
        )

    def stop(self) -> None:
        """Fail all that still waits."""
        waiting, self._waiting = self._waiting, {}
        for result in waiting:
            if not result.called:
                result.errback(NotRunning("the cache"))


def _value(found: Found) -> bytes | None:
    return found.value


def _entry(found: Found) -> CacheEntry | None:
    if found.value is None:
        return None
    left_ms = found.remaining_ms
    return CacheEntry(
        found.value,
        (found.stamp, found.origin),
        None if left_ms < 0 else left_ms / 1000,
    )


def _copies(done: Done) -> int:
    return done.copies


def _existed(done: Done) -> bool:
    return done.existed
