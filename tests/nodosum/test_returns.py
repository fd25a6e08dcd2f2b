"""
Nodes that come again and again: who has to wait, and for how long.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.returns import PLACES_MAX, Mark, Returns
from mycorrizal.restarts import SHORT_LIFE_S, STARTS_MAX

PLACE = ("10.0.0.5", 6969)


def marks(number: int) -> list[Mark]:
    """Of a node that has another id each time, and listens at one place."""
    return [b"%016d" % number, PLACE]


class ReturnsTests(SynchronousTestCase):
    """One node's memory of who came, from where and when."""

    def setUp(self) -> None:
        self.returns = Returns()
        self.number = 0

    def come(self, now: float, *, welcome: bool = False) -> float:
        """A node with a new id comes from the place; how long it has to wait."""
        self.number += 1
        return self.returns.arrived(marks(self.number), now, welcome=welcome)

    def test_pauses(self) -> None:
        """Three returns are free; then the wait doubles, up to a minute (F56)."""
        now, waits = 0.0, list[float]()
        for _ in range(STARTS_MAX + 8):
            wait_s = self.come(now)
            waits.append(wait_s)
            if wait_s:
                self.assertEqual(self.come(now + wait_s), 0)
            now += wait_s + 2
        self.assertEqual(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60])
        self.assertEqual(self.returns.lives([PLACE]), STARTS_MAX + 8)

    def test_dies_while_it_waits(self) -> None:
        """A life that was not let in is none, and the next one waits the rest."""
        for now in range(STARTS_MAX + 2):
            self.come(now, welcome=True)
        self.assertEqual(self.come(6), 4)
        self.assertEqual(self.come(7.5), 2.5)
        self.assertEqual(self.come(9.75), 0.25)
        self.assertEqual(self.come(10), 0)
        self.assertEqual(self.returns.lives([PLACE]), STARTS_MAX + 3)

    def test_long_lives(self) -> None:
        """Who comes back 10 s after it was let in is as one who never came (F56)."""
        for now in range(STARTS_MAX):
            self.come(now)
        last = STARTS_MAX - 1
        just = Returns()
        just._places = self.returns._places.copy()
        self.assertEqual(self.come(last + SHORT_LIFE_S), 0)
        self.assertEqual(self.returns.lives([PLACE]), 1)
        self.returns = just
        self.assertEqual(self.come(last + SHORT_LIFE_S - 0.1), 1)

    def test_one_that_was_told_to_wait_stays_away(self) -> None:
        """It is forgotten 10 s after it could have come."""
        for now in range(STARTS_MAX + 2):
            self.come(now, welcome=True)
        self.assertEqual(self.come(6), 4)
        self.assertEqual(self.come(10 + SHORT_LIFE_S), 0)
        self.assertEqual(self.returns.lives([PLACE]), 1)

    def test_by_id(self) -> None:
        """One with an id of its own is known by that, wherever it listens."""
        key, places = bytes(16), [("10.0.0.5", port) for port in range(STARTS_MAX + 1)]
        waits = [self.returns.arrived([key, it], 0, welcome=False) for it in places]
        self.assertEqual(waits, [0, 0, 0, 0, 1])

    def test_others(self) -> None:
        """Nobody else has to wait, on the same machine or elsewhere."""
        for now in range(STARTS_MAX + 5):
            self.come(now)
        for other in (("10.0.0.5", 6970), ("10.0.0.6", 6969)):
            self.assertEqual(self.returns.arrived([other], 9, welcome=False), 0)

    def test_welcome(self) -> None:
        """Whom another member has let in is let in, and counted."""
        for _ in range(STARTS_MAX + 2):
            self.assertEqual(self.come(0, welcome=True), 0)
        self.assertEqual(self.come(1), 4)

    def test_nothing_is_left(self) -> None:
        """What was long ago is not kept."""
        for now in range(100):
            self.come(now * SHORT_LIFE_S)
        self.assertEqual(len(self.returns), 2)

    def test_bound(self) -> None:
        """The table has a bound; the oldest place makes room."""
        for number in range(PLACES_MAX + 1):
            self.assertEqual(len(self.returns), number)
            self.returns.arrived([(f"h{number}", 1)], 0, welcome=False)
        self.assertEqual(len(self.returns), PLACES_MAX)
        self.assertEqual(self.returns.lives([("h0", 1)]), 0)
        self.assertEqual(self.returns.lives([("h1", 1)]), 1)
