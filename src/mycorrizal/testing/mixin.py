# -*- test-case-name: tests.testing.test_fixtures -*-
"""
Simulated clusters for trial.
"""

from __future__ import annotations

from typing import Any

from mycorrizal.testing.cluster import SimCluster


class SimClusterMixin:
    """
    A trial test case's way to clusters that are closed after the test::

        class FailoverTests(SimClusterMixin, SynchronousTestCase):
            def test_it(self) -> None:
                cluster = self.sim_cluster(3, seed=7)
    """

    def sim_cluster(self, size: int = 3, **settings: Any) -> SimCluster:
        """
        A cluster as `SimCluster` makes it, formed; it is closed after the
        test, which fails if anything is left of it.
        """
        cluster = SimCluster(size, **settings)
        case: Any = self
        case.addCleanup(cluster.close)
        cluster.until(cluster.formed)
        return cluster
