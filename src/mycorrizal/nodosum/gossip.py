# -*- test-case-name: tests.nodosum.test_gossip -*-
"""
News of members that is told again, now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mycorrizal.backoff import jittered_s
from mycorrizal.nodosum.effects import SendPeers
from mycorrizal.nodosum.peer import Peer

#: How often a node tells one of the others whom it knows: what was lost on its
#: way before, or could not be made use of then, is made good in that time.
GOSSIP_S = 10.0


class Gossip:
    """
    The clock of one node's repeated news.

    :param random: Returns a float in [0, 1), for jitter and the choice.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._due_at: float | None = None

    def tick(self, members: Sequence[Peer], now: float) -> tuple[SendPeers, ...]:
        """
        Time has passed.

        :param members: The other members, in an order that every run has.
        """
        due_at = self._due_at
        if due_at is not None and now < due_at:
            return ()
        self._due_at = now + jittered_s(GOSSIP_S, self._random)
        linked = [peer for peer in members if peer.linked]
        if due_at is None or len(members) < 2 or not linked:
            return ()
        one = linked[int(self._random() * len(linked))]
        assert one.link is not None
        others = tuple(peer.entry for peer in members if peer is not one)
        return (SendPeers(one.link, others),)
