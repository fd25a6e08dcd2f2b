# -*- test-case-name: benchmarks.tests.test_in_process -*-
"""
Mycorrizal's cache within one process: the store of a node, and a node alone.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from benchmarks import ours
from benchmarks.child import fail, say
from benchmarks.processes import Crew
from benchmarks.rows import Peer, Sample
from benchmarks.workloads.in_process import (
    TTL_S,
    Load,
    hold,
    measure_memory,
    measure_rate,
)

if TYPE_CHECKING:
    from mycorrizal import Cache
    from mycorrizal.mycel.store import Bucket

BUCKET = "bench"
ORIGIN = b"the bench's node"
#: When all is written and read, in monotonic seconds.
NOW = 1000.0
#: Reads of one reactor turn: a node has to look at its clock now and then.
TURN_GETS = 10_000


def store_rate(load: Load) -> Peer:
    """The bucket alone, as a slot's primary uses it."""

    def measure(crew: Crew) -> Sample:
        return measure_rate(crew, load, f"{__name__}:use_store")

    return _peer(
        "store", measure, "Bucket.get and merge; the slot is worked out before"
    )


def cache_rate(load: Load) -> Peer:
    """``Cache.get`` of a node that is alone, and so primary of every slot."""

    def measure(crew: Crew) -> Sample:
        return measure_rate(crew, load, f"{__name__}:use_cache")

    return _peer("cache.get", measure, "a node alone; each get returns its Deferred")


def store_memory(load: Load) -> Peer:
    def measure(crew: Crew) -> Sample:
        return measure_memory(crew, load, f"{__name__}:fill_store")

    return _peer("store", measure, "Bucket, a deadline and a version per entry")


def growth(operation: str, few: Load, many: Load) -> Peer:
    """How much longer an operation takes when much is held."""

    def measure(crew: Crew) -> Sample:
        rates = [
            measure_rate(crew, load, f"{__name__}:use_store") for load in (few, many)
        ]
        return Sample(rates[0].value / rates[1].value, many.operations, crew.usage())

    return _peer(operation, measure, "Bucket, with a thousand and with many entries")


def _peer(name: str, measure: Callable[[Crew], Sample], settings: str) -> Peer:
    return Peer(name, measure, (ours.NEEDED,), settings)


def make_bucket() -> tuple[Bucket, Callable[[bytes], int]]:
    """
    :return: a bucket without limits, and what tells a key's slot.
    """
    from mycorrizal.mycel.slots.placement import bucket_seed, slot_of
    from mycorrizal.mycel.store import Bucket

    seed = bucket_seed(BUCKET)
    return Bucket(BUCKET), lambda key: slot_of(seed, key)


def fill_store(load: dict[str, Any]) -> None:
    hold_store(Load(**load))
    signal.pause()


def hold_store(load: Load) -> None:
    bucket, slot_of = make_bucket()
    merge, stamps = bucket.merge, count(1 << 57)

    def put(key: bytes, value: bytes) -> None:
        # A deadline and a stamp are objects of their own, as they are in a node.
        stamp = next(stamps)
        merge(slot_of(key), key, value, stamp, ORIGIN, NOW + TTL_S + stamp % 7, NOW)

    hold(load, put)


def use_store(load: dict[str, Any]) -> None:
    play_store(Load(**load))
    signal.pause()


def play_store(load: Load) -> None:
    bucket, slot_of = make_bucket()
    merge, get, deadline = bucket.merge, bucket.get, NOW + TTL_S
    places = [(slot_of(key), key) for key in load.all_keys()]
    for number, (slot, key) in enumerate(places):
        value = load.value(number)
        merge(slot, key, value, number + 1, ORIGIN, deadline, NOW)
    order = load.order(places)
    if load.mixed:
        work = list(zip(order, load.values(), count(load.entries + 1)))
        started_s = time.process_time()
        for (slot, key), value_or_none, stamp in work:
            if value_or_none is None:
                get(slot, key, NOW)
            else:
                merge(slot, key, value_or_none, stamp, ORIGIN, deadline, NOW)
        took_s = time.process_time() - started_s
    else:
        started_s = time.process_time()
        for slot, key in order:
            get(slot, key, NOW)
        took_s = time.process_time() - started_s
    if bucket.stats().misses or bucket.stats().entries != load.entries:
        fail("it does not hold what was put")
    say("done", {"took_s": took_s})


def use_cache(load: dict[str, Any]) -> None:
    async def run(reactor: Any) -> None:
        from mycorrizal import Config, Mycorrizal

        config = Config(listen="127.0.0.1:0", single=True, secret=ours.SECRET)
        node = Mycorrizal(reactor, config)
        node.startService()
        await node.when_ready()
        loaded = Load(**load)
        cache = node.cache()
        await cache.create_bucket(BUCKET, ttl_s=TTL_S, max_entries=loaded.entries)
        keys = [key.decode() for key in loaded.all_keys()]
        for number, key in enumerate(keys):
            await cache.put(BUCKET, key, loaded.value(number))
            if not number % TURN_GETS:
                await deferLater(reactor, 0)
        took_s = await _gets(reactor, cache, loaded.order(keys))
        if cache.stats(BUCKET).misses:
            fail("it does not hold what was put")
        say("done", {"took_s": took_s})
        await Deferred()

    ours.react_to(run)


async def _gets(reactor: Any, cache: Cache, order: list[str]) -> float:
    took_s = 0.0
    get = cache.get
    for start in range(0, len(order), TURN_GETS):
        turn = order[start : start + TURN_GETS]
        started_s = time.process_time()
        for key in turn:
            get(BUCKET, key)
        took_s += time.process_time() - started_s
        await deferLater(reactor, 0)
    return took_s
