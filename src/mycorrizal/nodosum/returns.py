# -*- test-case-name: tests.nodosum.test_returns -*-
"""
Nodes that come again and again, each time in a new life: when they are let in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import attrs

from mycorrizal.nodosum.config import Address
from mycorrizal.restarts import SHORT_LIFE_S, pause_s

#: Places that are remembered.  Each is forgotten soon after the last life that
#: came from it, and the oldest makes room.
PLACES_MAX: Final = 4096

#: What a node is known by in its next life: its key, or where it listens.
Mark = bytes | Address


@attrs.frozen
class Place:
    """
    A place that nodes came from: as a rule one node, in one life after the other.

    :ivar lives: How many in a row, each soon after the one before.
    :ivar joined_at: When the last of them was let in, monotonic.
    :ivar let_in_at: When the one that was turned away may come; None: none was.
    """

    lives: int
    joined_at: float
    let_in_at: float | None = None

    def over(self, now: float) -> bool:
        """Whether who comes now is no more one in that row."""
        last = self.joined_at if self.let_in_at is None else self.let_in_at
        return now - last >= SHORT_LIFE_S


class Returns:
    """
    The table of places that nodes have joined from a short while ago.

    A node without a state directory is a new one in each life, and can't know how
    often it was started; its peers know it by where it listens.
    """

    def __init__(self) -> None:
        self._places: OrderedDict[Mark, Place] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def lives(self, marks: Iterable[Mark]) -> int:
        """How many lives in a row came from there."""
        return max((place.lives for place in self._found(marks)), default=0)

    def arrived(self, marks: Iterable[Mark], now: float, *, welcome: bool) -> float:
        """
        A node comes in a new life.

        :param marks: What it may be known by.
        :param welcome: Whether it is let in whatever is known of it.
        :return: After how many seconds it may come; 0: it is let in.
        """
        marks = list(marks)
        places = [place for place in self._found(marks) if not place.over(now)]
        place = max(places, key=lambda it: it.lives, default=Place(0, now))
        lives, let_in_at = place.lives, place.let_in_at
        if let_in_at is None:
            lives += 1
            let_in_at = now + pause_s(lives)
        if welcome or let_in_at <= now:
            place = Place(lives, now)
        else:
            place = Place(lives, place.joined_at, let_in_at)
        for mark in marks:
            self._places[mark] = place
            self._places.move_to_end(mark)
        self._forget(now)
        return 0.0 if place.let_in_at is None else place.let_in_at - now

    def _found(self, marks: Iterable[Mark]) -> list[Place]:
        return [self._places[mark] for mark in marks if mark in self._places]

    def _forget(self, now: float) -> None:
        places = self._places
        while places:
            mark = next(iter(places))
            if len(places) <= PLACES_MAX and not places[mark].over(now):
                return
            del places[mark]
