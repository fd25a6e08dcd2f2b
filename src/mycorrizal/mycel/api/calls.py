# -*- test-case-name: tests.mycel.test_cache -*-
"""
The way of a call to its slot's primary and back, for all calls of the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail

from mycorrizal.clock import HybridClock
from mycorrizal.errors import (
    BucketConflict,
    CacheBusy,
    CacheError,
    CacheUnavailable,
    ConfigError,
    Indeterminate,
    MycorrizalError,
    NotRunning,
    UnknownBucket,
    ValueTooLarge,
)
from mycorrizal.mycel.arguments import check_timeout_s, key_bytes
from mycorrizal.mycel.bucket_messages import Administered
from mycorrizal.mycel.buckets import BucketTable, OpenBucket
from mycorrizal.mycel.codecs import Codec, encoded
from mycorrizal.mycel.config import (
    OPERATION_TIMEOUT_S,
    OPERATIONS_MAX,
    VALUE_BYTES_MAX,
)
from mycorrizal.mycel.fields import AboutBucket
from mycorrizal.mycel.messages import (
    BUSY,
    CONFLICT,
    SENSELESS,
    TOO_MANY,
    UNKNOWN_BUCKET,
    UNREACHED,
    Answer,
    OfKey,
    One,
    Refused,
    Routed,
)
from mycorrizal.mycel.near.wiring import Near
from mycorrizal.mycel.operations.primary import OnDone
from mycorrizal.mycel.operations.routing import Router
from mycorrizal.mycel.operations.watching import Outboxes
from mycorrizal.mycel.slots.claims import Claims
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.runtime import Runtime

_T = TypeVar("_T")
_O = TypeVar("_O")


class Insides(Protocol):
    """What the API needs of its service."""

    runtime: Runtime
    clock: HybridClock
    buckets: BucketTable
    claims: Claims
    router: Router
    outboxes: Outboxes
    near: Near

    def slot(self, request: Routed) -> int: ...


class Cancellable(Protocol):
    """An operation under way."""

    def cancel(self) -> None: ...


class Running(Cancellable, Protocol):
    """What works on a call until it is done."""

    def begin(self) -> None: ...


#: As `Router.route`, and that by default.
Way = Callable[[Any, int, float, OnDone], Cancellable | None]


class Calls:
    """
    The calls of one node's callers that are under way, and what they share.

    :ivar running: Whether calls are taken.
    :ivar awake_until: If it is later than this (monotonic) the node did not run
        for so long that others have given it up, and has not noticed it yet.
    """

    def __init__(self, insides: Insides) -> None:
        self.running = False
        self.awake_until = float("-inf")
        self._insides = insides
        self._runtime = insides.runtime
        self._now = insides.runtime.now
        self._buckets = insides.buckets.by_name
        self._status = insides.claims.routes.status
        self._near = insides.near.copies
        self._codecs: dict[str, Codec] = {}
        self._waiting: dict[Deferred[Any], Callable[[], None]] = {}
        #: Operations under way, each key of a bulk call one of them.
        self._in_flight = 0

    def _awake(self) -> float:
        """The time; whatever is due comes first if this node overslept."""
        now = self._now()
        if now >= self.awake_until:
            # Above all the look at the clock.
            self._runtime.poke()
        return now

    def _check_running(self, timeout_s: object) -> None:
        """
        :raises MycorrizalError: Nothing can be asked now, or for so long.
        """
        if not self.running:
            raise self._runtime.not_running("the cache")
        check_timeout_s(timeout_s)

    def _check(self, bucket: object, timeout_s: object) -> OpenBucket:
        """
        :return: The bucket of that name.
        :raises MycorrizalError: Nothing can be asked about keys of it.
        """
        if not self.running or timeout_s is not OPERATION_TIMEOUT_S:
            self._check_running(timeout_s)
        opened = self._buckets.get(bucket) if isinstance(bucket, str) else None
        if opened is None:
            raise UnknownBucket(str(bucket))
        return opened

    def _ask(
        self,
        bucket: str,
        key: str | bytes,
        timeout_s: float,
        make: Callable[[str, bytes], OfKey],
        convert: Callable[[Any], _T],
    ) -> Deferred[_T]:
        """Check what the caller gave, make the request of it, and ask."""
        try:
            opened = self._check(bucket, timeout_s)
            raw = key_bytes(key)
            request = make(bucket, raw)
        except MycorrizalError as error:
            return fail(error)
        slot = slot_of(opened.seed, raw)
        return self._route(request, slot, timeout_s, convert)

    def _administer(
        self, request: Administered, timeout_s: float, convert: Callable[[Any], _T]
    ) -> Deferred[_T]:
        """Ask about a whole bucket."""
        try:
            self._check_running(timeout_s)
        except MycorrizalError as error:
            return fail(error)
        slot = self._insides.slot(request)
        return self._route(request, slot, timeout_s, convert)

    def _route(
        self,
        request: Routed,
        slot: int,
        timeout_s: float,
        convert: Callable[[Any], _T],
        way: Way | None = None,
    ) -> Deferred[_T]:
        if self._in_flight >= OPERATIONS_MAX:
            return fail(CacheBusy("on this node", OPERATIONS_MAX))
        operation: Cancellable | None = None

        def cancel(result: Deferred[_T]) -> None:
            self._ended(result)
            if operation is not None:
                operation.cancel()

        result: Deferred[_T] = Deferred(cancel)

        def done(answer: Answer) -> None:
            if self._waiting.pop(result, None) is not None:
                self._in_flight -= 1
            if self._near:
                self._insides.near.wrote(request)
            if result.called:
                return  # It was cancelled, or the node was stopped.
            if isinstance(answer, Refused):
                result.errback(self._refused(answer, request, timeout_s))
                return
            assert isinstance(answer, One)
            if answer.stamp:
                self._insides.clock.observe(answer.stamp)
            try:
                value = convert(answer)
            except CacheError as error:
                result.errback(error)
            else:
                result.callback(value)

        deadline = self._awake() + timeout_s
        way = way or self._insides.router.route
        operation = way(request, slot, deadline, done)
        if not result.called:
            self._waiting[result] = _nothing if operation is None else operation.cancel
            self._in_flight += 1
        return result

    def _ended(self, result: Deferred[Any], count: int = 1) -> None:
        if self._waiting.pop(result, None) is not None:
            self._in_flight -= count

    def _run(
        self,
        count: int,
        make: Callable[[Callable[[_O], None]], Running],
        finish: Callable[[Deferred[_T], _O], None],
    ) -> Deferred[_T]:
        """
        Have something done that takes more than one answer.

        :param count: As how many operations it counts.
        :param make: Makes it; given what it calls when it is done.
        :param finish: Fires the Deferred with what has come of it.
        """
        if self._in_flight + count > OPERATIONS_MAX:
            return fail(CacheBusy("on this node", OPERATIONS_MAX))

        def cancel(result: Deferred[_T]) -> None:
            self._ended(result, count)
            running.cancel()

        result: Deferred[_T] = Deferred(cancel)

        def done(outcome: _O) -> None:
            self._ended(result, count)
            if not result.called:
                finish(result, outcome)

        running = make(done)
        self._waiting[result] = running.cancel
        self._in_flight += count
        running.begin()
        return result

    def _refused(
        self, refused: Refused, request: Routed, timeout_s: float
    ) -> MycorrizalError:
        """A refusal as the error that the caller is told."""
        reason, text = refused.reason, refused.text
        name = request.name if isinstance(request, AboutBucket) else request.bucket
        if reason == CONFLICT:
            return BucketConflict(name, text)
        if reason == TOO_MANY:
            return CacheError(text)
        if reason == SENSELESS:
            return ConfigError("bucket", text)
        if reason == UNKNOWN_BUCKET:
            return UnknownBucket(name)
        if reason == BUSY:
            return CacheBusy("at the node that owns the key", refused.limit)
        if not self.running:
            return NotRunning("the cache")
        if reason == UNREACHED:
            return CacheUnavailable(f"not done within {timeout_s:g} s: {text}")
        return Indeterminate(f"no answer within {timeout_s:g} s: {text or reason}")

    def stop(self) -> None:
        """Fail all that still waits."""
        waiting, self._waiting = self._waiting, {}
        self._in_flight = 0
        for result, cancel in waiting.items():
            cancel()
            if not result.called:
                result.errback(NotRunning("the cache"))

    # -- values, keys and times ----------------------------------------------------

    def _codec(self, bucket: object) -> Codec | None:
        return self._codecs.get(bucket) if isinstance(bucket, str) else None

    def _owners(self, bucket: object) -> int:
        opened = self._buckets.get(bucket) if isinstance(bucket, str) else None
        return 0 if opened is None else opened.owners

    def _bytes_of(self, bucket: str, value: Any, raw: bool = False) -> bytes:
        """
        The bytes of a value to be stored.

        :raises CacheError: There are none, or too many.
        """
        data: bytes = value
        if self._codecs or not isinstance(value, bytes):
            codec = None if raw else self._codecs.get(bucket)
            data = encoded(codec, bucket, value)
        if len(data) > VALUE_BYTES_MAX:
            raise ValueTooLarge(len(data), VALUE_BYTES_MAX)
        return data


def _nothing() -> None:
    """There is nothing to cancel."""
