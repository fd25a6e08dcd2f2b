"""Tests for `mycorrizal.testing.reactor`, its delayed calls and triggers."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorCore,
    IReactorFromThreads,
    IReactorInThreads,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
)
from twisted.internet.task import Clock, LoopingCall, deferLater
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mycorrizal.testing import World
from mycorrizal.testing.timeline import TICK_S


class InterfaceTests(SynchronousTestCase):
    """A simulated reactor is a reactor."""

    def test_interfaces(self) -> None:
        """It provides what Twisted's endpoints and services ask for."""
        reactor = World(1).host("a").reactor
        for interface in (
            IReactorCore,
            IReactorTime,
            IReactorTCP,
            IReactorUDP,
            IReactorFromThreads,
            IReactorInThreads,
            IReactorPluggableNameResolver,
        ):
            verifyObject(interface, reactor)
        verifyObject(IDelayedCall, reactor.callLater(1, print))

    def test_what_the_world_does(self) -> None:
        """It cannot be run or stopped, and says what to do instead."""
        reactor = World(1).host("a").reactor
        for call in (reactor.run, reactor.stop, reactor.crash, reactor.iterate):
            error = self.assertRaises(RuntimeError, call)
            self.assertIn("World.advance", str(error))


class TimeTests(SynchronousTestCase):
    """Delayed calls, on a wall clock that may step."""

    def setUp(self) -> None:
        self.world = World(1)
        self.host = self.world.host("a")
        self.reactor = self.host.reactor
        self.seen: list[Any] = []

    def note(self) -> None:
        """Remember the time."""
        self.seen.append(self.world.now_s)

    def test_exact(self) -> None:
        """A call of 0.1 s has been made when the world advanced by 0.1 s."""
        for _ in range(50):
            self.seen.clear()
            self.reactor.callLater(0.1, self.note)
            self.world.advance(0.1 - TICK_S)
            self.assertEqual(self.seen, [])
            self.world.advance(TICK_S)
            self.assertEqual(self.seen, [self.world.now_s])

    def test_seconds_reach_the_deadline(self) -> None:
        """Who adds seconds() and a delay is not called before that."""
        deadline_s = self.reactor.seconds() + 0.3
        self.reactor.callLater(0.3, lambda: self.seen.append(self.reactor.seconds()))
        self.world.advance(1)
        self.assertGreaterEqual(self.seen[0], deadline_s)

    def test_step_back(self) -> None:
        """When the wall clock is set back, calls wait that much longer."""
        self.reactor.callLater(1, self.note)
        self.host.jump_wall(-3600)
        self.world.advance(3600)
        self.assertEqual(self.seen, [])
        self.world.advance(1)
        self.assertEqual(self.seen, [3601.0])

    def test_step_forward(self) -> None:
        """When it is set forward, they are made as soon as anything happens."""
        self.reactor.callLater(10, self.note)
        self.host.jump_wall(3600)
        self.world.advance(1)
        self.assertEqual(self.seen, [])
        self.reactor.callFromThread(lambda: None)
        self.world.advance(1)
        self.assertEqual(self.seen, [1.0])

    def test_step_forward_of_an_idle_process(self) -> None:
        """A process that sleeps until its first call does not notice a step."""
        self.reactor.callLater(10, self.note)
        self.reactor.callLater(100, self.note)
        self.host.jump_wall(3600)
        self.world.advance(1000)
        self.assertEqual(self.seen, [10.0, 10.0])

    def test_drift(self) -> None:
        """On a clock that is too fast, calls are made too early; or too late."""
        self.host.drift_ppm = 250_000
        self.reactor.callLater(5, self.note)
        self.world.advance(10)
        self.host.drift_ppm = -500_000
        self.reactor.callLater(5, self.note)
        self.world.advance(11)
        self.assertEqual(self.seen, [4.0, 20.0])

    def test_turns(self) -> None:
        """Calls set in one turn for one time keep their order, on any seed."""
        for seed in range(20):
            reactor = World(seed).host("a").reactor
            seen: list[int] = []
            for number in range(5):
                reactor.callLater(1, seen.append, number)
            reactor.world.advance(1)
            self.assertEqual(seen, [0, 1, 2, 3, 4])

    def test_races(self) -> None:
        """Calls set in different turns for one time are a race."""
        orders = set()
        for seed in range(20):
            reactor = World(seed).host("a").reactor
            seen: list[str] = []
            reactor.callLater(1, seen.append, "set first")
            reactor.world.later(0.5, reactor.callLater, 0.5, seen.append, "set last")
            reactor.world.advance(1)
            orders.add(tuple(seen))
        self.assertEqual(len(orders), 2)

    def test_same_as_clock(self) -> None:
        """As long as no clock steps, calls are made as on Twisted's `Clock`."""
        results = []
        clock = Clock()
        for reactor, advance in (
            (clock, clock.advance),
            (self.reactor, self.world.advance),
        ):
            seen: list[str] = []
            a = reactor.callLater(3, seen.append, "a")
            b = reactor.callLater(1, seen.append, "b")
            c = reactor.callLater(2, seen.append, "c")
            a.reset(0.5)
            b.delay(4)
            c.cancel()
            b.reset(6)
            b.reset(5.5)
            for _ in range(13):
                advance(0.5)
                seen.append("|")
            results.append(seen)
        self.assertEqual(results[0], results[1])

    def test_many_cancelled(self) -> None:
        """Cancelled calls are swept out; those that are to come are kept."""
        kept = [self.reactor.callLater(n, self.note) for n in range(1, 4)]
        for _ in range(5000):
            self.reactor.callLater(1000, self.note).cancel()
        self.assertLess(len(self.reactor._agenda._heap), 200)
        self.assertEqual(self.reactor.getDelayedCalls(), kept)
        self.world.advance(5)
        self.assertEqual(self.seen, [1.0, 2.0, 3.0])

    def test_moved_call_is_listed_once(self) -> None:
        """A call that was moved to and fro is one call."""
        call = self.reactor.callLater(10, self.note)
        call.reset(5)
        call.reset(7)
        call.reset(3)
        self.assertEqual(self.reactor.getDelayedCalls(), [call])
        self.assertIn("due", repr(call))
        self.world.advance(100)
        self.assertEqual(self.seen, [3.0])
        self.assertIn("called", repr(call))

    def test_failing_call(self) -> None:
        """What a call raises is logged, and remembered by the world."""
        self.reactor.callLater(0, lambda: 1 / 0)
        self.reactor.callLater(0, self.note)
        self.world.advance(1)
        self.assertEqual(self.seen, [0.0])
        self.assertEqual(self.world.errors(), ["a: division by zero"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_twisted_on_top(self) -> None:
        """Twisted's loops and delays take it as their clock."""
        loop = LoopingCall(self.note)
        loop.clock = self.reactor
        loop.start(2)
        self.assertEqual(
            self.world.result_of(deferLater(self.reactor, 5, lambda: "x")), "x"
        )
        self.assertEqual(self.seen, [0.0, 2.0, 4.0])


class ThreadTests(SynchronousTestCase):
    """There are no threads, but what is used with them works."""

    def test_in_thread(self) -> None:
        """Work for a thread is done a little later, and in a turn."""
        world = World(1)
        reactor = world.host("a").reactor
        seen: list[float] = []
        reactor.callInThread(lambda: seen.append(world.now_s))
        world.advance(1)
        self.assertTrue(0 < seen[0] < 0.01)

    def test_no_step_matters(self) -> None:
        """A call from a thread does not wait for the wall clock."""
        world = World(1)
        host = world.host("a")
        seen: list[int] = []
        host.reactor.callFromThread(seen.append, 1)
        host.jump_wall(-100)
        world.advance(0)
        self.assertEqual(seen, [1])


class TriggerTests(SynchronousTestCase):
    """System events, fired by the test."""

    def setUp(self) -> None:
        self.reactor = World(1).host("a").reactor
        self.seen: list[str] = []

    def test_phases(self) -> None:
        """Before, during, after; in each as they were added; each once."""
        for phase in ("after", "during", "before"):
            for number in "12":
                self.reactor.addSystemEventTrigger(
                    phase, "shutdown", self.seen.append, phase + number
                )
        self.reactor.fireSystemEvent("startup")
        self.assertEqual(self.seen, [])
        self.reactor.fireSystemEvent("shutdown")
        self.reactor.fireSystemEvent("shutdown")
        self.assertEqual(
            self.seen,
            ["before1", "before2", "during1", "during2", "after1", "after2"],
        )

    def test_waiting(self) -> None:
        """The other phases wait for the Deferreds of the first."""
        done: Deferred[None] = Deferred()
        self.reactor.addSystemEventTrigger("before", "shutdown", lambda: done)
        self.reactor.addSystemEventTrigger(
            "during", "shutdown", self.seen.append, "during"
        )
        self.reactor.fireSystemEvent("shutdown")
        self.assertEqual(self.seen, [])
        done.callback(None)
        self.assertEqual(self.seen, ["during"])

    def test_failing_trigger(self) -> None:
        """A trigger that fails is logged and stops no other."""
        self.reactor.addSystemEventTrigger("before", "shutdown", lambda: 1 / 0)
        self.reactor.addSystemEventTrigger("before", "shutdown", self.seen.append, "x")
        self.reactor.fireSystemEvent("shutdown")
        self.assertEqual(self.seen, ["x"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
