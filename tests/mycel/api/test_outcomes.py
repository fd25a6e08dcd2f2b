"""
How many copies a write has, and what is said if they are too few.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Copies, Degraded
from mycorrizal.mycel.api.outcomes import copies_of


class CopiesTests(SynchronousTestCase):
    """What a write was acknowledged with."""

    def test_number(self) -> None:
        """Copies are a number, which knows how many were asked for."""
        copies = copies_of(2, 2, 0)
        self.assertEqual((copies, copies.wanted, copies.degraded), (2, 2, False))
        self.assertIsInstance(copies, Copies)
        self.assertEqual(f"{copies} nodes", "2 nodes")

    def test_degraded(self) -> None:
        """Fewer than the bucket asks for are degraded, but no failure."""
        copies = copies_of(1, 3, 1)
        self.assertEqual((copies, copies.wanted, copies.degraded), (1, 3, True))

    def test_too_few(self) -> None:
        """Fewer than the caller demands are one, which says how many there are."""
        error = self.assertRaises(Degraded, copies_of, 1, 3, 2)
        self.assertEqual((error.copies, error.wanted), (1, 2))
