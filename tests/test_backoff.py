"""
Pauses between tries.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.backoff import DOUBLINGS_MAX, doubled_s, jittered_s


class BackoffTests(SynchronousTestCase):
    """Who fails waits, longer each time."""

    def test_doubled(self) -> None:
        """Each pause is twice the one before, up to the longest."""
        pauses_s = [doubled_s(0.5, 5.0, times) for times in range(6)]
        self.assertEqual(pauses_s, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0])

    def test_doubled_for_ever(self) -> None:
        """However often it was doubled, it is a number of seconds."""
        most_s = 2.0**DOUBLINGS_MAX
        self.assertEqual(doubled_s(1.0, 1e9, DOUBLINGS_MAX), most_s)
        self.assertEqual(doubled_s(1.0, 1e9, DOUBLINGS_MAX + 1), most_s)
        self.assertEqual(doubled_s(1.0, 60.0, 10**9), 60.0)

    def test_jittered(self) -> None:
        """A pause is between half of its length and all of it."""
        self.assertEqual(jittered_s(8.0, lambda: 0.0), 4.0)
        self.assertEqual(jittered_s(8.0, lambda: 0.5), 6.0)
        self.assertEqual(jittered_s(8.0, lambda: 1.0), 8.0)
