"""
Requests that wait for an answer, and one timer for them all.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.calls import (
    ANSWERED,
    CALLS_MAX,
    LINK_LOST,
    TIMED_OUT,
    Calls,
    OnReply,
)
from mycorrizal.runtime import Runtime


class CallsTests(SynchronousTestCase):
    """One link's table, and a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.runtime = Runtime(
            self.clock, monotonic=self.clock.seconds, wall=self.clock.seconds
        )
        self.cancelled: list[int] = []
        self.calls = Calls(self.runtime)
        self.ends: list[tuple[str, int, bytes]] = []

    def begin(self, on_reply: OnReply, deadline: float) -> int:
        """A call begins."""
        return self.calls.begin(on_reply, deadline, self, 10)

    def cancel(self, call_id: int, at: int) -> None:
        """The other side is told that nobody waits."""
        self.assertEqual(at, 10)
        self.cancelled.append(call_id)

    def wait(self, name: str) -> Callable[[int, bytes], None]:
        """Whoever waits for a call of that name."""
        return lambda how, payload: self.ends.append((name, how, payload))

    def test_answer(self) -> None:
        """Each caller gets its own answer, and only one."""
        first = self.begin(self.wait("first"), 5.0)
        second = self.begin(self.wait("second"), 5.0)
        self.assertNotEqual(first, second)
        self.calls.end(second, ANSWERED, b"2")
        self.calls.end(second, ANSWERED, b"again")
        self.calls.end(first, 3, b"error")
        self.calls.end(99, ANSWERED, b"nobody asked")
        self.assertEqual(
            self.ends, [("second", ANSWERED, b"2"), ("first", 3, b"error")]
        )
        self.assertEqual(len(self.calls), 0)

    def test_timeout_and_late_answer(self) -> None:
        """A call ends when its time is up; what comes later is ignored."""
        call_id = self.begin(self.wait("a"), 5.0)
        self.clock.advance(4.99)
        self.assertEqual(self.ends, [])
        self.clock.advance(0.01)
        self.assertEqual(self.ends, [("a", TIMED_OUT, b"")])
        self.assertEqual(self.cancelled, [call_id])
        self.calls.end(call_id, ANSWERED, b"late")
        self.assertEqual(len(self.ends), 1)

    def test_one_timer(self) -> None:
        """A thousand calls with all sorts of deadlines have one timer."""
        for at in range(1000):
            deadline = 1.0 + (at * 7919) % 1000 / 100
            self.begin(self.wait(f"{deadline}"), deadline)
            self.assertEqual(self.runtime.pending_timers(), 1)
        for _ in range(1100):
            self.clock.advance(0.01)
            late = [
                name for name, *_ in self.ends if float(name) > self.clock.seconds()
            ]
            self.assertEqual(late, [])
        self.assertEqual(len(self.ends), 1000)
        order = [float(name) for name, *_ in self.ends]
        self.assertEqual(order, sorted(order))
        self.assertEqual(self.runtime.pending_timers(), 0)

    def test_answered_calls_leave_no_timer(self) -> None:
        """When all are answered the timer fires once more at most."""
        for _ in range(10):
            call_id = self.begin(self.wait("a"), self.clock.seconds() + 5.0)
            self.calls.end(call_id, ANSWERED, b"")
            self.clock.advance(1.0)
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.runtime.pending_timers(), 0)

    def test_forgotten(self) -> None:
        """A call that was not made after all ends in silence."""
        call_id = self.begin(self.wait("a"), 5.0)
        self.calls.forget(call_id)
        self.calls.cancel(call_id)
        self.calls.end(call_id, ANSWERED, b"")
        self.clock.advance(10)
        self.assertEqual((self.ends, self.cancelled), ([], []))

    def test_cancelled(self) -> None:
        """So does one that is cancelled, and the other side is told, once."""
        call_id = self.begin(self.wait("a"), 5.0)
        self.calls.cancel(call_id)
        self.calls.cancel(call_id)
        self.clock.advance(10)
        self.assertEqual((self.ends, self.cancelled), ([], [call_id]))

    def test_link_lost(self) -> None:
        """When the link is gone each call ends with that, and no timer is left."""
        self.begin(self.wait("a"), 5.0)
        self.begin(self.wait("b"), 9.0)
        self.calls.link_lost()
        self.assertEqual(self.ends, [("a", LINK_LOST, b""), ("b", LINK_LOST, b"")])
        self.assertEqual(self.runtime.pending_timers(), 0)

    def test_calling_again_when_told(self) -> None:
        """Who is told of a timeout may call again at once."""

        def again(how: int, payload: bytes) -> None:
            self.begin(self.wait("again"), self.clock.seconds() + 1.0)

        self.begin(again, 1.0)
        self.begin(self.wait("other"), 5.0)
        self.clock.advance(1.0)
        self.assertEqual(self.runtime.pending_timers(), 1)
        self.clock.advance(1.0)
        self.assertEqual(self.ends, [("again", TIMED_OUT, b"")])
        self.clock.advance(3.0)
        self.assertEqual(self.ends[1:], [("other", TIMED_OUT, b"")])

    def test_calls_at_the_bound(self) -> None:
        """65,536 calls may wait, one more is refused until one has ended."""
        for _ in range(CALLS_MAX):
            last = self.begin(self.wait("a"), 5.0)
        self.assertEqual(self.begin(self.wait("b"), 5.0), 0)
        self.calls.end(last, ANSWERED, b"")
        self.assertGreater(self.begin(self.wait("b"), 5.0), last)
