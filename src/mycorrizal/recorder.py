# -*- test-case-name: tests.test_recorder -*-
"""
What has happened to a node, kept for those who ask later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

import attrs

from mycorrizal.clock import COUNTER_BITS, HybridClock

#: Events that a node keeps: some 500 KB, and the last hours of a calm cluster.
EVENTS_MAX: Final = 2048
#: Characters of a text, or of a field; others may have sent what is in them.
TEXT_CHARS_MAX: Final = 512


class Kind(Enum):
    """What an event is about; a value never changes its meaning."""

    STARTED = "started"
    READY = "ready"
    JOINED = "joined"
    SUSPECTED = "suspected"
    CLEARED = "cleared"
    LEFT = "left"
    DIED = "died"
    LINK_UP = "link up"
    LINK_DOWN = "link down"
    LINK_RENEWED = "link renewed"
    SLOTS_TAKEN = "slots taken"
    SLOTS_GIVEN = "slots given"
    CONFLICT = "conflict"
    REFUSED = "refused"
    STALLED = "stalled"
    DRAIN = "drain"
    BUCKET = "bucket"
    ADMIN = "admin"
    DENIED = "denied"


#: Events that a person should see, and those that are trouble.
WARNINGS: Final = frozenset({Kind.SUSPECTED, Kind.REFUSED, Kind.STALLED, Kind.DENIED})
ERRORS: Final = frozenset({Kind.DIED, Kind.CONFLICT})


@attrs.frozen
class Event:
    """
    One thing that happened, as one node saw it.

    :ivar stamp: Orders events of all nodes: what a node did after it had heard
        of something has a higher one.  Unique on its node.
    :ivar wall_s: By the node's own clock, seconds since the epoch.
    :ivar node: Who saw it.
    :ivar text: A sentence for people.
    :ivar fields: The facts in it, by name.
    """

    stamp: int
    wall_s: float
    node: str
    kind: Kind
    text: str
    fields: Mapping[str, str | int | float] = attrs.field(factory=dict, hash=False)

    @property
    def level(self) -> str:
        """``info``, ``warn`` or ``error``."""
        if self.kind in ERRORS:
            return "error"
        return "warn" if self.kind in WARNINGS else "info"


class Recorder:
    """
    The flight recorder of one node: a ring of its last events.

    It is told of what is rare, such as members and links that come and go, and
    never of single messages or values.

    :param wall: Returns seconds since the epoch.
    :param clock: The node's; it is read and never moved.
    :param events_max: How many are kept; the oldest make room.
    :ivar total: How many there were, those included that are kept no more.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        clock: HybridClock,
        node: str,
        events_max: int = EVENTS_MAX,
    ) -> None:
        self.node = node
        self.total = 0
        self._wall = wall
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=events_max)
        self._last = 0

    def __len__(self) -> int:
        return len(self._events)

    def note(self, kind: Kind, text: str, **fields: str | int | float) -> Event:
        """
        Keep an event.

        :param text: A sentence; of a long one the beginning is kept.
        :param fields: The facts in it.
        """
        wall_s = self._wall()
        now = max(int(wall_s * 1000) << COUNTER_BITS, self._clock.last)
        self._last = stamp = max(now, self._last + 1)
        kept = {name: _cut(value) for name, value in fields.items()}
        event = Event(stamp, wall_s, self.node, kind, text[:TEXT_CHARS_MAX], kept)
        self._events.append(event)
        self.total += 1
        return event

    def recent(self, limit: int = 100, *, after: int = 0) -> list[Event]:
        """
        The last events, oldest first.

        :param limit: How many at most; 0 is all that are kept.
        :param after: Only events whose stamp is higher.
        """
        found: list[Event] = []
        for event in reversed(self._events):
            if event.stamp <= after or (limit and len(found) >= limit):
                break
            found.append(event)
        found.reverse()
        return found


def _cut(value: str | int | float) -> str | int | float:
    return value[:TEXT_CHARS_MAX] if isinstance(value, str) else value
