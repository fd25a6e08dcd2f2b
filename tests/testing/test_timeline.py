"""Tests for `mycorrizal.testing.timeline`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.testing import StepLimitExceeded
from mycorrizal.testing.timeline import (
    INSTANT_STEPS_MAX,
    TICK_S,
    TICKS_PER_S,
    Timeline,
    ticks_of,
)


class TicksTests(SynchronousTestCase):
    """Time is counted so that floats do not round."""

    def test_a_second(self) -> None:
        """A second is a whole number of ticks, and so is a half."""
        self.assertEqual(ticks_of(1.0), TICKS_PER_S)
        self.assertEqual(ticks_of(0.5), TICKS_PER_S // 2)

    def test_never_early(self) -> None:
        """A time between two ticks becomes the later one."""
        self.assertEqual(ticks_of(TICK_S / 2), 1)
        self.assertEqual(ticks_of(0.0), 0)

    @given(st.integers(0, 2**22 * TICKS_PER_S), st.floats(0, 1e6))
    def test_deadlines_have_passed_when_they_come(self, now: int, delay: float) -> None:
        """Who computes ``now + delay`` in floats is never called before it."""
        deadline_s = now * TICK_S + delay
        self.assertGreaterEqual((now + ticks_of(delay)) * TICK_S, deadline_s)


class EventTests(SynchronousTestCase):
    """Events run at their time, in an order that the seed decides."""

    def test_order_of_time(self) -> None:
        """Events run by time, not in the order in which they were scheduled."""
        line = Timeline(1)
        seen: list[object] = []
        for delay_s in (3, 1, 2):
            line.later(delay_s, seen.append, delay_s)
        line.advance(3)
        self.assertEqual(seen, [1, 2, 3])

    def test_each_event_sees_its_own_time(self) -> None:
        """While an event runs, the present is its time."""
        line = Timeline(1)
        seen: list[object] = []
        for delay_s in (0.1, 0.25, 0.7):
            line.later(delay_s, lambda: seen.append(line.now_ticks))
        line.advance(1)
        self.assertEqual(seen, [ticks_of(0.1), ticks_of(0.25), ticks_of(0.7)])
        self.assertEqual(line.now_s, 1.0)

    def test_advance_includes_its_end(self) -> None:
        """What is due exactly at the end of the stretch has happened."""
        line = Timeline(1)
        seen: list[object] = []
        line.later(0.1, seen.append, "now")
        line.later(0.1 + TICK_S, seen.append, "later")
        line.advance(0.1)
        self.assertEqual(seen, ["now"])

    def test_nothing_happens_in_the_past(self) -> None:
        """An event that is scheduled for the past runs now."""
        line = Timeline(1)
        seen: list[object] = []
        line.advance(5)
        line.schedule(0, lambda _: seen.append(line.now_s))
        line.advance(0)
        self.assertEqual(seen, [5.0])

    def test_the_same_instant_is_explored(self) -> None:
        """Different seeds try different orders, and one always the same."""
        orders = [self._order(seed) for seed in range(20)]
        self.assertEqual(orders, [self._order(seed) for seed in range(20)])
        self.assertGreater(len(set(orders)), 4)

    def _order(self, seed: int) -> tuple[int, ...]:
        line = Timeline(seed)
        seen: list[int] = []
        for number in range(4):
            line.later(1, seen.append, number)
        line.advance(1)
        return tuple(seen)

    def test_step(self) -> None:
        """A step is one event, and says whether there was one."""
        line = Timeline(1)
        seen: list[object] = []
        line.later(7, seen.append, "x")
        self.assertTrue(line.step())
        self.assertEqual((seen, line.now_s, line.steps), (["x"], 7.0, 1))
        self.assertFalse(line.step())

    def test_until(self) -> None:
        """Time stops as soon as the condition is true."""
        line = Timeline(1)
        seen: list[object] = []
        for delay_s in range(10):
            line.later(delay_s, seen.append, delay_s)
        self.assertTrue(line.until(lambda: len(seen) == 4))
        self.assertEqual(line.now_s, 3.0)

    def test_until_tells_what_to_do(self) -> None:
        """A condition that never comes true is told with seed and trace."""
        line = Timeline("my seed")
        line.record("a", "something", 12)

        def pigs_fly() -> bool:
            return False

        error = self.assertRaises(AssertionError, line.until, pigs_fly, 30)
        for part in ("pigs_fly", "30 s", "'my seed'", "something", line.digest()):
            self.assertIn(part, str(error))
        self.assertEqual(line.now_s, 30.0)

    def test_errors_come_out(self) -> None:
        """An exception in a test's own event reaches the test."""
        line = Timeline(1)
        line.later(1, lambda: 1 / 0)
        self.assertRaises(ZeroDivisionError, line.advance, 2)
        line.advance(1)

    def test_events_cannot_run_events(self) -> None:
        """An event that lets time pass is refused, instead of a riddle."""
        line = Timeline(1)
        line.later(1, line.advance, 1)
        self.assertRaises(RuntimeError, line.advance, 2)

    def test_step_limit(self) -> None:
        """As many steps as the world allows are made, and not one more."""
        line = Timeline(1, steps_max=10)
        for _ in range(10):
            line.later(0, lambda: None)
        line.advance(1)
        for _ in range(11):
            line.later(0, lambda: None)
        error = self.assertRaises(StepLimitExceeded, line.advance, 1)
        self.assertIn("more than 10 steps", str(error))

    def test_time_stands_still(self) -> None:
        """What calls itself for ever without a delay is found."""
        line = Timeline(1)

        def again(_: object) -> None:
            line.schedule(line.now_ticks, again)

        line.later(3, again, None)
        error = self.assertRaises(StepLimitExceeded, line.advance, 5)
        self.assertIn("no time has passed", str(error))
        self.assertEqual(line.steps, INSTANT_STEPS_MAX)

    def test_much_in_one_instant(self) -> None:
        """Much may happen in one instant, again and again."""
        line = Timeline(1)
        for delay_s in (1, 2):
            for _ in range(INSTANT_STEPS_MAX):
                line.schedule(ticks_of(delay_s), lambda _: None)
        line.advance(5)
        self.assertEqual(line.steps, 2 * INSTANT_STEPS_MAX)


