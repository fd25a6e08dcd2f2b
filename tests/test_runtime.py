"""Tests for `mycorrizal.runtime`."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mycorrizal.runtime import (
    CANCELLED_TIMERS_MAX,
    CLOCK_STEP_S,
    Entropy,
    Runtime,
    follow_monotonic_time,
    monotonic_s,
)
from mycorrizal.testing import World


class TimerTests(SynchronousTestCase):
    """Timers run on monotonic time, all on one call of the reactor."""

    def setUp(self) -> None:
        self.world = World(1)
        self.host = self.world.host("a")
        self.runtime = self.host.runtime
        self.seen: list[Any] = []

    def note(self, what: object = "x") -> None:
        """Remember what was called, and when."""
        self.seen.append((what, self.world.now_s))

    def alarms(self) -> int:
        """How many calls the reactor has to make."""
        return len(self.host.reactor.getDelayedCalls())

    def test_in_time(self) -> None:
        """Calls are made when they are due, with their arguments, in order."""
        for delay_s in (3, 1, 2):
            self.runtime.call_later(delay_s, self.note, delay_s)
        self.world.advance(10)
        self.assertEqual(self.seen, [(1, 1.0), (2, 2.0), (3, 3.0)])

    def test_exactly(self) -> None:
        """A call of 0.1 s is made within 0.1 s, and not before its deadline."""
        for _ in range(50):
            due_s = self.runtime.now() + 0.1
            timer = self.runtime.call_later(
                0.1, lambda: self.seen.append(self.runtime.now())
            )
            self.assertEqual(timer.due_s, due_s)
            self.world.advance(0.1)
            self.assertGreaterEqual(self.seen.pop(), due_s)

    def test_one_alarm(self) -> None:
        """However many timers there are, the reactor has one call."""
        for delay_s in range(1, 100):
            self.runtime.call_later(delay_s, self.note)
        self.assertEqual(self.alarms(), 1)
        self.assertEqual(self.runtime.pending_timers(), 99)
        self.world.advance(98)
        self.assertEqual(self.alarms(), 1)
        self.world.advance(1)
        self.assertEqual((self.alarms(), self.runtime.pending_timers()), (0, 0))

    def test_sooner(self) -> None:
        """A timer that is due before all others is made in time."""
        self.runtime.call_later(10, self.note, "late")
        self.runtime.call_later(1, self.note, "soon")
        self.world.advance(1)
        self.assertEqual(self.seen, [("soon", 1.0)])

    def test_same_time(self) -> None:
        """Timers of the same time are made in the order they were set."""
        for number in range(10):
            self.runtime.call_later(1, self.note, number)
        self.world.advance(1)
        self.assertEqual([number for number, _ in self.seen], list(range(10)))

    def test_cancel(self) -> None:
        """A cancelled timer is not made; to cancel it again is no mistake."""
        timer = self.runtime.call_later(1, self.note)
        self.assertTrue(timer.active())
        timer.cancel()
        timer.cancel()
        self.assertFalse(timer.active())
        self.assertEqual(self.runtime.pending_timers(), 0)
        self.world.advance(2)
        self.assertEqual(self.seen, [])

    def test_cancel_after_the_call(self) -> None:
        """To cancel what was made, or is being made, is no mistake."""
        timer = self.runtime.call_later(1, lambda: timer.cancel())
        self.world.advance(1)
        self.assertFalse(timer.active())
        timer.cancel()
        timer.fire()
        self.assertEqual(self.seen, [])

    def test_cancel_each_other(self) -> None:
        """A timer can cancel one that is due at the same time."""
        self.runtime.call_later(1, lambda: other.cancel())
        other = self.runtime.call_later(1, self.note)
        self.world.advance(2)
        self.assertEqual(self.seen, [])

    def test_no_past(self) -> None:
        """A negative delay is none; the call is not made at once."""
        self.runtime.call_later(-5, self.note)
        self.assertEqual(self.seen, [])
        self.world.advance(0)
        self.assertEqual(self.seen, [("x", 0.0)])

    def test_again_and_again(self) -> None:
        """A timer that sets itself again without delay lets the world go on."""

        def again() -> None:
            self.note()
            if len(self.seen) < 100:
                self.runtime.call_later(0, again)

        self.runtime.call_later(0, again)
        self.host.reactor.callFromThread(self.runtime.poke)
        self.world.step()
        self.world.step()
        self.assertLess(len(self.seen), 3)
        self.world.advance(0)
        self.assertEqual(len(self.seen), 100)

    def test_failing_timer(self) -> None:
        """An exception is logged, and hurts no other timer."""
        self.runtime.call_later(1, lambda: 1 / 0)
        self.runtime.call_later(1, self.note)
        self.world.advance(1)
        self.assertEqual(self.seen, [("x", 1.0)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_poke_from_a_timer(self) -> None:
        """A timer may work through bytes, which pokes the timers again."""

        def work() -> None:
            self.runtime.enter()
            self.note("work")
            self.runtime.leave()

        self.runtime.call_later(1, work)
        self.runtime.call_later(1, self.note, "other")
        self.world.advance(1)
        self.assertEqual(sorted(what for what, _ in self.seen), ["other", "work"])

    def test_cancelled_timers_are_few(self) -> None:
        """Cancelled timers are kept up to a limit, and then forgotten."""
        kept = [self.runtime.call_later(500 + n, self.note, n) for n in range(3)]
        for _ in range(CANCELLED_TIMERS_MAX):
            self.runtime.call_later(1000, self.note).cancel()
        self.assertEqual(len(self.runtime._timers), 3 + CANCELLED_TIMERS_MAX)
        self.runtime.call_later(1000, self.note).cancel()
        self.assertEqual(len(self.runtime._timers), 3)
        self.assertTrue(all(timer.active() for timer in kept))
        self.world.advance(1000)
        self.assertEqual([n for n, _ in self.seen], [0, 1, 2])

    def test_sweep_from_a_timer(self) -> None:
        """A timer may cancel very many others."""
        others = [self.runtime.call_later(1, self.note) for _ in range(1000)]
        last = self.runtime.call_later(1, self.note, "last")

        def cancel_them() -> None:
            for timer in others:
                timer.cancel()

        self.runtime.call_later(0.5, cancel_them)
        self.world.advance(1)
        self.assertEqual(self.seen, [("last", 1.0)])
        self.assertFalse(last.active())


class ClockStepTests(SynchronousTestCase):
    """The wall clock steps, and a node's timers do not care for long."""

    def setUp(self) -> None:
        self.world = World(1)
        self.host = self.world.host("a")
        self.runtime = self.host.runtime
        self.seen: list[float] = []
        self.runtime.call_later(5, self.note)
        self.runtime.call_later(6, self.note)

    def note(self) -> None:
        """Remember the time."""
        self.seen.append(self.world.now_s)

    def receive(self, every_s: float) -> None:
        """Let frames be received, as on every node that has peers."""

        def frame() -> None:
            self.runtime.enter()
            self.runtime.leave()
            self.world.later(every_s, frame)

        self.world.later(every_s, frame)

    def test_set_back(self) -> None:
        """A node that receives frames calls in time, unlike its reactor (F9)."""
        raw: list[float] = []
        self.host.reactor.callLater(5, lambda: raw.append(self.world.now_s))
        self.receive(every_s=0.25)
        self.host.jump_wall(-3600)
        self.world.advance(10)
        self.assertEqual(self.seen, [5.0, 6.0])
        self.assertEqual(raw, [])
        self.world.advance(3600)
        self.assertEqual(raw, [3605.0])

    def test_set_forward(self) -> None:
        """No timer is early when the clock is set forward."""
        self.receive(every_s=0.25)
        self.host.jump_wall(3600)
        self.world.advance(4.9)
        self.assertEqual(self.seen, [])
        self.world.advance(5)
        self.assertEqual(self.seen, [5.0, 6.0])

    def test_poked_once(self) -> None:
        """One poke after a step is enough: the alarm is set anew."""
        self.host.jump_wall(-3600)
        self.world.later(1, self.runtime.poke)
        self.world.advance(10)
        self.assertEqual(self.seen, [5.0, 6.0])

    def test_small_steps(self) -> None:
        """A step that does not matter does not set the alarm anew."""
        (alarm,) = self.host.reactor.getDelayedCalls()
        self.host.jump_wall(-CLOCK_STEP_S)
        self.runtime.poke()
        self.assertEqual(self.host.reactor.getDelayedCalls(), [alarm])
        self.host.jump_wall(-CLOCK_STEP_S / 16)
        self.runtime.poke()
        self.assertNotEqual(self.host.reactor.getDelayedCalls(), [alarm])

    def test_idle(self) -> None:
        """Only a node that hears nothing at all is late."""
        self.host.jump_wall(-3600)
        self.world.advance(3604)
        self.assertEqual(self.seen, [])
        self.world.advance(2)
        self.assertEqual(self.seen, [3605.0, 3605.0])


