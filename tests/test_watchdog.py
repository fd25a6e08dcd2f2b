"""
Which code holds up the reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mycorrizal import watchdog as module
from mycorrizal.runtime import CLOCK_STEP_S, Repeater, Runtime
from mycorrizal.testing import SimCluster
from mycorrizal.watchdog import BEAT_S, STACK_PAUSE_S, Watchdog, watch

STALL_S = 0.5


@implementer(IReactorFromThreads)
class FakeReactor(Clock):
    """A reactor that is never in a hurry; threads leave their calls here."""

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: list[Callable[[], object]] = []
        self.starting: list[Callable[[], object]] = []

    def callFromThread(
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        self.from_threads.append(callable)

    def callWhenRunning(self, call: Callable[[], object]) -> None:
        self.starting.append(call)


class WatchdogTests(SynchronousTestCase):
    """A watchdog whose thread is the test."""

    def setUp(self) -> None:
        self.now, self.wall, self.cpu = 100.0, 1e9, 5.0
        self.reactor = FakeReactor()
        self.runtime = Runtime(
            self.reactor, monotonic=lambda: self.now, wall=lambda: self.wall
        )
        self.patch(module, "cpu_s", lambda: self.cpu)
        self.dog = Watchdog(self.runtime, STALL_S)
        self.dog.beat()

    def pass_time(self, seconds: float, *, busy: bool = True) -> None:
        """Time passes in which the reactor does not run."""
        self.now += seconds
        self.wall += seconds
        self.cpu += seconds * busy

    def looks(self, seconds: float) -> list[str]:
        """The thread looks again and again; what it writes to the log."""
        with capturedLogs() as events:
            for _ in range(round(seconds / BEAT_S)):
                self.pass_time(BEAT_S)
                self.dog.look()
        return [formatEvent(event) for event in events]

    def test_reactor_runs(self) -> None:
        """Nothing is said of a reactor that runs."""
        for _ in range(10):
            self.assertEqual(self.looks(0.4), [])
            self.dog.beat()

    def test_code_that_blocks(self) -> None:
        """The log names the code that holds it up, with its stack, once (F33)."""
        (said,) = self.looks(4.0)
        # The thread of this test is the reactor's, and looks at itself.
        self.assertIn("held up for 0.6 s by _tell_stack at", said)
        self.assertIn("in test_code_that_blocks", said)
        self.dog.beat()
        (said,) = self.looks(0.2)
        self.assertEqual(said, "The reactor runs again: 4.0 s")

    def test_many_stalls(self) -> None:
        """At most one stack in ten seconds; the others are counted (F33)."""
        said: list[str] = []
        for _ in range(8):
            said += self.looks(1.6)
            self.dog.beat()
        stacks = [line for line in said if "held up" in line]
        self.assertEqual(len(stacks), 2)
        self.assertEqual(STACK_PAUSE_S, 10.0)
        self.assertIn("and 6 times before", stacks[1])

    def test_process_that_was_stopped(self) -> None:
        """Time in which the process did not run is blamed on no code (F5)."""
        with capturedLogs() as events:
            self.pass_time(3.0, busy=False)
            self.dog.look()
        (said,) = map(formatEvent, events)
        self.assertIn("This process did not run for 3.0 s", said)

    def test_reactor_that_is_first_afterwards(self) -> None:
        """That it did not run is said also if the reactor runs again first (F5)."""
        with capturedLogs() as events:
            self.pass_time(3.0, busy=False)
            self.dog.beat()
            self.dog.look()
        (said,) = map(formatEvent, events)
        self.assertIn("This process did not run for 3.0 s", said)

    def test_code_that_lets_no_thread_run(self) -> None:
        """Code that keeps the thread from running as well is found after it (F33)."""
        with capturedLogs() as events:
            self.pass_time(3.0)
            self.dog.look()
        (said,) = map(formatEvent, events)
        self.assertIn("held up for 3.0 s", said)

    def test_step_of_the_wall_clock(self) -> None:
        """When the wall clock steps, the reactor is woken (F9)."""
        for step_s in (CLOCK_STEP_S * 1.1, -3600.0):
            self.pass_time(0.1)
            self.wall += step_s
            self.dog.look()
            self.assertEqual(self.reactor.from_threads, [self.runtime.poke])
            self.reactor.from_threads.clear()
            self.dog.look()
            self.assertEqual(self.reactor.from_threads, [])

    def test_reactor_that_oversleeps(self) -> None:
        """So is a reactor that misses its beats, for whatever reason (F9)."""
        self.looks(0.4)
        self.assertEqual(self.reactor.from_threads, [])
        self.looks(0.2)
        self.assertEqual(self.reactor.from_threads, [self.runtime.poke])

    def test_beats(self) -> None:
        """The reactor shows five times a second that it runs."""
        self.assertEqual(self.runtime.pending_timers(), 1)
        self.dog.stop()
        self.assertEqual(self.runtime.pending_timers(), 0)


class WatchTests(SynchronousTestCase):
    """When a reactor is watched."""

    def test_off(self) -> None:
        """Not if it was turned off, in a simulation, or without threads."""
        self.assertIsNone(watch(Runtime(FakeReactor()), 0.0))
        self.assertIsNone(watch(Runtime(Clock()), 0.5))
        cluster = SimCluster(1, start=False)
        self.assertIsNone(watch(cluster[0].runtime, 0.5))

    def test_thread(self) -> None:
        """The thread begins with the reactor, and ends when it is told."""
        reactor = FakeReactor()
        dog = watch(Runtime(reactor), 0.5)
        assert dog is not None
        (begin,) = reactor.starting
        begin()
        self.assertTrue(dog._repeater._thread.is_alive())
        dog.stop()
        self.assertFalse(dog._repeater._thread.is_alive())

    def test_stopped_before_it_began(self) -> None:
        """A node that is stopped before the reactor runs leaves no thread."""
        reactor = FakeReactor()
        dog = watch(Runtime(reactor), 0.5)
        assert dog is not None
        dog.stop()
        reactor.starting[0]()
        self.assertFalse(dog._repeater._thread.is_alive())

    def test_repeater(self) -> None:
        """A repeater calls until it is stopped."""
        called: list[int] = []

        def call() -> None:
            called.append(1)
            repeater._stopping.set()

        repeater = Repeater(0.0, call, "x")
        repeater.start()
        repeater._thread.join(10)
        self.assertEqual(called, [1])
