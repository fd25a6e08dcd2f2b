# -*- test-case-name: tests.nodosum.test_liveness -*-
"""
Who is alive, judged by what was heard and when; and by a node that looks at
its own pulse first.
"""

from __future__ import annotations

from collections.abc import Iterable

from mycorrizal.nodosum import choice, redialling
from mycorrizal.nodosum.config import NodosumConfig
from mycorrizal.nodosum.effects import Effect, Notify
from mycorrizal.nodosum.peer import Hearsay, Peer, PeerInput

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
        peer.lost_at = min(now, peer.lost_at + stall_s)
        hearsay = peer.hearsay
        hearsay.heard_at = min(now, hearsay.heard_at + stall_s)
        if hearsay.refused_at is not None:
            hearsay.refused_at = min(now, hearsay.refused_at + stall_s)


def overslept(peers: Iterable[Peer], now: float) -> list[Effect]:
    """
    We did not listen for so long that the others have given us up.

    What waits in our links' buffers was sent before that, and has been done by
    others since: it must not be done again on top of what came later.  So all
    links are dropped unread, and we go back as one who was away.
    """
    effects: list[Effect] = []
    for peer in peers:
        effects += give_up(peer, now)
        peer.contest = None
        peer.dial_at = now
    return effects


def give_up(peer: Peer, now: float) -> list[Effect]:
    """The peer is dead, for all that can be known."""
    closing = choice.drop_current(peer)
    peer.hearsay = Hearsay(ask_at=now)
    if not peer.member:
        return [*closing]
    return [*closing, *map(Notify, peer.step(PeerInput.DIED, now))]


def check(
    peer: Peer, config: NodosumConfig, now: float, stretch: float = 1.0
) -> list[Effect]:
    """
    Suspect a member that nobody hears, and give it up in the end; and give up
    a link that is silent while its peer lives.

    :param stretch: What our times are multiplied by, if we were held up
        ourselves: `LocalHealth.stretch`.
    """
    if not peer.member:
        return []
    suspect_s = config.suspect_after_s * stretch
    silent_s = now - peer.heard_at
    link = peer.link if peer.up else None
    if silent_s >= config.dead_after_s * stretch:
        closing = give_up(peer, now)
        if link is not None:
            peer.dial_at = now
        return closing
    effects: list[Effect] = []
    if link is not None and peer.hearsay.heard_at - link.heard_at >= suspect_s:
        # It has been alive all the time: what is broken is the way to us.
        effects += choice.drop_current(peer)
        peer.lost_at = link.heard_at
        peer.dial_at = now
        link = None
    if link is None and peer.hearsay.heard_at <= peer.lost_at:
        peer.step(PeerInput.LINK_CLOSED, now)
    else:
        if link is None:
            redialling.vouched(peer)
        silent = silent_s >= suspect_s
        peer.step(PeerInput.SILENT if silent else PeerInput.HEARD, now)
    return effects
