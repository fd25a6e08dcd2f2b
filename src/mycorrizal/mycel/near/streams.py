# -*- test-case-name: tests.mycel.near.test_streams -*-
"""
What a primary tells those who keep near copies: a core.
"""

from __future__ import annotations

from typing import Final

from mycorrizal.mycel.near.messages import Changed

#: How long after its last question a node is told of changes.
SUBSCRIBED_S: Final = 10.0


class Stream:
    """
    The changes of one bucket's keys that one node is primary of.

    :ivar id: Stands for it; another one after each break.
    :ivar sequence: How many changes were told.
    :ivar subscribers: Until when each node is told, monotonic.
    """

    __slots__ = ("id", "name", "sequence", "subscribers")

    def __init__(self, name: str, stream_id: int) -> None:
        self.name = name
        self.id = stream_id
        self.sequence = 0
        self.subscribers: dict[bytes, float] = {}

    def subscribe(self, node_key: bytes, now: float) -> None:
        """Tell a node of what changes from now on, for a while."""
        self.subscribers[node_key] = now + SUBSCRIBED_S

    def unsubscribe(self, node_key: bytes) -> None:
        """A node can't be told; it will notice."""
        self.subscribers.pop(node_key, None)

    def expire(self, now: float) -> None:
        """Forget those who do not ask any more."""
        over = [node for node, until in self.subscribers.items() if until <= now]
        for node_key in over:
            del self.subscribers[node_key]

    def changed(self, key: bytes) -> Changed:
        """A key has changed: what to tell all subscribers."""
        self.sequence += 1
        return Changed(self.name, self.id, self.sequence, key)

    def restart(self, stream_id: int) -> Changed:
        """
        Begin another stream: this node does not know of all changes of what it
        has vouched for.

        :return: What to tell all subscribers.
        """
        self.id = stream_id
        self.sequence = 0
        return Changed(self.name, self.id, 0, b"")