class StreamTests(SynchronousTestCase):
    """Randomness comes in independent streams, all from one seed."""

    def test_same_stream(self) -> None:
        """A name is a stream, and it goes on where it was."""
        line = Timeline(1)
        self.assertIs(line.stream("work"), line.stream("work"))

    def test_independent(self) -> None:
        """What is drawn from one stream changes no other."""
        one, other = Timeline(1), Timeline(1)
        one.stream("nemesis").random()
        draws = [line.stream("work").random() for line in (one, other)]
        self.assertEqual(draws[0], draws[1])

    def test_seeds_differ(self) -> None:
        """Another seed is another stream."""
        draws = {Timeline(seed).stream("work").random() for seed in (1, 2, "1x")}
        self.assertEqual(len(draws), 3)


class TraceTests(SynchronousTestCase):
    """A run leaves a trace."""

    def test_only_the_last(self) -> None:
        """The trace is as long as asked for, and keeps the end."""
        line = Timeline(1, trace_length=3)
        for number in range(1000):
            line.record("a", f"event{number}", number)
        lines = line.trace()
        self.assertEqual(len(lines), 3)
        self.assertIn("event997", lines[0])
        self.assertIn("event999", lines[2])

    def test_digest_of_all(self) -> None:
        """The digest covers also what the trace has forgotten."""
        digests = set()
        for first in ("x", "y"):
            line = Timeline(1, trace_length=3)
            line.record("a", first)
            for _ in range(1000):
                line.record("a", "z")
            digests.add(line.digest())
        self.assertEqual(len(digests), 2)

    def test_digest_can_be_asked_at_any_time(self) -> None:
        """To ask for the digest does not change what comes later."""
        curious, patient = Timeline(1), Timeline(1)
        for number in range(700):
            curious.record("a", "x", number)
            patient.record("a", "x", number)
            curious.digest()
        self.assertEqual(curious.digest(), patient.digest())
