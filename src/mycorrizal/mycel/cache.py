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
    ConfigError,
    Indeterminate,
    KeyTooLarge,
    MycorrizalError,
    NotRunning,
    UnknownBucket,
    ValueTooLarge,
)
from mycorrizal.mycel.buckets import BucketTable
from mycorrizal.mycel.config import (
    ENTRIES_MAX_DEFAULT,
    KEY_BYTES_MAX,
    OPERATION_TIMEOUT_S,
    TTL_S_MAX,
    VALUE_BYTES_MAX,
    BucketSettings,
)
from mycorrizal.mycel.loading import LoadingCalls
from mycorrizal.mycel.messages import (
    CONFLICT,
    DEFAULT_TTL,
    NEVER,
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
from mycorrizal.mycel.near.calls import NearCalls
from mycorrizal.mycel.near.wiring import Near
from mycorrizal.mycel.operations.loading import Loads
from mycorrizal.mycel.operations.routing import Router
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


class Cancels(Protocol):
    """An operation under way."""

    def cancel(self) -> None: ...


class Insides(Protocol):
    """What the API needs of its service."""

    runtime: Runtime
    clock: HybridClock
    buckets: BucketTable
    view: View
    router: Router
    near: Near

    def slot(self, request: Routed) -> int: ...


class Cache(LoadingCalls, NearCalls):
    """
    The cache, as applications see it.

    Every Deferred may be cancelled; each call takes ``timeout_s`` and then
    fails with `Indeterminate`: it may or may not have taken effect.
    """

    _insides: Insides
    _log = Logger()

    def __init__(self, insides: Insides) -> None:
        self.running = False
        self._insides = insides
        self._runtime = insides.runtime
        self._now = insides.runtime.now
        self._buckets = insides.buckets.by_name
        self._view = insides.view
        self._primaries = insides.view.placement.primaries
        self._unsettled = insides.view.unsettled
        self._waiting: dict[Deferred[Any], None] = {}
        self._near = insides.near.copies
        self._loads = Loads(insides)

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
        if max_entries is None and max_bytes is None:
            max_entries = ENTRIES_MAX_DEFAULT
            if name not in self._buckets:
                self._log.info(
                    "Bucket {bucket} has no limit; it gets max_entries={max_entries}",
                    bucket=name,
                    max_entries=max_entries,
                )
        settings = BucketSettings(name, ttl_s, max_entries, max_bytes, replicas)
        try:
            settings.validate()
        except ConfigError as error:
            return fail(error)
        request = CreateBucket(
            name,
            _ttl_ms(ttl_s),
            max_entries,
            max_bytes,
            replicas,
            self._insides.clock.last,
        )
        return self._ask(request, timeout_s, lambda answer: None)

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
            `UnknownBucket`, `KeyTooLarge`, `Indeterminate` or `NotRunning`.
        """
        opened = self._buckets.get(bucket)
        raw = key.encode() if isinstance(key, str) else key
        if opened is None or not self.running or not 0 < len(raw) <= KEY_BYTES_MAX:
            return fail(self._problem(bucket, raw))
        slot = xxh3_64_intdigest(raw, opened.seed) & _SLOT_MASK
        if self._primaries[slot] == self._view.me and not self._unsettled[slot]:
            return succeed(opened.store.get(slot, raw, self._now()))
        copies = self._near.get(bucket) if self._near else None
        if copies is None:
            return self._route(Get(bucket, raw), slot, timeout_s, _value)
        value = copies.get(raw, self._now())
        if value is not None:
            return succeed(value)
        near = self._insides.near.route
        return self._route(Get(bucket, raw), slot, timeout_s, _value, near)

    def entry(
        self, bucket: str, key: str | bytes, timeout_s: float = OPERATION_TIMEOUT_S
    ) -> Deferred[CacheEntry | None]:
        """
        Read a value with its version and remaining time to live.

        :return: Fires with the entry, None if there is none; fails as `get`.
        """
        return self._ask(Get(bucket, _raw(key)), timeout_s, _entry)

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
        if not isinstance(value, bytes):
            return fail(CacheError(f"a value is bytes, not {type(value).__name__}"))
        if len(value) > VALUE_BYTES_MAX:
            return fail(ValueTooLarge(len(value), VALUE_BYTES_MAX))
        if ttl_s is not None and not 0 <= ttl_s <= TTL_S_MAX:
            return fail(ConfigError("ttl_s", f"{ttl_s} s is no time to live"))
        request = Put(
            bucket, _raw(key), value, _ttl_ms(ttl_s), self._insides.clock.last
        )
        return self._ask(request, timeout_s, _copies)

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
        if ttl_s is not None and not 0 <= ttl_s <= TTL_S_MAX:
            return fail(ConfigError("ttl_s", f"{ttl_s} s is no time to live"))
        clock = self._insides.clock.last
        request = Touch(bucket, _raw(key), _ttl_ms(ttl_s), clock)
        return self._ask(request, timeout_s, _existed)

    def delete(
        self, bucket: str, key: str | bytes, timeout_s: float = OPERATION_TIMEOUT_S
    ) -> Deferred[bool]:
        """
        Delete a value.

        :return: Fires with whether it was there; fails as `get`.
        """
        clock = self._insides.clock.last
        request = Put(bucket, _raw(key), None, DEFAULT_TTL, clock)
        return self._ask(request, timeout_s, _existed)

    # -- the way there and back --------------------------------------------------

    def _problem(self, bucket: str, key: bytes) -> MycorrizalError:
        if not self.running:
            return NotRunning("the cache")
        if bucket not in self._buckets:
            return UnknownBucket(bucket)
        return KeyTooLarge(f"a key has 1 to {KEY_BYTES_MAX} bytes, this one {len(key)}")

    def _ask(
        self, request: Routed, timeout_s: float, convert: Callable[[Any], _T]
    ) -> Deferred[_T]:
        if isinstance(request, CreateBucket):
            if not self.running:
                return fail(NotRunning("the cache"))
        elif (
            not self.running
            or request.bucket not in self._buckets
            or not 0 < len(request.key) <= KEY_BYTES_MAX
        ):
            return fail(self._problem(request.bucket, request.key))
        slot = self._insides.slot(request)
        return self._route(request, slot, timeout_s, convert)

    def _route(
        self,
        request: Routed,
        slot: int,
        timeout_s: float,
        convert: Callable[[Any], _T],
        route: Callable[..., Cancels | None] | None = None,
    ) -> Deferred[_T]:
        operation: Cancels | None = None
        waiting = self._waiting

        def cancel(result: Deferred[_T]) -> None:
            waiting.pop(result, None)
            if operation is not None:
                operation.cancel()

        result: Deferred[_T] = Deferred(cancel)

        def done(answer: Answer) -> None:
            waiting.pop(result, None)
            if self._near:
                self._wrote(request)
            if result.called:
                return  # It was cancelled, or the node was stopped.
            if isinstance(answer, Refused):
                result.errback(self._refused(answer, request, timeout_s))
            else:
                if answer.stamp:
                    self._insides.clock.observe(answer.stamp)
                result.callback(convert(answer))

        deadline = self._now() + timeout_s
        route = route or self._insides.router.route
        operation = route(request, slot, deadline, done)
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
        self._loads.stop()
        waiting, self._waiting = self._waiting, {}
        for result in waiting:
            if not result.called:
                result.errback(NotRunning("the cache"))


def _raw(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key


def _ttl_ms(ttl_s: float | None) -> int:
    if ttl_s is None:
        return NEVER
    return 0 if ttl_s == 0 else max(1, round(ttl_s * 1000))


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
