"""
A cluster to try the cache on.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel import Cache
from mycorrizal.mycel.slots.placement import bucket_seed, slot_of
from mycorrizal.testing import SimCluster


class ClusterTestCase(SynchronousTestCase):
    """
    A cluster with one bucket, "b".

    :cvar size: How many nodes.
    :cvar replicas: Of the bucket.
    """

    size = 3
    replicas = 1

    def setUp(self) -> None:
        self.cluster = SimCluster(self.size, seed=11)
        self.cluster.until(self.cluster.formed)
        created = self.cache(0).create_bucket("b", replicas=self.replicas)
        self.result_of(created)
        self.cluster.until(self.cluster.converged)

    def cache(self, number: int) -> Cache:
        """A node's cache."""
        return self.cluster[number].cache()

    def result_of(self, deferred: Deferred[Any]) -> Any:
        """What a call gives, in time."""
        return self.cluster.result_of(deferred)

    def failure_of(self, error: type[Exception], deferred: Deferred[Any]) -> Any:
        """What a call fails with, in time."""
        return self.assertRaises(error, self.cluster.result_of, deferred)

    def fill(self, count: int = 100, value: bytes = b"") -> None:
        """Put values, each with its number in front."""
        for number in range(count):
            put = self.cache(0).put("b", f"k{number}", b"%d:" % number + value)
            self.result_of(put)

    def check_all(self, through: int, count: int = 100) -> None:
        """Every value is read through a node."""
        for number in range(count):
            value = self.result_of(self.cache(through).get("b", f"k{number}"))
            self.assertIsNotNone(value, f"k{number} through n{through}")
            self.assertEqual(value.partition(b":")[0], b"%d" % number)

    def key_owned_by(self, *numbers: int) -> str:
        """A key with these owners, the primary first."""
        return self.keys_owned_by(*numbers, count=1)[0]

    def keys_owned_by(self, *numbers: int, count: int, bucket: str = "b") -> list[str]:
        """So many keys with these owners, the primary first."""
        owners = tuple(self.cluster[it].nodosum.me.node_key for it in numbers)
        placement, seed = self.cluster[0].mycel.view.placement, bucket_seed(bucket)
        found = [
            key
            for key in (f"key {number}" for number in range(100 * count + 1000))
            if placement.owners(slot_of(seed, key.encode()), len(owners)) == owners
        ]
        self.assertGreaterEqual(len(found), count)
        return found[:count]

    def settle(self) -> None:
        """Wait until all copies are where they should be, and only there."""
        self.cluster.until(self.cluster.converged)
        self.cluster.advance(1)
        self.cluster.check_invariants()
