# -*- test-case-name: benchmarks.tests.test_asking -*-
"""
Questions to another process, so many in flight, each answer checked where it arrives.

The client asks for the next key as soon as an answer comes, so that there are always
as many questions under way. Its clock runs from the last answer of the warm-up to the
last one of all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Coroutine, Iterator
from hashlib import shake_128
from itertools import islice, pairwise
from statistics import median
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from benchmarks.child import fail, say
from benchmarks.processes import Child, Crew
from benchmarks.rows import Sample

#: What decides the order of the keys; any number would do.
SEED = 20


@attrs.frozen
class Load:
    """How many questions about how many values, and how many at a time."""

    in_flight: int
    warmup: int
    measured: int
    keys: int = 1000
    value_bytes: int = 100
    #: A key is made so long, if it is shorter.
    key_bytes: int = 0
    #: Whether the median time of one answer counts, and not answers per second.
    by_time: bool = False

    @property
    def total(self) -> int:
        return self.warmup + self.measured

    def key(self, number: int) -> str:
        return f"user:{number}".ljust(self.key_bytes, ".")

    def values(self) -> list[bytes]:
        """
        :return: the value of each key: incompressible, all different, the same in
            each process.
        """
        return [
            shake_128(number.to_bytes(8, "big")).digest(self.value_bytes)
            for number in range(self.keys)
        ]

    def table(self) -> dict[bytes, bytes]:
        """
        :return: the value of each key, by key and in order.
        """
        return {
            self.key(number).encode(): value
            for number, value in enumerate(self.values())
        }

    def order(self) -> Iterator[int]:
        """
        :return: which key each question is about.
        """
        return iter(random.Random(SEED).choices(range(self.keys), k=self.total))

    def batches(self) -> Iterator[list[int]]:
        """
        :return: the same, as many at a time as may be in flight.
        """
        order = self.order()
        return iter(lambda: list(islice(order, self.in_flight)), [])


class Asking:
    """
    The asking application, the same for every peer that answers with Deferreds.

    :param ask: asks about the key of a number, counted from 0.
    :param is_right: whether this is the answer about that key.
    """

    def __init__(
        self,
        load: Load,
        ask: Callable[[int], Deferred[Any]],
        is_right: Callable[[int, Any], bool],
        tell: Callable[[str, Any], None] = say,
        refuse: Callable[[str], None] = fail,
    ) -> None:
        self._load = load
        self._ask = ask
        self._is_right = is_right
        self._order = load.order()
        self._clock = Answers(load, tell)
        self._refuse = refuse

    def start(self) -> None:
        for _ in range(min(self._load.in_flight, self._load.total)):
            self._next(next(self._order))

    def _next(self, number: int) -> None:
        self._ask(number).addCallbacks(
            self._answered, self._failed, callbackArgs=(number,)
        )

    def _answered(self, answer: Any, number: int) -> None:
        if not self._is_right(number, answer):
            self._refuse(f"key {number} was answered with {answer!r}")
            return
        self._clock.answered()
        following = next(self._order, None)
        if following is not None:
            self._next(following)

    def _failed(self, failure: Any) -> None:
        self._refuse(failure.getErrorMessage())


class Answers:
    """The clock of the client; told of each answer, it says when all are there."""

    def __init__(self, load: Load, tell: Callable[[str, Any], None] = say) -> None:
        self._load = load
        self._tell = tell
        self._count = 0
        self._started_s = 0.0
        #: When each answer came, if that counts.
        self._times_s: list[float] = []

    def answered(self) -> None:
        self._count += 1
        if self._load.by_time and self._count >= self._load.warmup:
            self._times_s.append(time.perf_counter())
        if self._count == self._load.warmup:
            self._started_s = time.perf_counter()
        elif self._count == self._load.total:
            elapsed_s = time.perf_counter() - self._started_s
            self._tell("done", {"elapsed_s": elapsed_s, "p50_s": self._p50_s()})

    def _p50_s(self) -> float | None:
        times_s = self._times_s
        took_s = [end - start for start, end in pairwise(times_s)]
        return median(took_s) if took_s else None


def measure(crew: Crew, load: Load, client: Child) -> Sample:
    """
    :param client: it says ``ready``, asks at once, and says ``done``.
    :return: answers per second; the median time from one to the next, in
        microseconds, if time counts.
    """
    crew.expect(client, "ready")
    crew.start_usage()
    done = crew.expect(client, "done")
    value = done["p50_s"] * 1e6 if load.by_time else load.measured / done["elapsed_s"]
    return Sample(value=value, operations=load.total, usage=crew.usage())


def react_to(run: Callable[[Any], Coroutine[Deferred[Any], Any, None]]) -> None:
    """
    Run a reactor as long as a coroutine runs that is given it.
    """
    react(lambda reactor: Deferred.fromCoroutine(run(reactor)), [])
