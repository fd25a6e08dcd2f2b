# -*- test-case-name: tests.nodosum.test_farewells -*-
"""
What is said at the end of a link, and what it means for who hears it.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

import attrs

from mycorrizal.nodosum.config import format_address
from mycorrizal.nodosum.effects import (
    CloseLink,
    ComeLater,
    Effect,
    FoundOwnAddress,
    IdTaken,
    Notify,
    Reincarnate,
)
from mycorrizal.nodosum.peer import Peer, PeerInput, SupportsLink
from mycorrizal.nodosum.wire.limits import INCARNATION_MAX, Goodbye
from mycorrizal.restarts import PAUSE_MAX_S, SHORT_LIFE_S

if TYPE_CHECKING:
    from mycorrizal.nodosum.membership import Me

#: How long a node that was turned away by one listens to what others say: each of
#: them is to count it, and the longest wait is the one that all have in mind.
VERDICTS_S: Final = 0.5


@attrs.frozen
class LinkEnd:
    """How a link ended in good order: the GOODBYE that came."""

    reason: Goodbye
    detail: int = 0
    text: str = ""


class Farewells:
    """
    What others have said to this node at the end of their links.

    :param peers: The table of peers.
    :ivar waits_until: Until when it parts from everybody who comes, monotonic.
    """

    def __init__(self, me: Me, peers: dict[bytes, Peer]) -> None:
        self.waits_until = float("-inf")
        self._me = me
        self._peers = peers
        self._decide_at: float | None = None
        self._let_in_at = 0.0
        self._other = ""

    def told(self, link: SupportsLink, end: LinkEnd, now: float) -> tuple[Effect, ...]:
        """A peer has closed a link, and said why."""
        me = self._me
        if end.reason is Goodbye.DUPLICATE_ID:
            return (IdTaken(end.text or format_address(link.address)),)
        if end.reason is Goodbye.STALE_INCARNATION:
            # Else it was said to an earlier life of ours, or is no number.
            if me.incarnation < end.detail < INCARNATION_MAX:
                return (Reincarnate(end.detail + 1),)
        if end.reason is Goodbye.SELF and link.dialled is not None:
            return (FoundOwnAddress(link.dialled),)
        if end.reason is Goodbye.RESTARTED and not me.established:
            wait_s = min(PAUSE_MAX_S, end.detail / 1000)
            if self._decide_at is None:
                self._decide_at, self._let_in_at = now + VERDICTS_S, now
            if now + wait_s > self._let_in_at:
                self._let_in_at = now + wait_s
                peer = self._peers.get(link.node_key)
                known = peer.addresses if peer is not None else ()
                self._other = format_address(known[0] if known else link.address)
        return ()

    @property
    def undecided(self) -> bool:
        """Whether this node was turned away by one, and others may let it in."""
        return self._decide_at is not None

    def tick(self, now: float) -> tuple[Effect, ...]:
        """
        Time has passed.  Who was turned away, and let in by nobody, parts from all
        and waits.  Who is let in by one will be by all: they tell each other.
        """
        if self._decide_at is None or now < self._decide_at:
            return ()
        self._decide_at = None
        if any(peer.up for peer in self._peers.values()):
            return ()
        effects = list(self.leave())
        for peer in self._peers.values():
            effects += map(Notify, peer.step(PeerInput.SAID_GOODBYE, now))
        self._peers.clear()
        self.waits_until = self._let_in_at
        return (*effects, ComeLater(max(0.0, self.waits_until - now), self._other))

    def leave(self) -> tuple[Effect, ...]:
        """Say goodbye to everybody."""
        return tuple(
            CloseLink(link, Goodbye.LEAVING)
            for peer in self._peers.values()
            for link in (peer.link, *peer.waiting)
            if link is not None
        )


def turn_away(
    peers: dict[bytes, Peer], peer: Peer, link: SupportsLink, wait_s: float, lives: int
) -> tuple[Effect, ...]:
    """
    Let a node that comes in one short life after the other wait, and be as if it
    had not come.
    """
    others = [other for other in peer.waiting if other is not link]
    peer.link, peer.up, peer.contest, peer.waiting = None, False, None, []
    if peer.life is None:
        del peers[peer.node_key]
    else:
        # What is over is its last life; this one is none that counts.
        peer.incarnation, peer.dial_at = peer.life, float("inf")
    text = (
        f"it has come {lives} times in a row, each time less than {SHORT_LIFE_S:g} s "
        f"after the last, and is let in after {wait_s:.1f} s"
    )
    closing = CloseLink(link, Goodbye.RESTARTED, ceil(wait_s * 1000), text)
    return (closing, *map(CloseLink, others))
