# -*- test-case-name: benchmarks.tests.test_in_process -*-
"""
P4, P5, P10 and P12: the cache within one process.
"""

from __future__ import annotations

import attrs

from benchmarks import ours_in_process as ours
from benchmarks.peers import local_caches
from benchmarks.rows import Bar, Better, Rival, Row
from benchmarks.workloads.in_process import PUT_EVERY, Load

#: Entries that fit the processor's caches, and entries that do not.
FEW, MANY = 1_000, 100_000
#: What is held takes the same memory in each round.
MEMORY_ROUNDS_MAX = 3
#: Without a bar, for whoever wants to know.
CURIOUS = Bar()
RATE = "operations per second of the processor"


def p4(quick: bool) -> Row:
    load = Load(entries=MANY, operations=200_000 if quick else 500_000)
    return Row(
        id="P4",
        title=f"cache.get where it is called, with its Deferred; {MANY:,} random keys",
        unit=RATE,
        better=Better.HIGHER,
        ours=(ours.cache_rate(load),),
        rivals=(
            Rival(local_caches.rate("cachetools", load), Bar(must=1.2, aim=1.6)),
            Rival(local_caches.rate("theine", load), CURIOUS),
        ),
    )


def p5(quick: bool) -> Row:
    """What the code costs: all of it fits the processor's caches."""
    load = Load(entries=FEW, operations=500_000 if quick else 1_000_000)
    return _store("P5", f"get that hits in one node's store; {FEW:,} keys", load)


def p5_mixed(quick: bool) -> Row:
    load = Load(entries=FEW, operations=500_000 if quick else 1_000_000, mixed=True)
    title = f"{PUT_EVERY - 1} gets to a put in one node's store; {FEW:,} keys"
    return _store("P5M", title, load)


def p5_large(quick: bool) -> Row:
    """The same where the machine's memory has a word in it."""
    load = Load(entries=MANY, operations=300_000 if quick else 600_000)
    return _store("P5L", f"get that hits in one node's store; {MANY:,} keys", load)


def _store(row_id: str, title: str, load: Load) -> Row:
    return Row(
        id=row_id,
        title=title,
        unit=RATE,
        better=Better.HIGHER,
        ours=(ours.store_rate(load),),
        rivals=(
            Rival(local_caches.rate("cachetools", load), Bar(must=4.0)),
            Rival(local_caches.rate("cachebox", load), Bar(aim=0.5)),
            Rival(local_caches.rate("theine", load), CURIOUS),
            Rival(local_caches.rate("lru-dict", load), CURIOUS),
        ),
    )


def p10(quick: bool) -> Row:
    load = Load(entries=200_000 if quick else 1_000_000, operations=1)
    return Row(
        id="P10",
        title=f"memory of {load.entries:,} entries of 100 B, keys included",
        unit="MB",
        better=Better.LOWER,
        ours=(ours.store_memory(load),),
        rivals=(
            Rival(local_caches.memory("cachetools", load), Bar(must=1.5, aim=1.0)),
            Rival(local_caches.memory("cachebox", load), CURIOUS),
            Rival(local_caches.memory("theine", load), CURIOUS),
            Rival(local_caches.memory("lru-dict", load), CURIOUS),
        ),
        rounds_max=MEMORY_ROUNDS_MAX,
    )


def p12(quick: bool) -> Row:
    """
    Whether what is held, but not asked for, costs anything; and then with all of it
    asked for, which is above all a matter of the processor's caches.
    """
    few = Load(entries=FEW, operations=500_000, hot=FEW)
    many = attrs.evolve(few, entries=200_000 if quick else 1_000_000)
    puts = [attrs.evolve(load, mixed=True) for load in (few, many)]
    anything = attrs.evolve(many, hot=0)
    return Row(
        id="P12",
        title=f"time of an operation with {many.entries:,} entries ÷ with {FEW:,}",
        unit="ratio",
        better=Better.LOWER,
        ours=(
            ours.growth("get of a thousand keys", few, many),
            ours.growth("get and put of a thousand keys", *puts),
            ours.growth("get of all keys", few, anything),
        ),
        bar=Bar(must=1.3),
        timeout_s=300.0,
    )
