"""
A set of slots is one number, and travels as so many bytes.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.mycel.slots.placement import SLOTS, SLOTSET_BYTES
from mycorrizal.mycel.slots.slotset import (
    ALL_SLOTS,
    NO_SLOTS,
    from_bytes,
    parts_of,
    slots_of,
    slotset,
    to_bytes,
)


class SlotSetTests(SynchronousTestCase):
    """Sets of slots."""

    def test_there_and_back(self) -> None:
        """What is put in comes out, in order, each once."""
        self.assertEqual(slots_of(slotset([1023, 0, 7, 8, 7])), [0, 7, 8, 1023])

    def test_none_and_all(self) -> None:
        """No slot, and every slot."""
        self.assertEqual(slots_of(NO_SLOTS), [])
        self.assertEqual(slots_of(ALL_SLOTS), list(range(SLOTS)))
        self.assertEqual(slotset(range(SLOTS)), ALL_SLOTS)

    def test_bytes(self) -> None:
        """It travels with a bit for each slot, the lowest first."""
        data = to_bytes(slotset([0, 9]))
        self.assertEqual(data, b"\x01\x02" + bytes(SLOTSET_BYTES - 2))
        self.assertEqual(from_bytes(data), slotset([0, 9]))
        self.assertEqual(from_bytes(to_bytes(ALL_SLOTS)), ALL_SLOTS)

    def test_parts(self) -> None:
        """It is cut into parts of so many slots."""
        self.assertEqual(parts_of(NO_SLOTS, 2), [])
        self.assertEqual(
            parts_of(slotset([1, 5, 9, 700]), 2), [slotset([1, 5]), slotset([9, 700])]
        )
        self.assertEqual(
            parts_of(slotset([1, 5, 9]), 2), [slotset([1, 5]), slotset([9])]
        )
