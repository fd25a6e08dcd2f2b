"""
Loaders that a test leads by the hand.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.mycel.cases import ClusterTestCase


class Loader:
    """
    A loader that waits until the test lets it go on.

    :ivar calls: One Deferred for each time it was called.
    """

    def __init__(self) -> None:
        self.calls: list[Deferred[Any]] = []
        self.cancelled = 0

    def __call__(self) -> Deferred[Any]:
        call: Deferred[Any] = Deferred(self._cancelled)
        self.calls.append(call)
        return call

    def _cancelled(self, call: Deferred[Any]) -> None:
        self.cancelled += 1


class LoadingTestCase(ClusterTestCase):
    """
    A cluster of three with a key whose primary is node 0 and replica node 1.
    """

    def setUp(self) -> None:
        super().setUp()
        self.key = self.key_owned_by(0, 1)
        self.loader = Loader()

    def load(
        self, number: int, loader: Any = None, **terms: Any
    ) -> Deferred[bytes | None]:
        """Get the key through a node, or load it."""
        cache = self.cache(number)
        return cache.get_or_load("b", self.key, loader or self.loader, **terms)

    def called(self, times: int) -> Deferred[Any]:
        """Wait until the loader was called so often; its last call."""
        self.cluster.until(lambda: len(self.loader.calls) >= times)
        self.assertEqual(len(self.loader.calls), times)
        return self.loader.calls[-1]

    def read(self, number: int = 2) -> bytes | None:
        """What a node reads."""
        value: bytes | None = self.result_of(self.cache(number).get("b", self.key))
        return value

    def nothing_is_left(self) -> None:
        """Nobody loads or waits, at no node."""
        self.cluster.advance(1)
        for node in self.cluster.running:
            self.assertEqual(node.cache()._loads.under_way, {})
            self.assertEqual(node.mycel._primary.leasing.leases._held, {})
            self.assertEqual(node.mycel._primary.leasing.leases._waiting, {})
            self.assertEqual(node.mycel.router.under_way, {})
