# -*- test-case-name: tests.mycel.slots.test_slotset -*-
"""
Sets of slots, as the bits of one integer: a thousand slots are joined,
intersected and sent at the price of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mycorrizal.mycel.slots.placement import SLOTS, SLOTSET_BYTES

NO_SLOTS: Final = 0
ALL_SLOTS: Final = (1 << SLOTS) - 1


def slotset(slots: Iterable[int]) -> int:
    """The set of these slots."""
    bits = bytearray(SLOTSET_BYTES)
    for slot in slots:
        bits[slot >> 3] |= 1 << (slot & 7)
    return int.from_bytes(bits, "little")


def slots_of(slots: int) -> list[int]:
    """The slots of a set, ascending."""
    return [slot for slot, bit in enumerate(bin(slots)[:1:-1]) if bit == "1"]


def parts_of(slots: int, count: int) -> list[int]:
    """A set cut into sets of so many slots at most."""
    each = slots_of(slots)
    return [slotset(each[i : i + count]) for i in range(0, len(each), count)]


def to_bytes(slots: int) -> bytes:
    """A set as it travels: `SLOTSET_BYTES` bytes."""
    return slots.to_bytes(SLOTSET_BYTES, "little")


def from_bytes(data: bytes) -> int:
    """A set that has travelled."""
    return int.from_bytes(data, "little")
