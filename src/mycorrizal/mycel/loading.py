# -*- test-case-name: tests.mycel.test_loading -*-
"""
The calls of the cache that load what is not in it.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed

from mycorrizal.errors import ConfigError, MycorrizalError
from mycorrizal.mycel.buckets import OpenBucket
from mycorrizal.mycel.config import (
    KEY_BYTES_MAX,
    LOAD_MS_MAX,
    LOAD_TIMEOUT_S,
    TTL_S_MAX,
)
from mycorrizal.mycel.operations.loading import Around, Loader, Loads, Terms
from mycorrizal.mycel.slots.placement import slot_of


class LoadingCalls:
    """
    The part of a cache that loads: `Cache` stands on it.
    """

    running: bool
    _insides: Around
    _buckets: dict[str, OpenBucket]
    _loads: Loads

    def _problem(self, bucket: str, key: bytes) -> MycorrizalError:
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
        slot, view = slot_of(opened.seed, raw), self._insides.view
        primary = view.placement.primaries[slot]
        if primary == view.me and not view.unsettled[slot] and not anew:
            now = self._insides.runtime.now()
            entry = opened.store.peek(slot, raw, now)
            if entry is not None and entry.deadline - now > stale_s:
                value = opened.store.get(slot, raw, now)
                if value is not None:
                    return succeed(value)
        return self._loads.begin(bucket, raw, slot, terms)


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
