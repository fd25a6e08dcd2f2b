"""Tests of the rings of entries that are due together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import tests.profiles  # noqa: F401
from mycorrizal.mycel.store.expiry import (
    COARSE_LEAD_S,
    COARSE_S,
    FINE_S,
    LOOK_AHEAD_S,
    DueRings,
)
from mycorrizal.mycel.store.lru import INF, Entry


def entry(deadline: float) -> Entry:
    """An entry on no ring."""
    return Entry(b"value", deadline, None, None, b"key", 0, 1, b"o" * 16)


def deadlines(due: list[Entry]) -> list[float]:
    """When they were due."""
    return [one.deadline for one in due]


class DueRingsTests(SynchronousTestCase):
    """Entries are found when their time has come, and only then."""

    def setUp(self) -> None:
        self.rings = DueRings()

    def file(self, deadline: float, now: float = 0.0) -> Entry:
        """File an entry."""
        filed = entry(deadline)
        self.rings.file(filed, now)
        return filed

    def test_nothing(self) -> None:
        """Without entries nothing is due, ever."""
        self.assertEqual(self.rings.take_due(1e9, 10), ([], 0))
        self.assertEqual(self.rings.next_due_s(), INF)

    def test_due_when_its_second_is_over(self) -> None:
        """An entry is freed within a second of its deadline."""
        self.file(5.0)
        self.file(5.9)
        self.assertEqual(self.rings.next_due_s(), 6.0)
        self.assertEqual(self.rings.take_due(5.99, 10), ([], 0))
        due, looked_at = self.rings.take_due(6.0, 10)
        self.assertEqual(deadlines(due), [5.0, 5.9])
        self.assertEqual(looked_at, 2)
        self.assertEqual(self.rings.next_due_s(), INF)

    def test_limit(self) -> None:
        """A sweep looks at no more than it may, and goes on where it was."""
        for deadline in (1.0, 1.5, 2.0, 3.0):
            self.file(deadline)
        due, looked_at = self.rings.take_due(100.0, 3)
        self.assertEqual((deadlines(due), looked_at), ([1.0, 1.5, 2.0], 3))
        self.assertLessEqual(self.rings.next_due_s(), 100.0)
        due, looked_at = self.rings.take_due(100.0, 3)
        self.assertEqual((deadlines(due), looked_at), ([3.0], 1))

    def test_taken_out(self) -> None:
        """An entry that goes before its time leaves nothing behind."""
        entries = [self.file(5.0) for _ in range(3)]
        for one in entries[::-1]:
            self.rings.take_out(one)
            self.assertIsNone(one.earlier)
            self.assertIsNone(one.later)
        self.assertEqual(self.rings.next_due_s(), INF)
        self.rings.take_out(entries[0])

    def test_overdue(self) -> None:
        """An entry that is late already goes with the next sweep."""
        self.file(10.0, now=10.0)
        self.rings.take_due(20.0, 10)
        self.file(30.0, now=20.0)
        self.file(2.0, now=20.5)
        self.assertEqual(self.rings.next_due_s(), 21.0)
        self.assertEqual(deadlines(self.rings.take_due(21.0, 10)[0]), [2.0])

    def test_put_off(self) -> None:
        """An entry whose deadline was put off is looked at and kept."""
        self.file(5.0).deadline = 6.5
        self.assertEqual(self.rings.take_due(6.0, 10), ([], 1))
        self.assertEqual(self.rings.next_due_s(), 7.0)
        self.assertEqual(deadlines(self.rings.take_due(7.0, 10)[0]), [6.5])

    def test_brought_forward(self) -> None:
        """An entry with a new, earlier deadline is due at that."""
        one = self.file(50.0)
        self.rings.bring_forward(one, 5.0, 0.0)
        self.assertEqual(self.rings.next_due_s(), 6.0)
        self.assertEqual(self.rings.take_due(6.0, 10), ([one], 1))
        self.assertEqual(self.rings.take_due(60.0, 10), ([], 0))

    def test_put_off_for_ever(self) -> None:
        """An entry that no longer expires is looked at once more."""
        self.file(5.0).deadline = INF
        self.assertEqual(self.rings.take_due(6.0, 10), ([], 1))
        self.assertEqual(self.rings.next_due_s(), INF)

    def test_far(self) -> None:
        """At the limit a deadline shares a ring with others, below it not."""
        self.file(FINE_S - 1.0)
        self.rings.take_due(FINE_S - 1.0, 10)
        self.assertEqual(self.rings.next_due_s(), FINE_S)
        self.rings = DueRings()
        self.file(float(FINE_S))
        coarse = FINE_S // COARSE_S * COARSE_S - COARSE_LEAD_S
        self.assertEqual(self.rings.take_due(coarse, 10), ([], 0))
        self.assertEqual(self.rings.next_due_s(), coarse + 1)
        self.assertEqual(self.rings.take_due(coarse + 1, 10), ([], 1))
        self.assertEqual(self.rings.take_due(FINE_S, 10), ([], 0))
        self.assertEqual(deadlines(self.rings.take_due(FINE_S + 1, 10)[0]), [FINE_S])

    def test_next_due_looks_ahead(self) -> None:
        """The next sweep is at the entry's time, or at the end of a look ahead."""
        self.file(LOOK_AHEAD_S - 1.0)
        self.assertEqual(self.rings.next_due_s(), LOOK_AHEAD_S)
        self.rings = DueRings()
        self.file(LOOK_AHEAD_S + 1.0)
        self.assertEqual(self.rings.next_due_s(), LOOK_AHEAD_S)
        self.rings.take_due(LOOK_AHEAD_S, 10)
        self.assertEqual(self.rings.next_due_s(), LOOK_AHEAD_S + 2.0)

    def test_after_a_long_sleep(self) -> None:
        """A machine that slept for a year finds what is due at once."""
        for deadline in (5.0, 90_000.0, 1e9):
            self.file(deadline)
        year_s = 3.2e7
        found: list[Entry] = []
        while True:
            due, looked_at = self.rings.take_due(year_s, 1)
            found += due
            if not looked_at:
                break
        self.assertEqual(deadlines(found), [5.0, 90_000.0])
        self.assertLess(self.rings.next_due_s(), INF)

    def test_idle_for_long(self) -> None:
        """An empty wheel does not lag behind the clock."""
        self.file(5.0, now=1e6)
        self.assertEqual(self.rings.next_due_s(), 1e6 + 1)

    @given(
        st.lists(
            st.tuples(st.floats(0, 20_000), st.floats(0, 5_000), st.booleans()),
            max_size=30,
        ),
        st.integers(1, 5),
    )
    def test_none_late_none_early(
        self, steps: list[tuple[float, float, bool]], limit: int
    ) -> None:
        """Whoever sweeps when told to finds each within a second of its time."""
        rings = DueRings()
        now = 0.0
        waiting: list[Entry] = []
        for ttl_s, wait_s, taken_out in steps:
            filed = entry(now + ttl_s)
            rings.file(filed, now)
            if taken_out:
                rings.take_out(filed)
            else:
                waiting.append(filed)
            until = now + wait_s
            while (now := min(until, max(now, rings.next_due_s()))) < until:
                looked_at = limit
                while looked_at == limit:
                    due, looked_at = rings.take_due(now, limit)
                    for one in due:
                        self.assertLessEqual(one.deadline, now)
                        waiting = [other for other in waiting if other is not one]
                for one in waiting:
                    self.assertGreater(one.deadline + 1.0, now)
        self.assertEqual(rings.next_due_s() == INF, not waiting)
