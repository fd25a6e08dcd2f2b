"""
Clusters made by a fixture or a mixin are formed, and closed after the test.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import SimClusterMixin
from mycorrizal.testing.fixtures import sim_cluster


class MixinTests(SimClusterMixin, SynchronousTestCase):
    """The way of trial."""

    def test_formed_and_closed(self) -> None:
        """A cluster is there at once, and nothing of it after the test."""
        cluster = self.sim_cluster(3, seed=1)
        self.assertTrue(cluster.formed())
        self.doCleanups()
        self.assertEqual(cluster.running, [])


class FixtureTests(SynchronousTestCase):
    """The way of pytest, which this drives as pytest does."""

    def test_only_when_asked_for(self) -> None:
        """Who installs us gets no pytest plugin unasked."""
        ours = [it for it in entry_points(group="pytest11") if "mycorrizal" in it.value]
        self.assertEqual(ours, [])

    def test_formed_and_closed(self) -> None:
        """Each cluster of a test is formed, and closed when the test is over."""
        fixture = sim_cluster.__wrapped__()  # type: ignore[attr-defined]
        make = next(fixture)
        clusters = [make(2, seed=1), make(3, seed=2)]
        self.assertEqual([len(cluster) for cluster in clusters], [2, 3])
        self.assertTrue(all(cluster.formed() for cluster in clusters))
        self.assertEqual(list(fixture), [])
        self.assertEqual([cluster.running for cluster in clusters], [[], []])
