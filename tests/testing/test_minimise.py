"""Tests for `mycorrizal.testing.minimise`."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing.minimise import minimise


class MinimiseTests(SynchronousTestCase):
    """Of many faults, the few that matter are found."""

    def test_two_of_many(self) -> None:
        """Two faults that only fail together, in their order."""
        tries: list[list[int]] = []

        def fails(some: Sequence[int]) -> bool:
            tries.append(list(some))
            return {3, 17} <= set(some)

        self.assertEqual(minimise(range(24), fails), [3, 17])
        self.assertLess(len(tries), 60)

    def test_all_needed(self) -> None:
        """Nothing is left out if all is needed."""
        self.assertEqual(minimise([1, 2, 3], lambda some: len(some) == 3), [1, 2, 3])

    def test_none_needed(self) -> None:
        """A failure that needs no fault at all."""
        self.assertEqual(minimise([1, 2, 3], lambda some: True), [])
        self.assertEqual(minimise([], lambda some: True), [])

    def test_bound(self) -> None:
        """A search ends after so many tries; what is left then still fails."""
        for tries_max in (1, 2, 5):
            tries = 0

            def fails(some: Sequence[int]) -> bool:
                nonlocal tries
                tries += 1
                return 7 in some

            self.assertIn(7, minimise(range(1000), fails, tries_max))
            self.assertEqual(tries, tries_max)
