# -*- test-case-name: tests.pulse.test_bench_command -*-
"""
A measurement of a cluster that is at work, by one of its nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mycorrizal.errors import LocalProtocolError, MycorrizalError, NotRunning
from mycorrizal.mycel import Cache
from mycorrizal.nodosum import NodosumService
from mycorrizal.nodosum.discovery.pacing import pause
from mycorrizal.pulse.bench_messages import (
    KEYS_MAX,
    AskBench,
    Benched,
    Benching,
    Pace,
)
from mycorrizal.runtime import Runtime

BUCKET_PREFIX: Final = "pulse-bench-"
#: Puts, and gets, end after this, however many are done: whoever asked waits for
#: both, and for what was under way.
PHASE_S_MAX: Final = 2.5
#: If the node dies in the midst of it, its values are gone after this.
VALUE_TTL_S: Final = 60.0
#: Between a look at a measurement and the answer.
LOOK_S: Final = 0.25
#: After so many operations a worker lets others have the reactor, even if none
#: of them had to wait for another node.
_AT_A_STRETCH: Final = 16

#: Starts one operation, given its number.
Start = Callable[[int], Deferred[Any]]


class SelfTest:
    """The measurements of one node, one at a time, each in a bucket of its own."""

    def __init__(self, nodosum: NodosumService, cache: Cache) -> None:
        self._nodosum = nodosum
        self._cache = cache
        self._running = False
        #: The number of the last one that is looked at, and what it has found.
        self._looked_at = 1
        self._found: Benched | Failure | None = None
        self._phases: list[_Phase] = []

    def answer(self, asked: AskBench) -> Deferred[Any]:
        """
        Measure; or begin to, and say how far it is; or say so.

        :return: Fires with `Benched`, or `Benching`.  Fails as `run`, and with
            `LocalProtocolError` if another measurement was begun since.
        """
        if not asked.look:
            return self.run(asked)
        if asked.look == 1:
            done = self.run(asked)
            self._looked_at += 1
            self._found = None
            done.addBoth(self._keep, self._looked_at)
        number = self._looked_at if asked.look == 1 else asked.look
        waited = pause(self._nodosum.runtime, LOOK_S)
        return waited.addCallback(lambda _: self._look(number))

    def _keep(self, found: Benched | Failure, number: int) -> None:
        if number == self._looked_at:
            self._found = found

    def _look(self, number: int) -> Benched | Failure | Benching:
        if number != self._looked_at:
            raise LocalProtocolError("that measurement is over; begin another")
        if self._found is not None:
            return self._found
        part = sum(phase.part for phase in self._phases) / 2
        what = "gets" if len(self._phases) > 1 else "puts"
        return Benching(number, what, round(part, 3))

    def run(self, asked: AskBench) -> Deferred[Benched]:
        """
        Measure.

        :return: Fires with what was found.  Fails with `LocalProtocolError` if
            there is a measurement already, and as `Cache.create_bucket`.
        """
        if self._running:
            raise LocalProtocolError("this node is measuring already; try again later")
        self._running = True
        return Deferred.fromCoroutine(self._run(asked)).addBoth(self._ended)

    def _begun(self, phase: _Phase) -> _Phase:
        self._phases.append(phase)
        return phase

    def _ended(self, result: Any) -> Any:
        self._running = False
        self._phases.clear()
        return result

    async def _run(self, asked: AskBench) -> Benched:
        runtime, cache = self._nodosum.runtime, self._cache
        bucket = BUCKET_PREFIX + runtime.token_bytes(4).hex()
        await cache.create_bucket(
            bucket, ttl_s=VALUE_TTL_S, replicas=asked.replicas, max_entries=KEYS_MAX
        )
        keys = [f"key-{number}" for number in range(min(asked.operations, KEYS_MAX))]
        value = bytes(asked.value_bytes)
        missed = 0

        def put(number: int) -> Deferred[Any]:
            return cache.put(bucket, keys[number % len(keys)], value, raw=True)

        def get(number: int) -> Deferred[Any]:
            found = cache.entry(bucket, keys[number % len(keys)], raw=True)
            return found.addCallback(count)

        def count(entry: object) -> None:
            nonlocal missed
            missed += entry is None

        try:
            puts = await self._begun(_Phase(runtime, put, asked)).run()
            # What was not put can't be found.
            del keys[max(1, puts.count) :]
            gets = await self._begun(_Phase(runtime, get, asked)).run()
        finally:
            try:
                await cache.drop_bucket(bucket)
            except NotRunning:
                # The node stops; its values go with it, and elsewhere by their age.
                pass
        alive = sum(node.state == "alive" for node in self._nodosum.nodes())
        node_id = self._nodosum.me.node_id
        return Benched(node_id, alive, puts, gets, missed)


@attrs.define
class _Phase:
    """Operations of one kind, some at a time, until there are enough."""

    runtime: Runtime
    start: Start
    asked: AskBench
    begun: int = 0
    failed: int = 0
    problem: str = ""
    ends_at: float = 0.0
    took_s: list[float] = attrs.field(factory=list)

    @property
    def part(self) -> float:
        """Which part of it is done, or of the time that it may take."""
        left_s = self.ends_at - self.runtime.now()
        done = self.begun / self.asked.operations
        return min(1.0, max(done, 1 - left_s / PHASE_S_MAX))

    async def run(self) -> Pace:
        """Do all of it."""
        began_at = self.runtime.now()
        self.ends_at = began_at + PHASE_S_MAX
        workers = [
            Deferred.fromCoroutine(self._work()) for _ in range(self.asked.workers)
        ]
        for worker in workers:
            await worker
        took_s = self.runtime.now() - began_at
        return pace(self.took_s, took_s, self.failed, self.problem)

    async def _work(self) -> None:
        runtime, done = self.runtime, 0
        while self.begun < self.asked.operations and runtime.now() < self.ends_at:
            number = self.begun
            self.begun += 1
            began_at = runtime.now()
            try:
                await self.start(number)
            except MycorrizalError as error:
                self.failed += 1
                self.problem = self.problem or str(error)
                if isinstance(error, NotRunning):
                    return
            else:
                self.took_s.append(runtime.now() - began_at)
            done += 1
            if not done % _AT_A_STRETCH:
                turn: Deferred[None] = Deferred()
                runtime.call_later(0, turn.callback, None)
                await turn


def pace(
    each_s: Sequence[float], took_s: float, failed: int = 0, problem: str = ""
) -> Pace:
    """
    Sum operations up.

    :param each_s: What each took that was done.
    :param took_s: What all took together.
    """
    ordered = sorted(each_s)

    def percentile(part: float) -> float:
        # The nearest rank: a value that was measured, none in between.
        if not ordered:
            return 0.0
        return round(ordered[math.ceil(part * len(ordered)) - 1] * 1000, 3)

    return Pace(
        len(ordered),
        failed,
        problem,
        round(took_s, 3),
        round(len(ordered) / took_s, 1) if took_s else 0.0,
        percentile(0.5),
        percentile(0.99),
        percentile(1.0),
    )
