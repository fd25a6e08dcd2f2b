# -*- test-case-name: tests.nodosum.test_liveness -*-
"""
Who is alive, judged by what was heard and when; and by a node that looks at
its own pulse first.
"""

from __future__ import annotations

from collections.abc import Iterable

from mycorrizal.nodosum import choice
from mycorrizal.nodosum.config import NodosumConfig
from mycorrizal.nodosum.effects import Effect, Notify
from mycorrizal.nodosum.peer import Peer, PeerInput

#: A look at the clock that comes later than this was held up by ourselves.
OWN_STALL_S = 0.5


def forgive(peers: Iterable[Peer], stall_s: float, now: float) -> None:
    """
    We did not listen for a while, so nobody can be blamed for it.

    (Lifeguard, Dadgar et al., 2018, has the idea that a member should doubt
    itself before it accuses others.)
    """
    for peer in peers:
        if peer.link is not None:
            peer.link.heard_at = min(now, peer.link.heard_at + stall_s)
        if peer.contest is not None:
            peer.contest.until += stall_s
        peer.since = min(now, peer.since + stall_s)


def overslept(peers: Iterable[Peer], now: float) -> list[Effect]:
    """
    We did not listen for so long that the others have given us up.

    What waits in our links' buffers was sent before that, and has been done by
    others since: it must not be done again on top of what came later.  So all
    links are dropped unread, and we go back as one who was away.
    """
    effects: list[Effect] = []
    for peer in peers:
        effects += choice.drop_current(peer)
        peer.contest = None
        peer.dial_at = now
        if peer.member:
            effects += map(Notify, peer.step(PeerInput.DIED, now))
    return effects


def check(peer: Peer, config: NodosumConfig, now: float) -> list[Effect]:
    """Suspect a member that is silent, and give it up in the end."""
    if not peer.member:
        return []
    link = peer.link
    if link is None or not peer.up:
        peer.step(PeerInput.LINK_CLOSED, now)
        if now - peer.since < config.dead_after_s:
            return []
        return list(map(Notify, peer.step(PeerInput.DIED, now)))
    silent_s = now - link.heard_at
    if silent_s >= config.dead_after_s:
        closing = choice.drop_current(peer)
        peer.dial_at = now
        return [*closing, *map(Notify, peer.step(PeerInput.DIED, now))]
    silent = silent_s >= config.suspect_after_s
    peer.step(PeerInput.SILENT if silent else PeerInput.HEARD, now)
    return []