@attrs.define(eq=False)
class Link:
    """A link that counts how often it is flushed."""

    runtime: Runtime
    flushed: int = 0
    fails: bool = False
    also: Link | None = None

    def flush(self) -> None:
        """Count, and do what was asked for."""
        self.flushed += 1
        if self.also is not None:
            self.runtime.flush_later(self.also)
        if self.fails:
            raise ZeroDivisionError


class CorkTests(SynchronousTestCase):
    """What is sent in one stretch of work leaves together."""

    def setUp(self) -> None:
        self.world = World(1)
        self.runtime = self.world.host("a").runtime
        self.link = Link(self.runtime)

    def test_at_the_end_of_the_stretch(self) -> None:
        """A link that is corked while bytes are read is flushed after that."""
        self.runtime.enter()
        self.runtime.flush_later(self.link)
        self.assertEqual(self.link.flushed, 0)
        self.runtime.leave()
        self.assertEqual(self.link.flushed, 1)
        self.world.advance(1)
        self.assertEqual(self.link.flushed, 1)

    def test_outermost(self) -> None:
        """Stretches may be nested; the outermost one counts."""
        self.runtime.enter()
        self.runtime.enter()
        self.runtime.flush_later(self.link)
        self.runtime.leave()
        self.assertEqual(self.link.flushed, 0)
        self.runtime.leave()
        self.assertEqual(self.link.flushed, 1)

    def test_at_the_end_of_the_turn(self) -> None:
        """Outside of a stretch, a link is flushed when the turn is over."""
        self.runtime.flush_later(self.link)
        self.assertEqual(self.link.flushed, 0)
        self.world.advance(0)
        self.assertEqual(self.link.flushed, 1)

    def test_one_call_per_turn(self) -> None:
        """However many links are corked, the reactor is asked once."""
        links = [Link(self.runtime) for _ in range(10)]
        for link in links:
            self.runtime.flush_later(link)
        self.assertEqual(len(self.runtime.reactor.getDelayedCalls()), 1)
        self.world.advance(0)
        self.assertEqual([link.flushed for link in links], [1] * 10)

    def test_stretch_before_the_end_of_the_turn(self) -> None:
        """A stretch takes along what waited for the end of the turn."""
        self.runtime.flush_later(self.link)
        self.runtime.enter()
        self.runtime.leave()
        self.assertEqual(self.link.flushed, 1)
        self.world.advance(0)
        self.assertEqual(self.link.flushed, 1)

    def test_corked_while_flushing(self) -> None:
        """A link that is corked by the flush of another is not forgotten."""
        first = Link(self.runtime, also=self.link)
        self.runtime.enter()
        self.runtime.flush_later(first)
        self.runtime.leave()
        self.world.advance(0)
        self.assertEqual((first.flushed, self.link.flushed), (1, 1))

    def test_failing_link(self) -> None:
        """A link that cannot be flushed keeps no other from it."""
        self.runtime.enter()
        self.runtime.flush_later(Link(self.runtime, fails=True))
        self.runtime.flush_later(self.link)
        self.runtime.leave()
        self.assertEqual(self.link.flushed, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_due_timers_first(self) -> None:
        """Timers that are due are made as a stretch begins, and flushed with it."""
        self.runtime.call_later(0, self.runtime.flush_later, self.link)
        self.runtime.enter()
        self.assertEqual(self.link.flushed, 0)
        self.runtime.leave()
        self.assertEqual(self.link.flushed, 1)


@implementer(IReactorTime)
class PlainReactor(Clock):
    """A reactor whose class does not bring a clock of its own."""


class SeamTests(SynchronousTestCase):
    """Where a runtime comes from."""

    def test_simulated(self) -> None:
        """A simulated reactor brings its runtime with it."""
        host = World(1).host("a")
        self.assertIs(Runtime.of(host.reactor), host.runtime)
        self.assertIs(Runtime.of(host.runtime), host.runtime)

    def test_real(self) -> None:
        """Any other reactor gets one on the clocks of the system."""
        clock = Clock()
        runtime = Runtime.of(clock)
        self.assertIs(runtime.reactor, clock)
        self.assertIs(runtime.now, monotonic_s)
        self.assertGreater(runtime.wall(), 1.7e9)
        self.assertNotEqual(runtime.token_bytes(16), runtime.token_bytes(16))
        self.assertTrue(0 <= runtime.random() < 1)

    def test_entropy(self) -> None:
        """Randomness can be given."""
        entropy = Entropy(random=lambda: 0.5, token_bytes=bytes)
        runtime = Runtime(Clock(), entropy)
        self.assertEqual((runtime.random(), runtime.token_bytes(2)), (0.5, b"\0\0"))

    def test_monotonic(self) -> None:
        """The monotonic clock does not go back."""
        times = [monotonic_s() for _ in range(1000)]
        self.assertEqual(times, sorted(times))

    def test_follow_monotonic_time(self) -> None:
        """A reactor that has promised nothing yet can be made monotonic."""
        reactor: Any = PlainReactor()
        self.assertTrue(follow_monotonic_time(reactor))
        self.assertIs(reactor.seconds, monotonic_s)

    def test_keep_promises(self) -> None:
        """One that has calls to make keeps its clock; what is no reactor has none."""
        reactor = PlainReactor()
        reactor.callLater(1, print)
        self.assertFalse(follow_monotonic_time(reactor))
        self.assertFalse(follow_monotonic_time(object()))
