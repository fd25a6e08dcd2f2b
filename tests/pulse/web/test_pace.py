"""
How fast a node is at work.
"""

from __future__ import annotations

from mycorrizal.pulse.web.pace import SAMPLES_MAX, STALL_S
from tests.pulse.web.worlds import WebTestCase


class PaceTests(WebTestCase):
    """Samples of a node."""

    size = 1

    def test_rates(self) -> None:
        """Reads of a second are reads per second."""
        self.cluster.advance(2)
        cache = self.cluster[0].cache()
        for number in range(50):
            self.cluster.result_of(cache.get("s", f"k{number}"))
        self.cluster.advance(1.1)
        sample = self.http.board().sample
        assert sample is not None
        self.assertAlmostEqual(sample.gets_per_s, 50, delta=5)
        self.assertEqual(sample.lag_ms, 0)

    def test_kept(self) -> None:
        """Five minutes are kept, and no more."""
        self.cluster.advance(SAMPLES_MAX + 5)
        self.assertEqual(len(self.http.pace.samples), SAMPLES_MAX)

    def test_stalls(self) -> None:
        """A reactor that is late by a tenth of a second has stalled."""
        pace = self.http.pace
        now = self.cluster[0].runtime.now
        before = pace.stalls
        pace.beat(now() - STALL_S + 0.001)
        self.assertEqual(pace.stalls, before)
        pace.beat(now() - STALL_S - 0.001)
        self.assertEqual(pace.stalls, before + 1)
