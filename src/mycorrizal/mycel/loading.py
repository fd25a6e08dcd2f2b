# -*- test-case-name: tests.mycel.test_loading -*-
"""
The calls of the cache that load what is not in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from mycorrizal.errors import ConfigError, MycorrizalError
from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.config import (
    KEY_BYTES_MAX,
    LOAD_MS_MAX,
    LOAD_TIMEOUT_S,
    OPERATION_TIMEOUT_S,
    TTL_S_MAX,
)
from mycorrizal.mycel.messages import Found, Get
from mycorrizal.mycel.near.copies import NearCopies
from mycorrizal.mycel.near.wiring import Near
from mycorrizal.mycel.operations.loading import Around, Loader, Loads, Terms
from mycorrizal.mycel.slots.placement import slot_of


class Inside(Around, Protocol):
    """What these calls need of their service."""

    near: Near


class LoadingCalls:
    """
    The part of a cache that loads: `Cache` stands on it.
    """

    running: bool
    _insides: Inside
    _buckets: dict[str, OpenBucket]
    _loads: Loads
    _near: dict[str, NearCopies]

    def _problem(self, bucket: str, key: bytes) -> MycorrizalError:
        raise NotImplementedError

    def _route(
        self,
        request: Get,
        slot: int,
        timeout_s: float,
        convert: Callable[[Found], bytes | None],
        route: Callable[..., Any],
    ) -> Deferred[bytes | None]:
        raise NotImplementedError

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
        timeout_s: float = LOAD_TIMEOUT_S,
    ) -> Deferred[bytes | None]:
        """
        Read a value; if there is none, load it, once in the whole cluster.

        Of all who miss a key at the same time, on whichever nodes, one calls
        its loader, and the others wait for what it gives.  If that one's node
        dies, or its call is cancelled or out of time, another one's loader is
        called.  If the key is written or deleted meanwhile, what is loaded
        goes to those who waited, and is not stored.

        :param loader: Called without arguments if the value has to be loaded;
            returns bytes, None if there is no such thing, or a Deferred, a
            coroutine or an `asyncio.Future` of either.
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
        :param timeout_s: How long it may take in all.
        :return: Fires with the value, or None.  Fails with what the loader
            failed with; with `LoadFailed` if another one's loader did; with
            `Indeterminate` if the time is over; with `TooManyLoads`; or as
            `get`.  Cancelling it cancels the loader.
        """
        opened = self._buckets.get(bucket)
        raw = key.encode() if isinstance(key, str) else key
        if opened is None or not self.running or not 0 < len(raw) <= KEY_BYTES_MAX:
            return fail(self._problem(bucket, raw))
        if ttl_s == 0:
            ttl_s = opened.settings.ttl_s
        terms = Terms(loader, ttl_s, negative_ttl_s, jitter, stale_s, timeout_s, anew)
        if problem := _problem_of(terms):
            return fail(problem)
        slot = slot_of(opened.seed, raw)
        value = None if anew else self._own(opened, slot, raw, stale_s)
        if value is not None:
            return succeed(value)
        if bucket in self._near:
            return self._load_near(bucket, raw, slot, terms)
        return self._loads.begin(bucket, raw, slot, terms)

    def _own(
        self, opened: OpenBucket, slot: int, key: bytes, stale_s: float
    ) -> bytes | None:
        """A value of a slot of this node's own; counted as a read if there is one."""
        view, now = self._insides.view, self._insides.runtime.now()
        if view.placement.primaries[slot] != view.me or view.unsettled[slot]:
            return None
        entry = opened.store.peek(slot, key, now)
        if entry is None or entry.value is None or entry.deadline - now <= stale_s:
            return None
        return opened.store.get(slot, key, now)

    def _load_near(
        self, bucket: str, key: bytes, slot: int, terms: Terms
    ) -> Deferred[bytes | None]:
        """Have a key from a near copy, or get one, or load it."""
        copies, now = self._near[bucket], self._insides.runtime.now
        until, stale_s = now() + terms.timeout_s, terms.stale_s

        def fresh(found: Found) -> bytes | None:
            stale = 0 <= found.remaining_ms <= stale_s * 1000
            return None if stale else found.value

        def load(value: bytes | None) -> Deferred[bytes | None]:
            if value is not None:
                return succeed(value)
            left = attrs.evolve(terms, timeout_s=max(0.001, until - now()))
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
        near = self._insides.near.route
        get = self._route(Get(bucket, key), slot, timeout_s, fresh, near)
        return get.addCallback(load)


def _problem_of(terms: Terms) -> ConfigError | None:
    """What makes no sense in the terms of a load."""
    for name in ("ttl_s", "negative_ttl_s", "stale_s"):
        seconds = getattr(terms, name)
        if seconds is not None and not 0 <= seconds <= TTL_S_MAX:
            return ConfigError(name, f"{seconds} s is no time to live")
    if not 0 <= terms.jitter < 1:
        return ConfigError("jitter", f"{terms.jitter} is not from 0 up to 1")
    if not 0 < terms.timeout_s <= LOAD_MS_MAX / 1000:
        return ConfigError("timeout_s", f"{terms.timeout_s} s is not 0 to an hour")
    return None
