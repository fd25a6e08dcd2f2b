# -*- test-case-name: tests.testing.test_timeline -*-
"""
Simulated time: one heap of events, ordered by seed and by nothing else.

Time is counted in ticks of 2**-30 s (0.93 ns), not in decimal nanoseconds:
a float holds each tick exactly for the first 48 days, so ``now + delay``
never comes out one rounding error before or after the event that was set
for it, and a timer of 0.1 s has fired when the world advanced by 0.1 s.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from random import Random
from typing import Any, NoReturn

TICKS_PER_S = 1 << 30
#: One tick, in seconds.
TICK_S = 1.0 / TICKS_PER_S

#: Steps within one instant, after which something must be calling itself
#: without any delay.
INSTANT_STEPS_MAX = 100_000

#: Records that are hashed together; the digest does not depend on it.
_HASHED_TOGETHER = 256

#: An event: when, a random tie-break, a total order, what, and with what.
Event = tuple[int, float, int, Callable[[Any], object], Any]

#: A line of the trace: when, on which host, what, and how many bytes of it.
Record = tuple[int, str, str, int]


def ticks_of(seconds: float) -> int:
    """The first whole tick that is not before `seconds`."""
    return math.ceil(seconds * TICKS_PER_S)


class StepLimitExceeded(AssertionError):
    """
    One call of `Timeline.advance` or `Timeline.until` made more steps than
    the world allows, or time stood still: something calls itself for ever.
    """


class Timeline:
    """
    A queue of events in simulated time, with its random streams and its trace.

    Events of the same instant run in an order drawn from the seed, so that a
    thousand seeds try a thousand orders, and one seed always the same one.

    :ivar seed: What every random stream is derived from.
    :ivar now_ticks: The present, in ticks since the world began.
    :ivar steps: How many events have run.
    :ivar steps_max: How many events one call of `advance` or `until` may run.
    """

    def __init__(
        self,
        seed: int | str = 0,
        *,
        trace_length: int = 200,
        steps_max: int = 5_000_000,
    ) -> None:
        self.seed = seed
        self.now_ticks = 0
        self.steps = 0
        self.steps_max = steps_max
        self._heap: list[Event] = []
        self._sequence = 0
        self._streams: dict[str, Random] = {}
        self._tie = self.stream("sched").random
        self._running = False
        self._fresh: list[Record] = []
        self._tail: deque[Record] = deque(maxlen=trace_length)
        self._hash = blake2b(digest_size=16)

    @property
    def now_s(self) -> float:
        """Seconds since the world began."""
        return self.now_ticks * TICK_S

    def stream(self, name: str) -> Random:
        """
        The random stream of that name, the same object each time.

        Streams are independent: drawing more from one changes no other.
        ``net``, ``sched`` and one for each host are used by the world;
        ``nemesis`` and ``work`` are meant for your faults and your clients.
        """
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Random(f"{self.seed}/{name}")
        return stream

    # -- events ---------------------------------------------------------------

    def schedule(
        self, ticks: int, call: Callable[[Any], object], argument: Any = None
    ) -> None:
        """Run ``call(argument)`` at that tick, or now when that is past."""
        if ticks < self.now_ticks:
            ticks = self.now_ticks
        self._sequence += 1
        heapq.heappush(self._heap, (ticks, self._tie(), self._sequence, call, argument))

    def later(
        self, delay_s: float, call: Callable[..., object], *arguments: Any
    ) -> None:
        """
        Run ``call(*arguments)`` that much later, outside of every host.

        An exception in it comes out of `step`, `advance` or `until`.
        """
        ticks = self.now_ticks + ticks_of(delay_s)
        self.schedule(ticks, lambda _: call(*arguments))

    def step(self) -> bool:
        """
        Run the next event, at its time.

        :return: Whether there was one.
        """
        if not self._heap:
            return False
        with self._being_run():
            self._run_next()
        return True

    def advance(self, seconds: float) -> None:
        """
        Let that much time pass, from event to event, each at its own time.

        :raises StepLimitExceeded: When it takes more than `steps_max` events.
        """
        with self._being_run():
            self._run(self.now_ticks + ticks_of(seconds), None)

    def until(self, predicate: Callable[[], object], limit_s: float = 60.0) -> bool:
        """
        Let time pass until `predicate`, asked after each event, is true.

        :return: True.
        :raises AssertionError: When `limit_s` have passed first; the text has
            the seed and the last events.
        :raises StepLimitExceeded: When it takes more than `steps_max` events.
        """
        with self._being_run():
            if self._run(self.now_ticks + ticks_of(limit_s), predicate):
                return True
        name = getattr(predicate, "__qualname__", repr(predicate))
        raise AssertionError(self.story(f"{name} is not true after {limit_s} s"))

    def _run_next(self) -> None:
        self.now_ticks, _, _, call, argument = heapq.heappop(self._heap)
        self.steps += 1
        call(argument)

    def _run(self, end_ticks: int, predicate: Callable[[], object] | None) -> bool:
        heap = self._heap
        steps_end = self.steps + self.steps_max
        moved_at = self.steps
        while predicate is None or not predicate():
            if not heap or heap[0][0] > end_ticks:
                self.now_ticks = max(self.now_ticks, end_ticks)
                return False
            if heap[0][0] > self.now_ticks:
                moved_at = self.steps
            elif self.steps - moved_at >= INSTANT_STEPS_MAX:
                self._stop(f"{INSTANT_STEPS_MAX} steps, and no time has passed")
            if self.steps >= steps_end:
                self._stop(f"more than {self.steps_max} steps in one go")
            self._run_next()
        return True

    def _stop(self, why: str) -> NoReturn:
        raise StepLimitExceeded(self.story(why))

    @contextmanager
    def _being_run(self) -> Iterator[None]:
        if self._running:
            raise RuntimeError("The world cannot be run from inside of an event")
        self._running = True
        try:
            yield
        finally:
            self._running = False

    # -- trace ----------------------------------------------------------------

    def record(self, host: str, kind: str, size: int = 0) -> None:
        """Add a line to the trace and to the digest."""
        fresh = self._fresh
        fresh.append((self.now_ticks, host, kind, size))
        if len(fresh) >= _HASHED_TOGETHER:
            self._absorb()

    def _absorb(self) -> None:
        if self._fresh:
            lines = [f"{t}|{host}|{kind}|{n}\n" for t, host, kind, n in self._fresh]
            self._hash.update("".join(lines).encode())
            self._tail.extend(self._fresh)
            self._fresh.clear()

    def digest(self) -> str:
        """
        A hash of everything that was recorded: two runs that did the same
        have the same digest.
        """
        self._absorb()
        return self._hash.hexdigest()

    def trace(self) -> list[str]:
        """The last records, one line each, oldest first."""
        self._absorb()
        return [
            f"{ticks * TICK_S:14.6f}  {host:<12} {kind:<14} {size}"
            for ticks, host, kind, size in self._tail
        ]

    def story(self, what: str) -> str:
        """`what`, with all that is needed to see it again: seed, time, trace."""
        lines = "\n".join(self.trace())
        return (
            f"{what} [seed {self.seed!r}, {self.now_s:.6f} s,"
            f" {self.steps} steps, digest {self.digest()}]\n{lines}"
        )
