# -*- test-case-name: benchmarks.tests.test_in_process -*-
"""
Caches for one process: cachetools, cachebox, theine and lru-dict.

Each is made for as many entries as it is given, so that none has to go, and with a
time to live for each entry where it can have one; lru-dict has none at all.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs

from benchmarks.processes import Crew
from benchmarks.rows import Needed, Peer, Sample
from benchmarks.workloads.in_process import (
    TTL_S,
    Load,
    hold,
    measure_memory,
    measure_rate,
    play,
)

Get = Callable[[bytes], Any]
Put = Callable[[bytes, bytes], Any]


def _cachetools(entries: int) -> tuple[Get, Put]:
    import cachetools

    cache: Any = cachetools.TTLCache(entries, TTL_S)
    return cache.get, cache.__setitem__


def _cachebox(entries: int) -> tuple[Get, Put]:
    import cachebox

    cache: Any = cachebox.VTTLCache(entries)
    insert = cache.insert

    def put(key: bytes, value: bytes) -> None:
        insert(key, value, ttl=TTL_S)

    return cache.get, put


def _theine(entries: int) -> tuple[Get, Put]:
    import theine

    cache: Any = theine.Cache(entries)
    set_one, ttl = cache.set, timedelta(seconds=TTL_S)

    def put(key: bytes, value: bytes) -> None:
        set_one(key, value, ttl)

    return cache.get, put


def _lru_dict(entries: int) -> tuple[Get, Put]:
    import lru

    cache: Any = lru.LRU(entries)
    return cache.get, cache.__setitem__


@attrs.frozen
class Product:
    """One such cache: how it is made, and what it is called."""

    make: Callable[[int], tuple[Get, Put]]
    needed: Needed
    settings: str
    found: Callable[[Any], Any] = lambda value: value


PRODUCTS = {
    "cachetools": Product(_cachetools, Needed("cachetools"), "TTLCache, one ttl"),
    "cachebox": Product(_cachebox, Needed("cachebox"), "VTTLCache, a ttl per entry"),
    "theine": Product(
        _theine,
        Needed("theine"),
        "Cache (W-TinyLFU), a ttl per entry",
        # It returns the value and whether there is one.
        lambda value: value[0],
    ),
    "lru-dict": Product(
        _lru_dict, Needed("lru-dict", module="lru"), "LRU, which knows no ttl"
    ),
}


def rate(name: str, load: Load) -> Peer:
    def measure(crew: Crew) -> Sample:
        return measure_rate(crew, load, f"{__name__}:use", name=name)

    return _peer(name, measure)


def memory(name: str, load: Load) -> Peer:
    def measure(crew: Crew) -> Sample:
        return measure_memory(crew, load, f"{__name__}:fill", name=name)

    return _peer(name, measure)


def _peer(name: str, measure: Callable[[Crew], Sample]) -> Peer:
    product = PRODUCTS[name]
    return Peer(name, measure, (product.needed,), product.settings)


def use(load: dict[str, Any], name: str) -> None:
    product, loaded = PRODUCTS[name], Load(**load)
    get, put = product.make(loaded.entries)
    play(loaded, get, put, product.found)
    signal.pause()


def fill(load: dict[str, Any], name: str) -> None:
    loaded = Load(**load)
    _, put = PRODUCTS[name].make(loaded.entries)
    hold(loaded, put)
    signal.pause()
