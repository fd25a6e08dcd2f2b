"""Tests for `mycorrizal.testing.conditions`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.conditions import Conditions, Spans


class SpansTests(SynchronousTestCase):
    """Stretches of time in which promises are narrower."""

    def test_touch(self) -> None:
        """An operation is touched if any of it falls into a stretch."""
        spans = Spans()
        spans.begin(2.0)
        spans.begin(2.5)
        spans.end(3.0)
        for begin, end, touched in (
            (0.0, 1.9, False),
            (0.0, 2.0, True),
            (2.2, 2.4, True),
            (3.0, 9.0, True),
            (3.1, 9.0, False),
        ):
            self.assertIs(spans.touch(begin, end), touched, (begin, end))

    def test_goes_on(self) -> None:
        """A stretch that has not ended touches all that comes."""
        spans = Spans()
        spans.end(1.0)
        self.assertFalse(spans.touch(0.0, 9.0))
        spans.begin(2.0)
        self.assertTrue(spans.touch(8.0, 9.0))


class ConditionsTests(SynchronousTestCase):
    """What may be lost, and when nodes may have written apart."""

    def setUp(self) -> None:
        self.conditions = Conditions(replicas=1)
        self.conditions.well(0.0, 3)

    def test_split_until_well(self) -> None:
        """A split lasts until all causes are over and the cluster converged."""
        conditions = self.conditions
        conditions.split("a", 1.0)
        conditions.split("b", 2.0)
        conditions.mended("a")
        conditions.well(3.0, 3)
        self.assertTrue(conditions.splits.touch(3.5, 3.5))
        conditions.mended("b")
        conditions.well(4.0, 3)
        self.assertFalse(conditions.splits.touch(4.5, 4.5))

    def test_suspicion(self) -> None:
        """Who takes a living node for dead may write apart from it."""
        self.conditions.suspect(1.0)
        self.assertTrue(self.conditions.splits.touch(1.0, 1.0))
        self.conditions.all_mended()
        self.conditions.well(2.0, 3)
        self.assertFalse(self.conditions.splits.touch(2.1, 3.0))

    def test_one_death(self) -> None:
        """With two copies, one death loses nothing; one copy may be lost."""
        self.conditions.died(2.0)
        self.assertFalse(self.conditions.may_be_lost(0.5, 1.0, 2))
        self.assertTrue(self.conditions.may_be_lost(0.5, 1.0, 1))

    def test_two_deaths(self) -> None:
        """Two deaths without time to copy between lose what had two copies."""
        self.conditions.died(2.0)
        self.conditions.died(2.1)
        self.assertTrue(self.conditions.may_be_lost(0.5, 1.0, 2))
        self.conditions.well(3.0, 3)
        self.assertFalse(self.conditions.may_be_lost(2.5, 2.6, 2))

    def test_two_deaths_with_time_between(self) -> None:
        """Two deaths lose nothing if all was copied between."""
        self.conditions.died(2.0)
        self.conditions.well(3.0, 2)
        self.conditions.died(4.0)
        self.assertFalse(self.conditions.may_be_lost(0.5, 1.0, 2))

    def test_the_last_one_dies(self) -> None:
        """Others have handed over and are gone: nobody holds a second copy."""
        conditions = Conditions(replicas=1)
        conditions.well(0.0, members=2)
        conditions.left(1)
        conditions.died(2.0)
        self.assertTrue(conditions.may_be_lost(1.0, 1.1, copies=2))
        self.assertFalse(conditions.may_be_lost(2.5, 2.6, copies=2))

    def test_enough_stay(self) -> None:
        """Who hands over to two others takes nothing along."""
        conditions = Conditions(replicas=1)
        conditions.well(0.0, members=3)
        conditions.left(2)
        conditions.died(2.0)
        self.assertFalse(conditions.may_be_lost(1.0, 1.1, copies=2))

    def test_pauses(self) -> None:
        """An operation may be as late as the pauses that fall into it."""
        self.conditions.pauses += [(1.0, 3.0), (10.0, 11.0)]
        self.assertEqual(self.conditions.paused_s(0.0, 2.0), 2.0)
        self.assertEqual(self.conditions.paused_s(4.0, 9.0), 0.0)
        self.assertEqual(self.conditions.paused_s(2.0, 10.0), 3.0)
