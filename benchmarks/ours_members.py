# -*- test-case-name: benchmarks.tests.test_at_rest -*-
"""
What an operation costs among few members, and among many.

All that is asked for belongs to one node, at both sizes: what then differs is what
the number of members does to a node's tables, and nothing else.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from statistics import median
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults

from benchmarks import ours
from benchmarks.child import fail, say
from benchmarks.ours_at_rest import SETTLING_S, formed
from benchmarks.processes import Crew
from benchmarks.rows import Peer, Sample

if TYPE_CHECKING:
    from mycorrizal import Mycorrizal
    from mycorrizal.testing import SimCluster

BUCKET = "bench"
VALUE = bytes(100)
KEYS = 64
#: Each of them is timed, and the median taken.
BATCHES = 200
LOCAL_GET, GET, PUT = "get here", "get", "put"
CALLS = (LOCAL_GET, GET, PUT)


def growth(few: int, many: int) -> Peer:
    """How much longer an operation takes among many members, that which grows most."""

    def measure(crew: Crew) -> Sample:
        fewer, more = (_took_us(crew, nodes) for nodes in (few, many))
        grown = max(more[call] / fewer[call] for call in CALLS)
        return Sample(grown, KEYS * BATCHES * len(CALLS), crew.usage())

    return _peer("the worst of " + ", ".join(CALLS), measure)


def taking(nodes: int) -> tuple[Peer, ...]:
    """How many µs each of `CALLS` takes; a round of all of them forms one cluster."""
    cluster = _Once(nodes)
    return tuple(_peer(call, partial(cluster.measure, call)) for call in CALLS)


class _Once:
    """What was measured together, and is told call by call."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._untold: dict[str, Sample] = {}

    def measure(self, call: str, crew: Crew) -> Sample:
        """
        :return: what was measured with the calls before; what is measured now, if this
            call was told already.
        """
        if call not in self._untold:
            took_us = _took_us(crew, self._nodes)
            usage, operations = crew.usage(), KEYS * BATCHES * len(CALLS)
            self._untold = {
                name: Sample(took_us[name], operations, usage) for name in CALLS
            }
        return self._untold.pop(call)


def _took_us(crew: Crew, nodes: int) -> dict[str, float]:
    child = crew.start(f"{nodes} nodes", f"{__name__}:use", nodes=nodes)
    took_us: dict[str, float] = crew.expect(child, "done")
    return took_us


def _peer(name: str, measure: Callable[[Crew], Sample]) -> Peer:
    settings = f"SimCluster, {KEYS} at once, keys of one node, time of the processor"
    return Peer(name, measure, (ours.NEEDED,), settings)


def use(nodes: int) -> None:
    """
    Say how many µs each of `CALLS` takes.
    """
    cluster = formed(nodes)
    cache = cluster[0].cache()
    cluster.result_of(cache.create_bucket(BUCKET, replicas=0))
    cluster.advance(SETTLING_S)
    here, there = keys_of(cluster[0]), keys_of(cluster[1])
    for key in (*here, *there):
        cluster.result_of(cache.put(BUCKET, key, VALUE))

    def get(key: str) -> Deferred[Any]:
        return cache.get(BUCKET, key)

    def put(key: str) -> Deferred[Any]:
        return cache.put(BUCKET, key, VALUE)

    took_us = {
        LOCAL_GET: timed(cluster, get, here, VALUE),
        GET: timed(cluster, get, there, VALUE),
        PUT: timed(cluster, put, there, 1),
    }
    say("done", took_us)
    signal.pause()


def timed(
    cluster: SimCluster,
    ask: Callable[[str], Deferred[Any]],
    keys: list[str],
    right: object,
) -> float:
    """
    :param right: what each is answered.
    :return: how many µs of the processor one takes, the median of many batches.
    """
    took_us = []
    for _ in range(BATCHES):
        started_s = time.process_time()
        found = cluster.result_of(gatherResults([ask(key) for key in keys]))
        took_us.append((time.process_time() - started_s) / len(keys) * 1e6)
        if found != [right] * len(keys):
            fail("it does not hold what was put")
    return median(took_us)


def keys_of(owner: Mycorrizal) -> list[str]:
    """
    :return: keys of which this node is the primary.
    """
    from mycorrizal.mycel.slots.placement import bucket_seed, slot_of

    seed, view = bucket_seed(BUCKET), owner.mycel.view
    keys: list[str] = []
    for number in count():
        key = f"user:{number}"
        if view.owners(slot_of(seed, key.encode()), 1) == (view.me,):
            keys.append(key)
            if len(keys) == KEYS:
                break
    return keys
