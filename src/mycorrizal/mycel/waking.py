# -*- test-case-name: tests.mycel.test_oversleeping -*-
"""
A node that overslept, and whom it looks for before it goes on: a core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

#: How long a node that overslept looks for those it knew before it goes on
#: without them: what a starting node gives those that it does not know yet.
LOOK_S: Final = 3.0


class Waking:
    """
    One node's looks at the clock.

    :param sleep_s: Without a look for so long, others have given this node up.
    :param linked: Whether there is a link to a node.
    """

    def __init__(self, sleep_s: float, linked: Callable[[bytes], bool]) -> None:
        self._sleep_s = sleep_s
        self._linked = linked
        self._looked_at: float | None = None
        self._missed: tuple[bytes, ...] = ()
        self._missed_until = 0.0

    def look(self, now: float, known: Iterable[bytes]) -> float:
        """
        Look at the clock; often, and before anything else that has come late.

        :param known: The other members, as far as this node knows.
        :return: Until when it is known not to have overslept.
        """
        before, self._looked_at = self._looked_at, now
        if before is not None and now - before >= self._sleep_s:
            self._missed = tuple(sorted(known))
            self._missed_until = now + LOOK_S
        return now + self._sleep_s

    def missing(self, now: float) -> bool:
        """Whether it overslept, and has not found all whom it knew again."""
        return now < self._missed_until and not all(map(self._linked, self._missed))

    def found(self, now: float) -> bool:
        """Whether all were found again, or their time is over; told once."""
        if not self._missed or self.missing(now):
            return False
        self._missed = ()
        return True
