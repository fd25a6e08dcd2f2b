# -*- test-case-name: tests.mycel.slots.test_claims -*-
"""
What every operation looks up: what this node is to a slot, and who is primary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mycorrizal.mycel.slots.placement import SLOTS
from mycorrizal.mycel.slots.slotset import NO_SLOTS, slots_of

#: What this node is to a slot.
ELSEWHERE: Final = 0
SETTLED: Final = 1
UNSETTLED: Final = 2


class Routes:
    """
    Two tables by slot; each stays the same object.

    :ivar status: `ELSEWHERE`, `SETTLED` (this node is primary), or `UNSETTLED`
        (it is, and others may hold newer versions of its keys).
    :ivar primaries: Where operations go: the primary, or who is most likely to
        be or become that; None if nobody is known.
    """

    __slots__ = ("_goals", "_serving", "_unsettled", "primaries", "status")

    def __init__(self) -> None:
        self.status = bytearray(SLOTS)
        self.primaries: list[bytes | None] = [None] * SLOTS
        self._serving = NO_SLOTS
        self._unsettled = NO_SLOTS
        self._goals: Mapping[bytes, int] = {}

    def show(self, serving: int, unsettled: int, goals: Mapping[bytes, int]) -> None:
        """
        Bring both up to date; this costs what has changed.

        :param serving: The slots this node is primary of.
        :param unsettled: Of those, the ones whose copies are not all here.
        :param goals: For each node, the slots whose operations go there.
        """
        changed = (serving ^ self._serving) | (unsettled ^ self._unsettled)
        self._serving, self._unsettled = serving, unsettled
        for slot in slots_of(changed):
            status = UNSETTLED if unsettled >> slot & 1 else SETTLED
            self.status[slot] = status if serving >> slot & 1 else ELSEWHERE
        was, self._goals = self._goals, goals
        for node_key, slots in goals.items():
            for slot in slots_of(slots & ~was.get(node_key, NO_SLOTS)):
                self.primaries[slot] = node_key
