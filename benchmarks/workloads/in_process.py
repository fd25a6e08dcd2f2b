# -*- test-case-name: benchmarks.tests.test_in_process -*-
"""
One cache in one process: what a get or put costs, and what an entry takes.

The child fills its cache, plays the operations in a random order that is the same
for every peer, and says ``done``. Time is that of its processor, not the clock's, so
that what else runs on the machine counts as little as it can.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs

from benchmarks.child import fail, say
from benchmarks.processes import Crew
from benchmarks.rows import Sample

#: What decides the order; any number would do.
SEED = 20
#: Where the operations are mixed, each so many-th is a put.
PUT_EVERY = 10
#: Nothing expires while it is measured, but everything could.
TTL_S = 900.0

_T = TypeVar("_T")


@attrs.frozen
class Load:
    """How many entries of what size a cache holds, and how often it is asked."""

    entries: int
    operations: int
    value_bytes: int = 100
    mixed: bool = False
    #: Only so many keys are asked for, evenly spread; 0: all.
    hot: int = 0

    def all_keys(self) -> list[bytes]:
        """
        :return: all keys, each an object of its own.
        """
        return [b"user:%d" % number for number in range(self.entries)]

    def value(self, number: int) -> bytes:
        """
        :return: a value, an object of its own.
        """
        return b"%0*d" % (self.value_bytes, number)

    def order(self, keys: Sequence[_T]) -> list[_T]:
        """
        :return: the key of each operation.
        """
        step = self.entries // self.hot if self.hot else 1
        return random.Random(SEED).choices(keys[::step], k=self.operations)

    def values(self) -> list[bytes | None]:
        """
        :return: what each operation puts; None where it gets.
        """
        return [
            self.value(number) if self.mixed and not number % PUT_EVERY else None
            for number in range(self.operations)
        ]


def play(
    load: Load,
    get: Callable[[bytes], Any],
    put: Callable[[bytes, bytes], Any],
    found: Callable[[Any], Any] = lambda value: value,
) -> None:
    """
    Fill a cache, use it, and say how long that took.

    :param found: the value in what `get` returns.
    """
    keys = load.all_keys()
    for number, key in enumerate(keys):
        put(key, load.value(number))
    if any(found(get(key)) is None for key in keys[:: max(1, load.entries // 1000)]):
        fail("it does not hold what was put")
    order = load.order(keys)
    if load.mixed:
        took_s = _mixed(order, load.values(), get, put)
    else:
        took_s = _gets(order, get)
    say("done", {"took_s": took_s})


def _gets(order: Iterable[bytes], get: Callable[[bytes], Any]) -> float:
    started_s = time.process_time()
    for key in order:
        get(key)
    return time.process_time() - started_s


def _mixed(
    order: Iterable[bytes],
    values: Iterable[bytes | None],
    get: Callable[[bytes], Any],
    put: Callable[[bytes, bytes], Any],
) -> float:
    work = list(zip(order, values, strict=True))
    started_s = time.process_time()
    for key, value in work:
        if value is None:
            get(key)
        else:
            put(key, value)
    return time.process_time() - started_s


def hold(load: Load, put: Callable[[bytes, bytes], Any]) -> None:
    """
    Fill a cache, and say how much memory it takes, keys and values included.
    """
    gc.collect()
    before = resident_bytes()
    for number in range(load.entries):
        put(b"user:%d" % number, load.value(number))
    gc.collect()
    say("done", {"held_bytes": resident_bytes() - before})


def resident_bytes() -> int:
    """
    :return: the memory of this process that is resident.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure_rate(crew: Crew, load: Load, entry: str, **arguments: Any) -> Sample:
    """
    :param entry: ``module:function`` that plays a load.
    :return: operations in a second of the processor.
    """
    done = _done(crew, load, entry, arguments)
    rate = load.operations / done["took_s"]
    return Sample(value=rate, operations=load.operations, usage=crew.usage())


def measure_memory(crew: Crew, load: Load, entry: str, **arguments: Any) -> Sample:
    """
    :param entry: ``module:function`` that holds a load.
    :return: megabytes.
    """
    done = _done(crew, load, entry, arguments)
    megabytes = done["held_bytes"] / 1e6
    return Sample(value=megabytes, operations=load.entries, usage=crew.usage())


def _done(crew: Crew, load: Load, entry: str, arguments: dict[str, Any]) -> Any:
    child = crew.start("cache", entry, load=attrs.asdict(load), **arguments)
    crew.start_usage()
    return crew.expect(child, "done")
