"""Tests for `tests.faults.mix`: how long it lasts, and when it may be cut."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.config import NodosumConfig
from tests.faults.mix import CUT_S_MAX, LOSS_PER_HOP_MAX, parts


class MixTests(SynchronousTestCase):
    """Twenty minutes, in one part or in several."""

    def test_whole(self) -> None:
        """Unless it is asked for, there is one cluster for all the time."""
        ((nemesis, seconds),) = parts(1200, 0)
        self.assertEqual((nemesis.name, seconds), ("network-1-of-1", 1200))

    def test_parts(self) -> None:
        """Parts are as long as they may be, or shorter, and all that was asked."""
        for limit_s, count in ((1200, 1), (600, 2), (599, 3), (500, 3)):
            found = parts(1200, limit_s)
            self.assertEqual(len(found), count, limit_s)
            self.assertEqual(len({nemesis.name for nemesis, _ in found}), count)
            self.assertAlmostEqual(sum(seconds for _, seconds in found), 1200)
            self.assertLessEqual(found[0][1], limit_s)

    def test_short_of_a_death(self) -> None:
        """What is done to links is what nobody may be taken for dead for (F7)."""
        suspect_after_s = attrs.fields(NodosumConfig).suspect_after_s.default
        assert suspect_after_s is not None
        self.assertLess(CUT_S_MAX, suspect_after_s)
        through = (1 - LOSS_PER_HOP_MAX / 1000) ** 2
        self.assertLessEqual(1 - through, 0.05)
