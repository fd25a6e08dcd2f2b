# -*- test-case-name: tests.testing.test_fixtures -*-
"""
Simulated clusters for pytest and for trial.

pytest loads the fixture when a test module or ``conftest.py`` asks for it::

    pytest_plugins = ["mycorrizal.testing.fixtures"]

    def test_it(sim_cluster):
        cluster = sim_cluster(3, seed=7)

For trial there is `SimClusterMixin` in `mycorrizal.testing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mycorrizal.testing.cluster import SimCluster

__all__ = ["sim_cluster"]


@pytest.fixture
def sim_cluster() -> Iterator[Callable[..., SimCluster]]:
    """
    Makes clusters as `SimCluster` does, forms them, and closes them after the
    test, which fails if anything is left of them.
    """
    made: list[SimCluster] = []

    def make(size: int = 3, **settings: Any) -> SimCluster:
        cluster = SimCluster(size, **settings)
        made.append(cluster)
        cluster.until(cluster.formed)
        return cluster

    yield make
    for cluster in made:
        cluster.close()
