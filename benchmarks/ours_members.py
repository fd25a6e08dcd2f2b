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
from itertools import count
from statistics import median
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import gatherResults

from benchmarks import ours
from benchmarks.child import fail, say
from benchmarks.ours_at_rest import SETTLING_S, formed
from benchmarks.processes import Crew
from benchmarks.rows import Peer, Sample

if TYPE_CHECKING:
    from mycorrizal import Mycorrizal

BUCKET = "bench"
VALUE = bytes(100)
KEYS = 64
#: Each of them is timed, and the median taken.
BATCHES = 200
LOCAL_GET, GET, PUT = "get here", "get", "put"
CALLS = (LOCAL_GET, GET, PUT)


def growth(call: str, few: int, many: int) -> Peer:
    """How much longer an operation takes among many members."""

    def measure(crew: Crew) -> Sample:
        took_us = [_took_us(crew, call, nodes) for nodes in (few, many)]
        return Sample(took_us[1] / took_us[0], KEYS * BATCHES, crew.usage())

    return _peer(call, measure)


def taking(call: str, nodes: int) -> Peer:
    """How many µs an operation takes."""

    def measure(crew: Crew) -> Sample:
        return Sample(_took_us(crew, call, nodes), KEYS * BATCHES, crew.usage())

    return _peer(call, measure)


def _took_us(crew: Crew, call: str, nodes: int) -> float:
    child = crew.start(f"{nodes} nodes", f"{__name__}:use", nodes=nodes, call=call)
    took_us: float = crew.expect(child, "done")
    return took_us


def _peer(call: str, measure: Callable[[Crew], Sample]) -> Peer:
    settings = f"SimCluster, {KEYS} at once, keys of one node, time of the processor"
    return Peer(call, measure, (ours.NEEDED,), settings)


def use(nodes: int, call: str) -> None:
    """
    :param call: one of `CALLS`; says how many µs one takes.
    """
    cluster = formed(nodes)
    client, owner = cluster[0], cluster[0 if call == LOCAL_GET else 1]
    cache = client.cache()
    cluster.result_of(cache.create_bucket(BUCKET, replicas=0))
    cluster.advance(SETTLING_S)
    keys = keys_of(owner)
    for key in keys:
        cluster.result_of(cache.put(BUCKET, key, VALUE))
    took_us = []
    for _ in range(BATCHES):
        started_s = time.process_time()
        answers: list[Any]
        if call == PUT:
            answers = [cache.put(BUCKET, key, VALUE) for key in keys]
        else:
            answers = [cache.get(BUCKET, key) for key in keys]
        found = cluster.result_of(gatherResults(answers))
        took_us.append((time.process_time() - started_s) / KEYS * 1e6)
        if found != [1 if call == PUT else VALUE] * KEYS:
            fail("it does not hold what was put")
    say("done", median(took_us))
    signal.pause()


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
