"""
Counts of times by length.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.histogram import TIMES_S, Histogram, quantile


class HistogramTests(SynchronousTestCase):
    """A histogram of a few values."""

    def test_bounds_belong_to_their_bucket(self) -> None:
        """A value at a bound is in the bucket below it, one above is not."""
        histogram = Histogram((1.0, 2.0))
        for value in (0.5, 1.0, 1.01, 2.0, 2.01, 99.0):
            histogram.observe(value)
        self.assertEqual(histogram.counts, [2, 2, 2])
        self.assertAlmostEqual(histogram.total, 105.52)

    def test_quantile(self) -> None:
        """Half of what is spread over a bucket lies below its middle."""
        self.assertEqual(quantile((1.0, 2.0), [0, 4, 0], 0.5), 1.5)
        self.assertEqual(quantile((1.0, 2.0), [2, 2, 0], 0.5), 1.0)
        self.assertEqual(quantile((1.0, 2.0), [0, 0, 3], 0.5), 2.0)
        self.assertIsNone(quantile((1.0, 2.0), [0, 0, 0], 0.5))

    def test_times(self) -> None:
        """The bounds ascend."""
        self.assertEqual(list(TIMES_S), sorted(set(TIMES_S)))
