# -*- test-case-name: tests.nodosum.test_lateness -*-
"""
How far a node is behind with what it has to do.
"""

from __future__ import annotations

from typing import Final

#: How often a node looks at the clock.
TICK_S: Final = 0.1
#: What was late is remembered for so long, and at most twice that.
REMEMBERED_S: Final = 5.0


class Lateness:
    """
    How late a node was, at worst and lately, to look at the clock.

    :param now: Monotonic seconds, when it begins.
    """

    __slots__ = ("_before_s", "_began_at", "_looked_at", "_worst_s")

    def __init__(self, now: float) -> None:
        self._looked_at: float | None = None
        self._began_at = now
        self._worst_s = self._before_s = 0.0

    def looked(self, now: float) -> None:
        """The node looks at the clock; it should each `TICK_S`."""
        self._turn(now)
        if self._looked_at is not None:
            self._worst_s = max(self._worst_s, now - self._looked_at - TICK_S)
        self._looked_at = now

    def worst_s(self, now: float) -> float:
        """The latest it was in the last 5 to 10 s, in seconds."""
        self._turn(now)
        return max(self._worst_s, self._before_s)

    def _turn(self, now: float) -> None:
        """Begin to remember anew, and forget what was before that before."""
        passed_s = now - self._began_at
        if passed_s >= REMEMBERED_S:
            lately = passed_s < 2 * REMEMBERED_S
            self._before_s, self._worst_s = self._worst_s if lately else 0.0, 0.0
            self._began_at = now
