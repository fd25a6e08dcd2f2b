# -*- test-case-name: tests.mycel.test_loading -*-
"""
The calls of the cache that load what is not in it.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from mycorrizal.errors import CodecError, ConfigError, MycorrizalError
from mycorrizal.mycel.api.calls import Calls, Insides
from mycorrizal.mycel.arguments import key_bytes, value_bytes
from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.codecs import Codec, decoded, encoded, find_codec
from mycorrizal.mycel.config import (
    LOAD_MS_MAX,
    LOAD_TIMEOUT_S,
    OPERATION_TIMEOUT_S,
    TTL_S_MAX,
)
from mycorrizal.mycel.messages import Found, Get
from mycorrizal.mycel.operations.loading import Loader, Loads, Terms
from mycorrizal.mycel.slots.placement import slot_of
from mycorrizal.mycel.slots.routes import SETTLED


class LoadingCalls(Calls):
    """
    The calls that load: one load for all who miss a key at the same time.
    """

    def __init__(self, insides: Insides) -> None:
        super().__init__(insides)
        self._loads = Loads(insides)

    @property
    def loads_under_way(self) -> int:
        """How many loads callers of this node wait for, or that go on behind them."""
        return len(self._loads.under_way)

    def get_or_load(
        self,
        bucket: str,
        key: str | bytes,
        loader: Loader,
        *,
        ttl_s: float | None = 0,
        negative_ttl_s: float | None = 0,
        jitter: float = 0,
        stale_s: float = 0,
        anew: bool = False,
        codec: Codec | str | None = None,
        timeout_s: float = LOAD_TIMEOUT_S,
    ) -> Deferred[Any]:
        """
        Read a value; if there is none, load it, once in the whole cluster.

        Of all who miss a key at the same time, on whichever nodes, one calls
        its loader, and the others wait for what it gives.  If that one's node
        dies, or its call is cancelled or out of time, another one's loader is
        called.  If the key is written or deleted meanwhile, what is loaded
        goes to those who waited, and is not stored.

        :param loader: Called without arguments if the value has to be loaded;
            returns it, None if there is no such thing, or a Deferred, a
            coroutine or an `asyncio.Future` of either.  It is bytes, unless
            there is a codec.
        :param ttl_s: Time to live of what is loaded, in seconds; 0: the
            bucket's; None: for ever.
        :param negative_ttl_s: How long it is remembered that the loader gave
            None; 0: not at all; None: until the key is written.
        :param jitter: The share of `ttl_s`, 0 up to 1, that may be taken off,
            by chance, so that what was loaded together does not expire so.
        :param stale_s: How much longer than `ttl_s` the value is kept.  In that
            time the first to read it here gets it at once and loads it again
            behind its back; the others get it too.
        :param anew: Load it though it is there, or being loaded by others.
        :param codec: As of `use_codec`, for this call; None: the bucket's.  What
            it can't decode, since another version of the program has made it,
            is loaded anew.
        :param timeout_s: How long it may take in all, up to an hour.
        :return: Fires with the value, or None.  Fails with what the loader
            failed with; with `LoadFailed` if another one's loader did; with
            `CodecError` or `ValueTooLarge` if what it gave can't be stored; with
            `Indeterminate` if the time is over; with `TooManyLoads`; or as
            `get`.  Cancelling it cancels the loader.
        """
        terms = Terms(loader, ttl_s, negative_ttl_s, jitter, stale_s, timeout_s, anew)
        return self._have_value(bucket, key, terms, codec)

    def _have_value(
        self, bucket: str, key: str | bytes, terms: Terms, codec: Codec | str | None
    ) -> Deferred[Any]:
        """Check what the caller gave, and have the bytes through the codec."""
        try:
            self._check(bucket, terms.timeout_s)
            raw, opened = key_bytes(key), self._buckets[bucket]
            found = self._codec(bucket) if codec is None else find_codec(codec)
            _check_terms(terms)
        except MycorrizalError as error:
            return fail(error)

        def encode(value: Any) -> bytes:
            return value_bytes(encoded(found, bucket, value))

        ttl_s = opened.settings.ttl_s if terms.ttl_s == 0 else terms.ttl_s
        terms = attrs.evolve(terms, ttl_s=ttl_s, encode=encode)
        until = self._awake() + terms.timeout_s
        call = self._have(opened, raw, terms)
        if found is None:
            return call

        def decode(data: bytes | None, anew: bool) -> Any:
            try:
                return decoded(found, bucket, data)
            except CodecError:
                if anew:
                    raise
                again = self._have(opened, raw, self._left(terms, until, anew=True))
                return again.addCallback(decode, True)

        return call.addCallback(decode, terms.anew)

    def _left(self, terms: Terms, until: float, *, anew: bool) -> Terms:
        """The terms for what is left of the time."""
        timeout_s = max(0.001, until - self._now())
        return attrs.evolve(terms, timeout_s=timeout_s, anew=anew)

    def _have(
        self, opened: OpenBucket, key: bytes, terms: Terms
    ) -> Deferred[bytes | None]:
        """Have the bytes of a key: this node's own, near ones, or the primary's."""
        bucket, slot = opened.settings.name, slot_of(opened.seed, key)
        value = None if terms.anew else self._own(opened, slot, key, terms.stale_s)
        if value is not None:
            return succeed(value)
        if bucket in self._near:
            return self._load_near(bucket, key, slot, terms)
        return self._loads.begin(bucket, key, slot, terms)

    def _own(
        self, opened: OpenBucket, slot: int, key: bytes, stale_s: float
    ) -> bytes | None:
        """A value of a slot of this node's own; counted as a read if there is one."""
        now = self._now()
        if self._status[slot] != SETTLED:
            return None
        entry = opened.store.peek(slot, key, now)
        if entry is None or entry.value is None or entry.deadline - now <= stale_s:
            return None
        return opened.store.get(slot, key, now)

    def _load_near(
        self, bucket: str, key: bytes, slot: int, terms: Terms
    ) -> Deferred[bytes | None]:
        """Have a key from a near copy, or get one, or load it."""
        copies, now = self._near[bucket], self._now
        until, stale_s = now() + terms.timeout_s, terms.stale_s

        def fresh(found: Found) -> bytes | None:
            stale = 0 <= found.remaining_ms <= stale_s * 1000
            return None if stale else found.value

        def load(value: bytes | None) -> Deferred[bytes | None]:
            if value is not None:
                return succeed(value)
            left = self._left(terms, until, anew=terms.anew)
            return self._loads.begin(bucket, key, slot, left).addBoth(loaded)

        def loaded(result: Any) -> Any:
            copies.forget(key)
            return result

        if terms.anew:
            return load(None)
        value = copies.get(key, now(), stale_s)
        if value is not None:
            return succeed(value)
        timeout_s = min(terms.timeout_s, OPERATION_TIMEOUT_S)
        way = self._insides.near.route
        get = self._route(Get(bucket, key), slot, timeout_s, fresh, way)
        return get.addCallback(load)

    def stop(self) -> None:
        """Fail all that still waits."""
        self._loads.stop()
        super().stop()


def _check_terms(terms: Terms) -> None:
    """
    :raises ConfigError: Something in the terms of a load makes no sense.
    """
    for name in ("ttl_s", "negative_ttl_s", "stale_s"):
        seconds = getattr(terms, name)
        if seconds is None and name != "stale_s":
            continue
        if not isinstance(seconds, (int, float)) or not 0 <= seconds <= TTL_S_MAX:
            raise ConfigError(name, f"{seconds!r} s is no time to live")
    jitter: object = terms.jitter
    if not isinstance(jitter, (int, float)) or not 0 <= jitter < 1:
        raise ConfigError("jitter", f"{jitter!r} is not from 0 up to 1")
    if terms.timeout_s > LOAD_MS_MAX / 1000:
        raise ConfigError("timeout_s", f"{terms.timeout_s} s is not 0 to an hour")
