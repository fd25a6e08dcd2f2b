"""
How far a node trusts its own judgement after it was held up.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.health import SCORE_MAX, LocalHealth
from mycorrizal.nodosum.liveness import OWN_STALL_S


class LocalHealthTests(SynchronousTestCase):
    """A count of stalls that fades."""

    def test_stalls_stretch(self) -> None:
        """Each half second of a stall makes times longer by one (F5)."""
        health = LocalHealth()
        self.assertEqual(health.stretch, 1)
        health.stalled(OWN_STALL_S - 0.01)
        self.assertEqual(health.stretch, 1)
        health.stalled(OWN_STALL_S)
        self.assertEqual(health.stretch, 2)
        health.stalled(2 * OWN_STALL_S)
        self.assertEqual(health.stretch, 4)

    def test_bound(self) -> None:
        """Times are never longer than eightfold."""
        health = LocalHealth()
        health.stalled(OWN_STALL_S * SCORE_MAX)
        self.assertEqual(health.stretch, 8)
        health.stalled(60.0)
        self.assertEqual(health.stretch, 8)

    def test_fades(self) -> None:
        """Each second without a stall takes one back, and no more than there is."""
        health = LocalHealth()
        health.stalled(1.0)
        for stretch in (2, 1, 1):
            health.clean()
            self.assertEqual(health.stretch, stretch)
