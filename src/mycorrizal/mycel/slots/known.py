# -*- test-case-name: tests.mycel.slots.test_claims -*-
"""
Whom a claimant has to ask: every node that it, or anyone it asks, knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mycorrizal.mycel.slots.promises import Life

#: A node that only others have named is waited for so long.
NAMED_S: Final = 5.0
#: Nodes that may be named, and are named in an answer.
NAMED_MAX: Final = 1024


class Known:
    """
    The lives of other nodes that this one knows and has not found dead.

    :param me: This node's key.
    :param dead: Whether this node has found a life of a node dead.
    :ivar lives: The incarnation of each.
    """

    def __init__(self, me: bytes, dead: Callable[[bytes, int], bool]) -> None:
        self.lives: dict[bytes, int] = {}
        self._me = me
        self._dead = dead
        self._met: Mapping[bytes, int] = {}
        #: Those that only others know, and until when that counts.
        self._named: dict[bytes, tuple[int, float]] = {}

    def meet(self, met: Mapping[bytes, int]) -> None:
        """These this node knows itself."""
        self._met = dict(met)

    def name(self, life: Life, now: float) -> None:
        """Another node knows a life of a node: it is to be asked, too."""
        node_key, incarnation = life
        known = self.lives.get(node_key, -1)
        if node_key == self._me or known >= incarnation or self._dead(*life):
            return
        if len(self._named) < NAMED_MAX:
            self._named[node_key] = incarnation, now + NAMED_S

    def change(self, now: float) -> tuple[list[bytes], list[bytes]]:
        """
        Bring `lives` up to date.

        :return: Whose lives are over, and whose are new; who has begun another
            life is in both.
        """
        lives = dict(self._met)
        for node_key, (incarnation, until) in list(self._named.items()):
            if until <= now or self._dead(node_key, incarnation):
                del self._named[node_key]
            else:
                lives[node_key] = max(incarnation, lives.get(node_key, 0))
        was, self.lives = self.lives, lives
        return (
            [key for key, life in was.items() if lives.get(key) != life],
            [key for key, life in lives.items() if was.get(key) != life],
        )

    def entries(self) -> tuple[Life, ...]:
        """
        Those this node knows itself, as others are told of them.

        Not those that it has only heard of: nodes that tell each other of one
        that none of them knows would never come to an end of it.
        """
        return tuple(sorted(self._met.items())[:NAMED_MAX])
