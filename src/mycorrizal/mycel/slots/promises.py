# -*- test-case-name: tests.mycel.slots.test_promises -*-
"""
To whom slots were promised.
"""

from __future__ import annotations

from collections.abc import ItemsView
from typing import TypeAlias

from mycorrizal.mycel.slots.slotset import NO_SLOTS

#: A life of a node: its key and incarnation.
Life: TypeAlias = tuple[bytes, int]


class Promises:
    """
    The slots that were promised to each life of a node, each slot to one.
    """

    def __init__(self) -> None:
        self._by_life: dict[Life, int] = {}

    def items(self) -> ItemsView[Life, int]:
        """All to whom something was promised, and what."""
        return self._by_life.items()

    def of(self, life: Life) -> int:
        """The slots that were promised to a life of a node."""
        return self._by_life.get(life, NO_SLOTS)

    def whose(self, slot: int) -> Life | None:
        """To whom a slot was promised."""
        for life, slots in self._by_life.items():
            if slots >> slot & 1:
                return life
        return None

    def take(self, slots: int, life: Life | None) -> None:
        """Promise slots to a life of a node, or to nobody, whoever had them."""
        if not slots:
            return
        left = {it: had & ~slots for it, had in self._by_life.items()}
        if life is not None:
            left[life] = left.get(life, NO_SLOTS) | slots
        self._by_life = {it: had for it, had in left.items() if had}
