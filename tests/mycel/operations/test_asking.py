"""
Errands: what a node does with others step by step, each ended where it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.messages import Answer, Done, Fetch, Found
from mycorrizal.mycel.operations.asking import Errands, Waiter
from tests.mycel.parts import A, B, Parts

FETCH = Fetch("b", b"k")


class ErrandsTests(SynchronousTestCase):
    """Errands of one node, which asks A and B."""

    def setUp(self) -> None:
        self.parts = Parts(A, B)
        self.errands = Errands(self.parts.runtime, self.parts.ask)
        self.steps: list[object] = []

    def begin(self, name: str, *awaited: Callable[[], Awaitable[object]]) -> None:
        """Begin an errand that notes each step, and how it ended."""

        async def errand() -> None:
            try:
                for number, each in enumerate(awaited):
                    self.steps.append((name, number, await each()))
                self.steps.append((name, "over"))
            except CancelledError:
                self.steps.append((name, "stopped"))
                raise

        self.errands.begin(name, errand())

    def ask(self, node_key: bytes = A) -> Callable[[], Awaitable[Answer | None]]:
        """A step that asks a node."""
        return lambda: self.errands.ask(node_key, FETCH, 5.0)

    def pause(self, delay_s: float) -> Callable[[], Awaitable[None]]:
        """A step that waits."""
        return lambda: self.errands.pause(delay_s)

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass."""
        self.parts.clock.advance(seconds)

    def nothing_is_left(self) -> None:
        """No errand, and no timer of one."""
        self.assertEqual(self.parts.runtime.pending_timers(), 0)
        for name in ("one", "two"):
            self.assertNotIn(name, self.errands)

    def test_step_by_step(self) -> None:
        """It asks, waits, asks on, and is over."""
        self.begin("one", self.ask(A), self.pause(0.5), self.ask(B))
        self.turn()
        self.assertEqual(self.parts.ask.answer(Found(None), A), FETCH)
        self.assertEqual(self.steps, [("one", 0, Found(None))])
        self.turn(0.499)
        self.assertEqual(self.parts.ask.asked, [])
        self.turn(0.001)
        self.parts.ask.answer(None, B)
        self.assertEqual(
            self.steps[1:], [("one", 1, None), ("one", 2, None), ("one", "over")]
        )
        self.nothing_is_left()

    def test_turn_of_its_own(self) -> None:
        """Nothing is done while whoever begins it is in the middle of something."""
        self.begin("one")
        self.assertEqual(self.steps, [])
        self.turn()
        self.assertEqual(self.steps, [("one", "over")])

    def test_one_for_each_name(self) -> None:
        """Its name is taken from the moment it was begun until it is over."""
        self.assertNotIn("one", self.errands)
        self.begin("one", self.ask())
        self.assertIn("one", self.errands)
        self.assertNotIn("two", self.errands)
        self.turn()
        self.assertIn("one", self.errands)
        self.parts.ask.answer(Done())
        self.assertNotIn("one", self.errands)
        self.begin("one")
        self.assertIn("one", self.errands)
        self.turn()
        self.nothing_is_left()

    def test_side_by_side(self) -> None:
        """Errands of other names do not wait for it."""
        self.begin("one", self.ask(A))
        self.begin("two", self.ask(B))
        self.turn()
        self.parts.ask.answer(Done(), B)
        self.assertEqual(self.steps[-1], ("two", "over"))
        self.assertIn("one", self.errands)
        self.parts.ask.answer(Done(), A)
        self.nothing_is_left()

    def test_stop_before_its_turn(self) -> None:
        """One that has not begun does nothing."""
        self.begin("one", self.ask())
        self.errands.stop()
        self.turn(10)
        self.assertEqual((self.steps, self.parts.ask.asked), ([], []))
        self.nothing_is_left()

    def test_stop_while_it_asks(self) -> None:
        """One that waits for an answer ends, and a late answer is nobody's."""
        self.begin("one", self.ask(), self.ask())
        self.turn()
        self.errands.stop()
        self.assertEqual(self.steps, [("one", "stopped")])
        self.parts.ask.answer(Done())
        self.assertEqual(self.parts.ask.asked, [])
        self.nothing_is_left()

    def test_stop_while_it_pauses(self) -> None:
        """One that pauses ends, and leaves no timer."""
        self.begin("one", self.pause(10))
        self.begin("two", self.ask())
        self.turn()
        self.errands.stop()
        self.assertEqual(self.steps, [("one", "stopped"), ("two", "stopped")])
        self.nothing_is_left()

    def test_begun_after_the_stop(self) -> None:
        """Afterwards none is begun."""
        self.errands.stop()
        self.begin("one", self.ask())
        self.turn(10)
        self.assertEqual(self.steps, [])
        self.nothing_is_left()

    def test_stops_all_itself(self) -> None:
        """An errand that stops them all ends at its next pause, the others at once."""

        async def stop() -> None:
            self.errands.stop()

        self.begin("two", self.ask())
        self.begin("one", stop, self.pause(1), self.ask())
        self.turn()
        self.assertEqual(
            self.steps, [("two", "stopped"), ("one", 0, None), ("one", "stopped")]
        )
        self.assertEqual(len(self.parts.ask.asked), 1)
        self.nothing_is_left()

    def test_stopped_by_an_answer(self) -> None:
        """So does one whose last step stops them all: there is nothing left of it."""

        async def stop() -> None:
            self.errands.stop()

        self.begin("one", self.ask(), stop)
        self.turn()
        self.parts.ask.answer(Done())
        self.assertEqual(self.steps[-1], ("one", "over"))
        self.nothing_is_left()

    def test_failure(self) -> None:
        """A failure is told in the log, and holds up nothing else."""

        async def fail() -> None:
            raise ValueError("wrong")

        self.begin("one", fail)
        self.begin("two", self.ask())
        self.turn()
        (failure,) = self.flushLoggedErrors(ValueError)
        self.assertEqual(failure.getErrorMessage(), "wrong")
        self.assertNotIn("one", self.errands)
        self.parts.ask.answer(Done())
        self.assertEqual(self.steps[-1], ("two", "over"))
        self.nothing_is_left()

    def test_stop_is_no_failure(self) -> None:
        """To be stopped is nothing to be logged."""
        self.begin("one", self.ask())
        self.turn()
        self.errands.stop()
        self.assertEqual(self.flushLoggedErrors(), [])


class WaiterTests(SynchronousTestCase):
    """Who waits for an answer."""

    def test_wanted(self) -> None:
        """At first the answer is wanted; what takes it is up to each kind."""
        waiter = Waiter()
        self.assertTrue(waiter.wanted)
        self.assertRaises(NotImplementedError, waiter, Done())
