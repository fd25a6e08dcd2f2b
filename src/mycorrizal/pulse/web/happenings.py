# -*- test-case-name: tests.pulse.web.test_happenings -*-
"""
What has happened of late, as the page shows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from mycorrizal.nodosum import NodosumService

#: Happenings that are kept, and that the page shows.
KEPT_MAX: Final = 200
SHOWN_MAX: Final = 40


class Happening(msgspec.Struct, frozen=True):
    """
    Something that happened.

    :ivar at: Unix seconds.
    :ivar node: The node that says so.
    :ivar kind: In one word, as joined.
    :ivar text: A sentence.
    """

    at: float
    node: str
    kind: str
    text: str


class Happenings(Protocol):
    """Who knows what has happened: a recorder."""

    def recent(self, limit: int) -> Sequence[Happening]:
        """The latest ones, the newest last."""


class MemberNews:
    """
    A record of how the states of members have changed, as this node saw it.
    """

    def __init__(self, nodosum: NodosumService, wall: Callable[[], float]) -> None:
        self._nodosum = nodosum
        self._wall = wall
        self._kept: deque[Happening] = deque(maxlen=KEPT_MAX)
        self._states: dict[str, str] = {}

    def look(self) -> bool:
        """
        Compare the members with what they were.

        :return: Whether that is another picture.
        """
        states = {node.id: node.state for node in self._nodosum.nodes()}
        was, self._states = self._states, states
        for node_id, state in states.items():
            if was.get(node_id) != state:
                text = f"{node_id} is {state}"
                if node_id in was:
                    text += f", was {was[node_id]}"
                self.note(text, state)
        return states != was

    def note(self, text: str, kind: str) -> None:
        """Keep that something has happened now."""
        me = self._nodosum.me.node_id
        self._kept.append(Happening(self._wall(), me, kind, text))

    def recent(self, limit: int) -> Sequence[Happening]:
        """The latest ones, the newest last."""
        return list(self._kept)[-limit:]
