# -*- test-case-name: tests.nodosum.test_membership -*-
"""
Who is in the cluster, as this node sees it: a core without sockets or clock.

Each verb takes what happened and `now`, and returns what is to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from mycorrizal.nodosum import choice, liveness, redialling
from mycorrizal.nodosum.config import Address, NodosumConfig
from mycorrizal.nodosum.effects import (
    CloseLink,
    Dial,
    Effect,
    FoundOwnAddress,
    LinkDown,
    LinkUp,
    Notify,
    SendPeers,
    SendPing,
    SendWelcome,
)
from mycorrizal.nodosum.farewells import Farewells, LinkEnd, turn_away
from mycorrizal.nodosum.gossip import Gossip
from mycorrizal.nodosum.greeting import Greeted
from mycorrizal.nodosum.health import LocalHealth
from mycorrizal.nodosum.inquiries import ROUND_S, Inquiries
from mycorrizal.nodosum.messages import PeerEntry, Welcome
from mycorrizal.nodosum.peer import (
    Peer,
    PeerInput,
    PeerState,
    SupportsLink,
    distinct,
)
from mycorrizal.nodosum.returns import Mark, Returns
from mycorrizal.nodosum.wire.limits import Goodbye

#: How long the side that should dial is waited for.
DIAL_PATIENCE_S = 3.0
#: How long a peer that left, or died, is remembered.
LEFT_REMEMBERED_S = 60.0
DEAD_REMEMBERED_S = 3600.0
#: Peers remembered, dead ones included.
PEERS_MAX = 4096


@attrs.define
class Me:
    """
    This node.

    :ivar node_key: 16 bytes.
    :ivar address: Where others reach us, for messages to people.
    :ivar established: Whether this node has been ready: it then keeps its id
        against a newcomer.
    """

    node_id: str
    node_key: bytes
    incarnation: int
    address: str = ""
    established: bool = False


class Membership:
    """
    The table of peers and the rules that change it.

    :param random: Returns a float in [0, 1), for jitter.
    :ivar returns: Who joined a short while ago, and from where.
    :ivar farewells: What others have said to this node at the end.
    """

    def __init__(
        self, me: Me, config: NodosumConfig, random: Callable[[], float]
    ) -> None:
        self.me = me
        self.peers: dict[bytes, Peer] = {}
        self._config = config
        self.health = LocalHealth()
        self.inquiries = Inquiries(self.peers, config, self.health, random)
        self.returns = Returns()
        self.farewells = Farewells(me, self.peers)
        self._gossip = Gossip(random)
        self._random = random
        self._tokens = 0
        self._ticked_at: float | None = None
        self._pinged_at = float("-inf")

    def members(self) -> list[Peer]:
        """The other members, by node key."""
        return [peer for _, peer in sorted(self.peers.items()) if peer.member]

    def entries(self) -> tuple[PeerEntry, ...]:
        """The other members, as a newcomer is told of them."""
        return tuple(peer.entry for peer in self.members())

    # -- links ----------------------------------------------------------------

    def authenticated(self, link: SupportsLink, now: float) -> tuple[Effect, ...]:
        """A node at the other end of a link has proved itself."""
        if link.node_key == self.me.node_key:
            return self._met_ourselves(link)
        if now < self.farewells.waits_until:
            return (CloseLink(link, Goodbye.LEAVING),)
        peer = self._remember(link.node_key, link.incarnation, now)
        if peer is None:
            return (CloseLink(link),)
        if link.dialled is not None:
            peer.dialling = False
            peer.addresses = distinct(peer.addresses, (link.dialled,))
        return choice.link_offered(self.me.node_key, peer, link, self._token(), now)

    def _met_ourselves(self, link: SupportsLink) -> tuple[Effect, ...]:
        me = self.me
        if link.incarnation == me.incarnation:
            closing = CloseLink(link, Goodbye.SELF)
            if link.dialled is None:
                return (closing,)
            return (closing, FoundOwnAddress(link.dialled))
        if me.established or me.incarnation < link.incarnation:
            return (CloseLink(link, Goodbye.DUPLICATE_ID, text=me.address),)
        # The other one is older, and will tell us so.
        return ()

    def welcomed(
        self, link: SupportsLink, welcome: Welcome, now: float
    ) -> tuple[Effect, ...]:
        """WELCOME came on a link."""
        peer = self.peers.get(link.node_key)
        if peer is None:
            return (CloseLink(link),)
        contest = peer.contest
        if contest is not None and contest.newcomer is link:
            contest.welcome = welcome
            return ()
        if link is peer.link and not peer.up:
            return self._up(peer, link, welcome, now)
        if link not in peer.waiting:
            return (CloseLink(link),)
        peer.waiting.remove(link)
        closing = choice.drop_current(peer)
        peer.lost_at = now
        peer.link = link
        return (*closing, SendWelcome(link), *self._up(peer, link, welcome, now))

    def _up(
        self, peer: Peer, link: SupportsLink, welcome: Welcome, now: float
    ) -> tuple[Effect, ...]:
        reborn = peer.member and peer.life != link.incarnation
        events = peer.step(PeerInput.DIED, now) if reborn else ()
        if peer.life != link.incarnation:
            marks: tuple[Mark, ...] = peer.node_key, *distinct(welcome.addresses)
            named = link.incarnation == peer.named
            wait_s = self.returns.arrived(marks, now, welcome=named)
            if wait_s:
                lives = self.returns.lives(marks)
                away = turn_away(self.peers, peer, link, wait_s, lives)
                return (*away, *map(Notify, events))
        redialling.linked(peer, link.incarnation, now)
        peer.up, peer.life = True, link.incarnation
        peer.node_id, peer.host = welcome.node_id, welcome.host
        peer.labels, peer.version = welcome.labels, welcome.version
        peer.leaving = welcome.leaving
        peer.hearsay.refused_at = None
        dialled = () if link.dialled is None else (link.dialled,)
        peer.addresses = distinct(welcome.addresses, dialled)
        events += peer.step(PeerInput.WELCOMED, now)
        news: list[Effect] = []
        others = [other for other in self.members() if other is not peer]
        if events and others:
            # The newcomer too: who has joined since our WELCOME was not in it.
            news.append(SendPeers(link, tuple(other.entry for other in others)))
            news += [
                SendPeers(other.link, (peer.entry,))
                for other in others
                if other.link is not None and other.up
            ]
        learned = self.learned(welcome.peers, now)
        return (LinkUp(peer, link), *news, *map(Notify, events), *learned)

    def ponged(self, link: SupportsLink, token: int, now: float) -> tuple[Effect, ...]:
        """PONG came on a link."""
        peer = self.peers.get(link.node_key)
        if peer is None or peer.contest is None or peer.link is not link:
            return ()
        return choice.contest_kept(peer) if peer.contest.token == token else ()

    def link_closed(
        self, link: SupportsLink, end: LinkEnd | None, now: float
    ) -> tuple[Effect, ...]:
        """
        A link is gone.

        :param end: What GOODBYE said; None: it broke.
        """
        told = () if end is None else self.farewells.told(link, end, now)
        peer = self.peers.get(link.node_key)
        if peer is None:
            return told
        if link in peer.waiting:
            peer.waiting.remove(link)
        if peer.contest is not None and peer.contest.newcomer is link:
            peer.contest = None
        if peer.link is not link:
            if peer.link is None:
                redialling.failed(peer, now, self._random)
            return told
        down: tuple[Effect, ...] = (LinkDown(peer, link),) if peer.up else ()
        peer.link = None
        if end is not None and end.reason is Goodbye.LEAVING:
            events = peer.step(PeerInput.SAID_GOODBYE, now)
            peer.dial_at = float("inf")
        else:
            events = peer.step(PeerInput.LINK_CLOSED, now)
            peer.hearsay.ask_at = now + ROUND_S
            if peer.up:
                redialling.lost(peer, now, self._random)
            else:
                # Somebody is there who does not want us.
                redialling.failed(peer, now, self._random)
        peer.up = False
        return (*told, *down, *map(Notify, events), *self._newcomer_wins(peer, now))

    def _newcomer_wins(self, peer: Peer, now: float) -> tuple[Effect, ...]:
        contest, peer.contest = peer.contest, None
        if contest is None:
            return ()
        link, welcome = contest.newcomer, contest.welcome
        closing = choice.drop_current(peer)
        peer.lost_at = now
        chosen = choice.choose(self.me.node_key, peer, link)
        answer = () if welcome is None else self.welcomed(link, welcome, now)
        return (*closing, *chosen, *answer)

    # -- who is where ---------------------------------------------------------

    def greeted(self, greeted: Greeted, now: float) -> tuple[Effect, ...]:
        """A HELLO exchange told who is at an address."""
        address = greeted.address
        if greeted.node_key == self.me.node_key:
            if greeted.incarnation == self.me.incarnation:
                return (FoundOwnAddress(address),) if greeted.asked else ()
            return (Dial(address),) if greeted.asked else ()
        if now < self.farewells.waits_until:
            return ()
        peer = self._remember(greeted.node_key, greeted.incarnation, now)
        if peer is None or peer.link is not None or peer.dialling:
            return ()
        peer.addresses, peer.dials = distinct((address,), peer.addresses), 0
        peer.refused.pop(address, None)
        if choice.decides(self.me.node_key, peer):
            return (redialling.dial(peer),)
        redialling.soon(peer, now + DIAL_PATIENCE_S)
        return ()

    def learned(self, peers: Iterable[PeerEntry], now: float) -> tuple[Effect, ...]:
        """A peer told us of others: these are members, as it sees it."""
        effects: list[Effect] = []
        for entry in peers:
            full = len(self.peers) >= PEERS_MAX and entry.node_key not in self.peers
            if entry.node_key == self.me.node_key or full:
                continue
            peer = self._remember(entry.node_key, entry.incarnation, now)
            if peer is None:
                continue
            peer.named = max(entry.incarnation, peer.named or 0)
            if peer.link is not None or not entry.addresses:
                continue
            if entry.incarnation < peer.incarnation:
                continue
            returned = entry.incarnation > peer.incarnation
            if returned and peer.member:
                # Somebody has met a later life of it: this one is over.
                effects += liveness.give_up(peer, now)
            peer.described(entry)
            peer.addresses = distinct(entry.addresses, peer.addresses)
            if peer.state is PeerState.JOINING or returned:
                patient = not choice.decides(self.me.node_key, peer)
                redialling.soon(peer, now + DIAL_PATIENCE_S * patient)
            elif peer.state is PeerState.DEAD and now >= peer.hearsay.ask_at:
                effects += self.inquiries.ask(peer, now)
        return tuple(effects)

    def dial_failed(
        self,
        node_key: bytes,
        *,
        refused: bool,
        now: float,
        address: Address | None = None,
    ) -> tuple[Effect, ...]:
        """
        A peer could not be dialled.

        :param refused: Its machine answered that nothing listens there.
        :param address: Where.
        """
        peer = self.peers.get(node_key)
        if peer is None:
            return ()
        peer.dialling = False
        if peer.link is not None:
            return ()
        if refused and redialling.refused(peer, address):
            return (redialling.dial(peer),)
        peer.refused.clear()
        effects: list[Effect] = []
        if refused:
            effects += self.inquiries.refused(peer, now)
        elif not peer.member:
            # Others may have a link to it all the same.
            effects += self.inquiries.ask(peer, now)
        redialling.failed(peer, now, self._random)
        return tuple(effects)

    # -- time -----------------------------------------------------------------

    def tick(self, now: float) -> tuple[Effect, ...]:
        """Time has passed; call this a few times a second."""
        before, self._ticked_at = self._ticked_at, now
        stall_s = 0.0 if before is None else now - before
        effects: list[Effect] = []
        if stall_s >= self._config.dead_after_s:
            effects += liveness.overslept(self.peers.values(), now)
        elif stall_s > liveness.OWN_STALL_S:
            liveness.forgive(self.peers.values(), stall_s, now)
        self.health.stalled(stall_s)
        ping = now - self._pinged_at >= self._config.ping_interval_s
        if ping:
            self._pinged_at = now
            self.health.clean()
            effects += self._gossip.tick(self.members(), now)
        effects += self.farewells.tick(now)
        self.inquiries.forget(now)
        for peer in list(self.peers.values()):
            contest = peer.contest
            if contest is not None and now >= contest.until:
                effects += self._newcomer_wins(peer, now)
            effects += liveness.check(peer, self._config, now, self.health.stretch)
            effects += self.inquiries.look(peer, now)
            if peer.link is not None and peer.up:
                if ping:
                    effects.append(SendPing(peer.link, self._token()))
            elif peer.link is None and not peer.waiting and not peer.dialling:
                if now >= peer.dial_at and peer.addresses:
                    effects.append(redialling.dial(peer))
            self._forget(peer, now)
        return tuple(effects)

    def _forget(self, peer: Peer, now: float) -> None:
        left = peer.state is PeerState.LEFT
        remembered_s = LEFT_REMEMBERED_S if left else DEAD_REMEMBERED_S
        if peer.idle and now - peer.since > remembered_s:
            del self.peers[peer.node_key]

    def leave(self) -> tuple[Effect, ...]:
        """Say goodbye to everybody."""
        return self.farewells.leave()

    # -- the table ------------------------------------------------------------

    def _remember(self, node_key: bytes, incarnation: int, now: float) -> Peer | None:
        if node_key not in self.peers:
            if len(self.peers) >= PEERS_MAX:
                # Who is here counts more than who may have been once.
                idle = [peer for peer in self.peers.values() if peer.idle]
                if not idle:
                    return None
                del self.peers[min(idle, key=lambda peer: peer.since).node_key]
            self.peers[node_key] = Peer(node_key, incarnation, now)
        return self.peers[node_key]

    def _token(self) -> int:
        self._tokens += 1
        return self._tokens
