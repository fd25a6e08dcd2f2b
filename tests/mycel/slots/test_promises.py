"""
Each slot is promised to one at a time.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.slots.promises import Promises
from mycorrizal.mycel.slots.slotset import NO_SLOTS, slotset
from tests.mycel.parts import A, B


class PromisesTests(SynchronousTestCase):
    """To whom slots were promised."""

    def test_one_at_a_time(self) -> None:
        """Who is promised a slot takes it from whoever had it."""
        promises = Promises()
        promises.take(slotset([1, 2, 3]), (A, 1))
        promises.take(slotset([3, 4]), (B, 1))
        self.assertEqual(promises.of((A, 1)), slotset([1, 2]))
        self.assertEqual(promises.of((B, 1)), slotset([3, 4]))
        self.assertEqual(promises.whose(3), (B, 1))
        self.assertEqual(dict(promises.items()).keys(), {(A, 1), (B, 1)})

    def test_nobody(self) -> None:
        """A promise can be taken back."""
        promises = Promises()
        self.assertIsNone(promises.whose(1))
        promises.take(slotset([1]), (A, 1))
        promises.take(slotset([1]), None)
        self.assertIsNone(promises.whose(1))
        self.assertEqual(promises.of((A, 1)), NO_SLOTS)
        self.assertEqual(list(promises.items()), [])

    def test_lives_differ(self) -> None:
        """What one life of a node was promised, the next was not."""
        promises = Promises()
        promises.take(slotset([1]), (A, 1))
        self.assertEqual(promises.of((A, 2)), NO_SLOTS)
        promises.take(NO_SLOTS, (A, 2))
        self.assertEqual(len(promises.items()), 1)
