"""Tests of the hybrid logical clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.clock import COUNTER_BITS, STAMP_LIMIT, HybridClock
from mycorrizal.errors import LocalProtocolError, RemoteProtocolError


class Wall:
    """A wall clock that is set by hand."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class HybridClockTests(SynchronousTestCase):
    """Stamps order what happened after hearing of one another."""

    def setUp(self) -> None:
        self.wall = Wall(1_700_000_000.5)
        self.clock = HybridClock(self.wall)

    def test_layout(self) -> None:
        """A stamp is milliseconds in the upper 48 bits, a counter below."""
        self.assertEqual(self.clock.tick(), 1_700_000_000_500 << 16)
        self.assertEqual(COUNTER_BITS, 16)

    def test_same_millisecond(self) -> None:
        """Stamps of one millisecond count up."""
        first = self.clock.tick()
        self.assertEqual(self.clock.tick(), first + 1)
        self.assertEqual(self.clock.last, first + 1)

    def test_wall_moves_on(self) -> None:
        """When the wall clock is ahead, stamps follow it."""
        self.clock.tick()
        self.wall.now_s += 1
        self.assertEqual(self.clock.tick(), 1_700_000_001_500 << 16)

    def test_wall_steps_back(self) -> None:
        """A wall clock that steps back does not take stamps with it."""
        first = self.clock.tick()
        self.wall.now_s = -5.0
        self.assertEqual(self.clock.tick(), first + 1)

    def test_counter_carries(self) -> None:
        """The 65,537th stamp of a millisecond is in the next one."""
        first = self.clock.tick()
        self.clock.observe(first + 0xFFFF)
        self.assertEqual(self.clock.tick(), first + (1 << 16))

    def test_observe_moves_up(self) -> None:
        """The next stamp is above one that another node sent."""
        ahead = 1_800_000_000_000 << 16
        self.clock.observe(ahead)
        self.assertEqual(self.clock.last, ahead)
        self.assertEqual(self.clock.tick(), ahead + 1)

    def test_observe_never_moves_down(self) -> None:
        """A stamp from the past changes nothing."""
        first = self.clock.tick()
        self.clock.observe(0)
        self.assertEqual(self.clock.last, first)

    def test_observe_at_the_limit(self) -> None:
        """The highest stamp is taken; one more drops the link it came on."""
        self.assertRaises(RemoteProtocolError, self.clock.observe, STAMP_LIMIT)
        self.assertEqual(self.clock.last, 0)
        self.clock.observe(STAMP_LIMIT - 1)
        self.assertEqual(self.clock.last, STAMP_LIMIT - 1)

    def test_observe_negative(self) -> None:
        """A negative number is not a stamp."""
        self.assertRaises(RemoteProtocolError, self.clock.observe, -1)

    def test_tick_at_the_limit(self) -> None:
        """The highest stamp is issued; after it there is none."""
        self.clock.observe(STAMP_LIMIT - 2)
        self.assertEqual(self.clock.tick(), STAMP_LIMIT - 1)
        self.assertRaises(LocalProtocolError, self.clock.tick)
        self.assertEqual(self.clock.last, STAMP_LIMIT - 1)

    @given(
        st.lists(
            st.one_of(
                st.floats(-1e6, 1e11).map(lambda s: ("wall", s)),
                st.integers(0, 1 << 57).map(lambda s: ("observe", s)),
                st.just(("tick", 0)),
            )
        )
    )
    def test_always_above(self, steps: list[tuple[str, float]]) -> None:
        """Whatever happens, a stamp is above all before it and the wall."""
        wall = Wall(0.0)
        clock = HybridClock(wall)
        highest = -1
        for verb, number in steps:
            if verb == "wall":
                wall.now_s = number
            elif verb == "observe":
                clock.observe(int(number))
                highest = max(highest, int(number))
            else:
                stamp = clock.tick()
                self.assertGreater(stamp, highest)
                self.assertGreaterEqual(stamp, int(wall.now_s * 1000) << 16)
                highest = stamp
