# -*- test-case-name: tests.nodosum.test_control -*-
"""
The frames that peers exchange about themselves, not for applications.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol as Interface

from mycorrizal.clock import HybridClock
from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.config import Address, NodosumConfig
from mycorrizal.nodosum.effects import Effect
from mycorrizal.nodosum.farewells import LinkEnd
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.membership import Membership
from mycorrizal.nodosum.messages import (
    ClientWelcome,
    PeerEntry,
    Peers,
    System,
    Welcome,
    decode,
    decode_system,
    encode,
)
from mycorrizal.nodosum.wire.limits import (
    PEERS_PER_FRAME_MAX,
    FrameType,
)
from mycorrizal.nodosum.wire.signals import decode_goodbye, decode_ping
from mycorrizal.nodosum.wire.version import Role
from mycorrizal.runtime import Runtime

#: Peers named in one frame take no more bytes than this, so that with our
#: labels they fit the smallest frame that a peer may ask for.
PEERS_BYTES_MAX = 24 * 1024
_OF_RENEWALS = (FrameType.RENEW, FrameType.READY, FrameType.MOVED)


class Renewing(Interface):
    """Who is told what peers say of links that move."""

    def received(self, link: Link, kind: int, payload: bytes) -> None: ...


class Performer(Interface):
    """Who performs what the cores decide, and closes links: the mesh."""

    @property
    def renewals(self) -> Renewing: ...

    def perform(self, effects: Iterable[Effect]) -> None: ...
    def said_goodbye(self, link: Link, end: LinkEnd | None) -> None: ...


class Control:
    """
    The control frames of one node's links.
    """

    def __init__(
        self,
        runtime: Runtime,
        config: NodosumConfig,
        membership: Membership,
        clock: HybridClock,
        performer: Performer,
        *,
        host: str,
        version: str,
    ) -> None:
        self.leaving = False
        self._runtime = runtime
        self._config = config
        self._membership = membership
        self._clock = clock
        self._performer = performer
        self._host = host
        self._version = version
        self._pings: dict[Link, tuple[int, float]] = {}

    # -- out ------------------------------------------------------------------

    def send_welcome(self, link: Link, addresses: tuple[Address, ...]) -> None:
        """
        Send WELCOME, and what it has no room for.

        :param addresses: Where others reach us.
        """
        first, *rest = _parts(self._membership.entries())
        welcome = Welcome(
            self._membership.me.node_id,
            self._host,
            self._config.labels,
            self._version,
            addresses,
            self._clock.last,
            self.leaving,
            first,
        )
        link.send_control(FrameType.WELCOME, encode(welcome))
        for part in rest:
            self.send_peers(link, part)

    def send_client_welcome(self, link: Link) -> None:
        """Send a client what it gets instead."""
        me = self._membership.me
        principal = self._config.keys.principal(link.remote.key.key_id)
        grants = () if principal is None else tuple(map(str, principal.grants))
        welcome = ClientWelcome(me.node_id, self._version, grants)
        link.send_control(FrameType.WELCOME, encode(welcome))

    def send_peers(self, link: Link, peers: tuple[PeerEntry, ...]) -> None:
        """Send news of peers."""
        for part in filter(None, _parts(peers)):
            link.send_control(FrameType.PEERS, encode(Peers(part)))

    def send_system(self, link: Link, message: System) -> None:
        """Send what members ask each other."""
        link.send_control(FrameType.SYSTEM, encode(message))

    def send_ping(self, link: Link, token: int) -> None:
        """Send PING, and remember when."""
        self._pings[link] = (token, self._runtime.now())
        link.ping(token, self._clock.last)

    def forget(self, link: Link) -> None:
        """A link is gone."""
        self._pings.pop(link, None)

    # -- in -------------------------------------------------------------------

    def control_received(self, link: Link, kind: int, payload: bytes) -> None:
        """
        A frame of the link's own came.

        :raises RemoteProtocolError: It is none, or not allowed here.
        """
        if kind == FrameType.PING:
            token, clock = decode_ping(payload)
            self._clock.observe(clock)
            link.pong(token, self._clock.last)
        elif kind == FrameType.GOODBYE:
            self._goodbye_received(link, payload)
        elif link.remote.role is Role.CLIENT:
            raise RemoteProtocolError(f"a client may not send frame type {kind}")
        elif kind == FrameType.PONG:
            self._pong_received(link, *decode_ping(payload))
        elif kind == FrameType.WELCOME:
            self._welcome_received(link, decode(Welcome, payload))
        elif kind == FrameType.PEERS and link.up:
            news = decode(Peers, payload)
            now = self._runtime.now()
            self._performer.perform(self._membership.learned(news.peers, now))
        elif kind == FrameType.SYSTEM and link.up:
            message, now = decode_system(payload), self._runtime.now()
            inquiries = self._membership.inquiries
            self._performer.perform(inquiries.received(link, message, now))
        elif kind in _OF_RENEWALS and link.up:
            self._performer.renewals.received(link, kind, payload)
        else:
            raise RemoteProtocolError(f"frame type {kind} is not expected here")

    def _welcome_received(self, link: Link, welcome: Welcome) -> None:
        if node_key_of(welcome.node_id) != link.node_key:
            raise RemoteProtocolError("WELCOME names another node than VERSION did")
        self._clock.observe(welcome.clock)
        now = self._runtime.now()
        self._performer.perform(self._membership.welcomed(link, welcome, now))

    def _pong_received(self, link: Link, token: int, clock: int) -> None:
        self._clock.observe(clock)
        now = self._runtime.now()
        asked, sent_at = self._pings.get(link, (None, 0.0))
        peer = self._membership.peers.get(link.node_key)
        if asked == token and peer is not None and peer.link is link:
            peer.rtt_s = now - sent_at
        self._performer.perform(self._membership.ponged(link, token, now))

    def _goodbye_received(self, link: Link, payload: bytes) -> None:
        reason, detail, text = decode_goodbye(payload)
        end = None if reason is None else LinkEnd(reason, detail, text)
        self._performer.said_goodbye(link, end)


def _parts(peers: tuple[PeerEntry, ...]) -> list[tuple[PeerEntry, ...]]:
    """Cut into what one frame may hold; of nobody, one part that is empty."""
    parts: list[list[PeerEntry]] = [[]]
    part_bytes = 0
    for peer in peers:
        peer_bytes = len(encode(peer))
        full = len(parts[-1]) >= PEERS_PER_FRAME_MAX
        if full or part_bytes + peer_bytes > PEERS_BYTES_MAX:
            parts.append([])
            part_bytes = 0
        parts[-1].append(peer)
        part_bytes += peer_bytes
    return [tuple(part) for part in parts]
