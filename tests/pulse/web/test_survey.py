"""
Asking all nodes how they are.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.pulse.web.report import Reporter
from mycorrizal.pulse.web.survey import Survey
from mycorrizal.testing.cluster import SimCluster


class SurveyTests(SynchronousTestCase):
    """Three nodes, of which only one has a page."""

    def setUp(self) -> None:
        self.cluster = SimCluster(3, seed=self.id())
        self.cluster.until(self.cluster.formed)
        nodosum, mycel = self.cluster[0].nodosum, self.cluster[0].mycel
        nodosum.applications.routes.pop(b"SYSTEM-REPORT", None)
        self.survey = Survey(nodosum, Reporter(nodosum, mycel))

    def test_all_answer(self) -> None:
        """Each other node is heard, whether or not it has a page."""
        self.survey.ask()
        self.cluster.until(lambda: len(self.survey.heard) == 2)
        self.assertEqual(self.survey.heard["n1"].report.id, "n1")
        self.assertIsNone(self.survey.heard["n1"].before)

    def test_again(self) -> None:
        """The last answer is kept for rates; who has not answered is asked once."""
        self.survey.ask()
        self.survey.ask()
        self.cluster.until(lambda: len(self.survey.heard) == 2)
        self.assertIsNone(self.survey.heard["n1"].before)
        self.survey.ask()
        self.cluster.until(lambda: self.survey.heard["n2"].before)

    def test_who_is_gone(self) -> None:
        """What a dead node had said is forgotten."""
        self.survey.ask()
        self.cluster.until(lambda: len(self.survey.heard) == 2)
        self.cluster.crash(2)
        self.cluster.advance(10)
        self.survey.ask()
        self.assertEqual(list(self.survey.heard), ["n1"])
