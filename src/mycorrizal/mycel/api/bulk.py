# -*- test-case-name: tests.mycel.api.test_bulk -*-
"""
Calls about many keys at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail, succeed

from mycorrizal.errors import CacheError, MycorrizalError, PartialFailure
from mycorrizal.mycel.api.calls import Calls
from mycorrizal.mycel.api.outcomes import Copies, copies_of
from mycorrizal.mycel.arguments import key_bytes, ttl_ms
from mycorrizal.mycel.codecs import decoded
from mycorrizal.mycel.config import BULK_KEYS_MAX, OPERATION_TIMEOUT_S
from mycorrizal.mycel.messages import (
    DEFAULT_TTL,
    Done,
    Found,
    Get,
    OfKey,
    One,
    Put,
    Refused,
)
from mycorrizal.mycel.operations.bulk import Bulk

_T = TypeVar("_T")


class BulkCalls(Calls):
    """
    The calls about many keys: one message to each node that owns some of them
    (several, if all are too much for one), not one for each key.

    Each key has an outcome of its own, as if it had been asked about alone;
    nothing is atomic over several.  If any of them fails, the call fails with
    `PartialFailure`, which has the outcomes of all.
    """

    def get_many(
        self,
        bucket: str,
        keys: Iterable[str | bytes],
        timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> Deferred[dict[str | bytes, Any]]:
        """
        Read values.

        :param keys: Up to 4,096.
        :return: Fires with the value of each key, None if there is none.  Fails
            with `PartialFailure`; at once, with nothing asked, with
            `UnknownBucket`, `KeyTooLarge`, `CacheError` (too many keys),
            `CacheBusy` or `NotRunning`.
        """
        codec = self._codec(bucket)

        def value(found: Found) -> Any:
            return decoded(codec, bucket, found.value)

        def make() -> list[OfKey]:
            return [Get(bucket, key_bytes(key)) for key in wanted]

        wanted = list(dict.fromkeys(keys))
        return self._many(bucket, wanted, make, timeout_s, value)

    def put_many(
        self,
        bucket: str,
        values: Mapping[str, Any] | Mapping[bytes, Any] | Mapping[str | bytes, Any],
        ttl_s: float | None = 0,
        *,
        copies_min: int = 0,
        timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> Deferred[dict[str | bytes, Copies]]:
        """
        Write values, each on its own.

        :param values: Up to 4,096, by key.
        :param ttl_s: As in `Cache.put`, of all of them.
        :param copies_min: As in `Cache.put`.
        :return: Fires with what `Cache.put` fires with, for each key; fails as
            `get_many`, or at once with `ValueTooLarge` or `CodecError`.
        """
        owners = self._owners(bucket)

        def copies(done: Done) -> Copies:
            return copies_of(done.copies, owners, copies_min)

        def make() -> list[OfKey]:
            left_ms, clock = ttl_ms(ttl_s), self._insides.clock.unique()
            return [
                Put(bucket, key_bytes(key), self._bytes_of(bucket, it), left_ms, clock)
                for key, it in values.items()
            ]

        return self._many(bucket, list(values), make, timeout_s, copies)

    def delete_many(
        self,
        bucket: str,
        keys: Iterable[str | bytes],
        timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> Deferred[dict[str | bytes, bool]]:
        """
        Delete values, each on its own.

        :param keys: Up to 4,096.
        :return: Fires with whether it was there, for each key; fails as
            `get_many`.
        """

        def make() -> list[OfKey]:
            clock = self._insides.clock.unique()
            return [
                Put(bucket, key_bytes(key), None, DEFAULT_TTL, clock) for key in wanted
            ]

        wanted = list(dict.fromkeys(keys))
        return self._many(bucket, wanted, make, timeout_s, lambda d: d.existed)

    def _many(
        self,
        bucket: str,
        keys: Sequence[str | bytes],
        make: Callable[[], Sequence[OfKey]],
        timeout_s: float,
        convert: Callable[[Any], _T],
    ) -> Deferred[dict[str | bytes, _T]]:
        try:
            self._check(bucket, timeout_s)
            if len(keys) > BULK_KEYS_MAX:
                sentence = f"{len(keys)} keys: one call takes up to {BULK_KEYS_MAX:,}"
                raise CacheError(sentence)
            requests = make()
        except MycorrizalError as error:
            return fail(error)
        if not keys:
            return succeed({})

        def finish(
            result: Deferred[dict[str | bytes, _T]], answers: Sequence[One]
        ) -> None:
            if self._near:
                for request in requests:
                    self._insides.near.wrote(request)
            done: dict[str | bytes, _T] = {}
            failed: dict[str | bytes, MycorrizalError] = {}
            for key, request, answer in zip(keys, requests, answers, strict=True):
                if isinstance(answer, Refused):
                    failed[key] = self._refused(answer, request, timeout_s)
                    continue
                if answer.stamp:
                    self._insides.clock.observe(answer.stamp)
                try:
                    done[key] = convert(answer)
                except CacheError as error:
                    failed[key] = error
            if failed:
                result.errback(PartialFailure(done, failed))
            else:
                result.callback(done)

        slots = [self._insides.slot(request) for request in requests]
        deadline = self._awake() + timeout_s
        router = self._insides.router
        return self._run(
            len(keys),
            lambda done: Bulk(router, requests, slots, deadline, done),
            finish,
        )
