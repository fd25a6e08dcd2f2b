# -*- test-case-name: tests.nodosum.test_choice -*-
"""
Which of several links to one peer stays.

The side with the lower node key decides, by sending WELCOME on the link it
keeps.  A link that works is never given up for a second one; whether it works
is asked by a ping.
"""

from __future__ import annotations

from mycorrizal.nodosum.config import format_address
from mycorrizal.nodosum.effects import (
    CloseLink,
    Effect,
    LinkDown,
    SendPing,
    SendWelcome,
)
from mycorrizal.nodosum.peer import Contest, Peer, SupportsLink
from mycorrizal.nodosum.wire.limits import Goodbye

#: How long a working link may take to answer when a second one appears.
CONTEST_S = 1.0
#: Authenticated links of one peer that wait to be chosen.
WAITING_LINKS_MAX = 4


def decides(node_key: bytes, peer: Peer) -> bool:
    """Whether the node with `node_key` decides, and not the peer."""
    return node_key < peer.node_key


def link_offered(
    node_key: bytes, peer: Peer, link: SupportsLink, token: int, now: float
) -> tuple[Effect, ...]:
    """
    A link to the peer was authenticated.

    :param node_key: Our own.
    :param token: For a ping, if one is needed.
    """
    if link.incarnation < peer.incarnation:
        return (CloseLink(link, Goodbye.STALE_INCARNATION, peer.incarnation),)
    current = peer.link
    if current is None:
        return choose(node_key, peer, link)
    if peer.contest is not None:
        return (CloseLink(link, Goodbye.DUPLICATE_LINK),)
    if link.incarnation != current.incarnation or decides(node_key, peer):
        peer.contest = Contest(link, token, now + CONTEST_S)
        return (SendPing(current, token),)
    return _wait(peer, link)


def choose(node_key: bytes, peer: Peer, link: SupportsLink) -> tuple[Effect, ...]:
    """Keep this link, or, if the peer decides, let it wait for the choice."""
    peer.incarnation = link.incarnation
    if decides(node_key, peer):
        peer.link = link
        return (SendWelcome(link),)
    # Its earlier lives have nothing to choose from any more.
    stale = [old for old in peer.waiting if old.incarnation < link.incarnation]
    for old in stale:
        peer.waiting.remove(old)
    return (*map(CloseLink, stale), *_wait(peer, link))


def _wait(peer: Peer, link: SupportsLink) -> tuple[Effect, ...]:
    if len(peer.waiting) >= WAITING_LINKS_MAX:
        return (CloseLink(link, Goodbye.DUPLICATE_LINK),)
    peer.waiting.append(link)
    return ()


def contest_kept(peer: Peer) -> tuple[Effect, ...]:
    """The present link answered: the newcomer goes."""
    contest, current = peer.contest, peer.link
    assert contest is not None and current is not None
    peer.contest = None
    if contest.newcomer.incarnation == current.incarnation:
        return (CloseLink(contest.newcomer, Goodbye.DUPLICATE_LINK),)
    place = peer.addresses[0] if peer.addresses else current.address
    text = format_address(place)
    return (CloseLink(contest.newcomer, Goodbye.DUPLICATE_ID, text=text),)


def drop_current(peer: Peer) -> tuple[Effect, ...]:
    """Close the present link without a word."""
    link, was_up = peer.link, peer.up
    peer.link, peer.up = None, False
    if link is None:
        return ()
    closing = CloseLink(link)
    return (closing, LinkDown(peer, link)) if was_up else (closing,)
