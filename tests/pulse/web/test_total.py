"""
What a whole cluster does.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.web.report import Report
from mycorrizal.pulse.web.survey import Heard
from mycorrizal.pulse.web.total import FRESH_S, Total, total_of
from tests.pulse.web.reports import bucket, report


def counted(gets: int, puts: int = 0, sent: int = 0) -> Report:
    """A report with counts."""
    return report(buckets=[bucket(hits=gets, puts=puts)], sent_bytes=sent)


class TotalTests(SynchronousTestCase):
    """Rates that are added up."""

    def test_sum(self) -> None:
        """Each node counts by its own clock's interval."""
        heard = [
            Heard(counted(30, 4, 100), 10.0, (counted(10), 8.0)),
            Heard(counted(5, 1, 50), 9.0, (counted(0), 8.0)),
        ]
        self.assertEqual(total_of(heard, 10.0), Total(2, 15.0, 3.0, 100.0))

    def test_nothing_said(self) -> None:
        """Of one report there is no rate."""
        self.assertIsNone(total_of([Heard(counted(30), 10.0)], 10.0))
        self.assertIsNone(total_of([], 10.0))

    def test_old(self) -> None:
        """Who has said nothing for a while no longer counts."""
        heard = [Heard(counted(30), 10.0, (counted(10), 8.0))]
        self.assertIsNotNone(total_of(heard, 10.0 + FRESH_S - 0.01))
        self.assertIsNone(total_of(heard, 10.0 + FRESH_S))

    def test_went_back(self) -> None:
        """A node that began anew does not count below nought."""
        heard = [Heard(counted(3), 10.0, (counted(10), 8.0))]
        self.assertEqual(total_of(heard, 10.0), Total(1, 0.0, 0.0, 0.0))
