# -*- test-case-name: tests.nodosum.test_mesh -*-
"""
The mesh of links: performs what the cores decide, and feeds them.  (A shell.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Protocol as Interface
from typing import assert_never

import attrs
from twisted.internet.defer import Deferred

from mycorrizal.clock import HybridClock
from mycorrizal.nodosum import effects as do
from mycorrizal.nodosum.admission import RUNS_ALONE, Admission
from mycorrizal.nodosum.applications import Applications
from mycorrizal.nodosum.clients import Clients
from mycorrizal.nodosum.config import Address, NodosumConfig
from mycorrizal.nodosum.contacts import Contacts
from mycorrizal.nodosum.control import Control
from mycorrizal.nodosum.dialling import Dialling
from mycorrizal.nodosum.farewells import LinkEnd
from mycorrizal.nodosum.greeting import Greeted, Greeting, Reply
from mycorrizal.nodosum.lateness import TICK_S
from mycorrizal.nodosum.link import Link, Route
from mycorrizal.nodosum.membership import Membership
from mycorrizal.nodosum.peer import MemberEvent, Peer, SupportsLink
from mycorrizal.nodosum.protocol import (
    HelloProtocol,
    LinkFactory,
    LinkProtocol,
    TlsStarter,
)
from mycorrizal.nodosum.renewals import Renewals
from mycorrizal.nodosum.wire.events import Local
from mycorrizal.nodosum.wire.limits import Goodbye
from mycorrizal.nodosum.wire.version import NO_TICKET, Role
from mycorrizal.recorder import Recorder
from mycorrizal.runtime import Entropy, Runtime, Timer


class MeshListener(Interface):
    """Who is told of links and members."""

    def link_up(self, peer: Peer, link: Link) -> None: ...
    def link_down(self, peer: Peer, link: Link) -> None: ...
    def member_changed(self, event: MemberEvent) -> None: ...
    def id_taken(self, other: str) -> None: ...
    def reincarnated(self, incarnation: int) -> None: ...
    def turned_away(self, wait_s: float, other: str) -> None: ...
    def ticked(self, now: float) -> None: ...


class Mesh:
    """
    All connections of one node.

    :ivar clients: Links of Pulse.
    :ivar protocols: By link, the connection that its frames go out on.
    """

    def __init__(
        self,
        runtime: Runtime,
        config: NodosumConfig,
        local: Local,
        membership: Membership,
        applications: Applications,
        clock: HybridClock,
        tls: TlsStarter,
        listener: MeshListener,
        recorder: Recorder,
        *,
        host: str,
        version: str,
    ) -> None:
        self.runtime = runtime
        self.recorder = recorder
        self.membership = membership
        self.contacts = Contacts(hello=config.hello == "udp", random=runtime.random)
        self.admission = Admission(runtime, config, local, tls, self)
        self.control = Control(
            runtime, config, membership, clock, self, host=host, version=version
        )
        self.factory = LinkFactory(self.admission)
        self.hello = HelloProtocol(self.datagram_received)
        self.clients = Clients(self._dismiss)
        self.dialling = Dialling(runtime, config.handshake_timeout_s)
        self.protocols: dict[Link, LinkProtocol] = {}
        self.renewals = Renewals(self, config.keys)
        self.running = False
        self._config = config
        self._local = local
        self._applications = applications
        self._listener = listener
        self._listening: Address = config.listen
        self._ends: dict[Link, LinkEnd] = {}
        self._effects: deque[do.Effect] = deque()
        self._events: deque[MemberEvent] = deque()
        self._performing = False
        self._ticking: Timer | None = None

    # -- life -----------------------------------------------------------------

    def start(self, listening: Address) -> None:
        """Our ports are open: begin to look for others."""
        self.running = True
        self._listening = listening
        entropy = Entropy(self.runtime.random, self.runtime.token_bytes)
        self.greeting = Greeting(self._local, listening[1], entropy)
        self._tick()

    def leave(self) -> Deferred[None]:
        """
        Say goodbye to everybody, and dial nobody any more.

        :return: Fires when every connection is closed.
        """
        self.control.leaving = True
        self.perform(self.membership.leave())
        self.running = False
        if self._ticking is not None:
            self._ticking.cancel()
        for link, protocol in list(self.protocols.items()):
            link.goodbye(Goodbye.LEAVING)
            protocol.close()
        self.dialling.cancel()
        for protocol in self.admission.under_way():
            protocol.abort()
        return self.admission.when_closed()

    def reincarnate(self, incarnation: int) -> None:
        """Drop all links and begin again in another life."""
        self._local = attrs.evolve(self._local, incarnation=incarnation)
        self.admission.local = self.greeting.local = self._local
        self.abort()

    def abort(self) -> int:
        """Close what is still open by force; returns how many those were."""
        left = list(self.admission.connections)
        for protocol in left:
            protocol.abort()
        return len(left)

    def addresses(self, link: Link) -> tuple[Address, ...]:
        """Where others reach us, given a link that did."""
        host, port = self._listening
        if self._config.advertise is not None:
            return ((self._config.advertise[0], self._config.advertise[1] or port),)
        if host in ("0.0.0.0", "::", ""):
            transport = self.protocols[link].clear_transport
            host = transport.getHost().host.removeprefix("::ffff:")
        return ((host, port),)

    def _tick(self) -> None:
        if not self.running:
            return
        self._ticking = self.runtime.call_later(TICK_S, self._tick)
        now = self.runtime.now()
        self.perform(self.membership.tick(now))
        self.clients.tick(now)
        self.renewals.tick(now)
        self.look_now()
        self._listener.ticked(now)

    def look_now(self) -> None:
        """Ask, or dial, the addresses that are due."""
        now = self.runtime.now()
        self.perform(self.contacts.tick(now, self.membership.peers))

    # -- what the cores want --------------------------------------------------

    def perform(self, effects: Iterable[do.Effect]) -> None:
        """
        Do what a core asked for.  What comes of it is queued, and subscribers
        are told when no change is left to be made.
        """
        self._effects.extend(effects)
        if self._performing:
            return
        self._performing = True
        try:
            while self._effects or self._events:
                if self._effects:
                    self._perform(self._effects.popleft())
                else:
                    self._listener.member_changed(self._events.popleft())
        finally:
            self._performing = False

    def _perform(self, effect: do.Effect) -> None:
        match effect:
            case do.SendHello(address):
                self._send_hello(address)
            case do.Dial(address, node_key):
                self._dial(address, node_key)
            case do.SendWelcome(link):
                self.control.send_welcome(_real(link), self.addresses(_real(link)))
            case do.SendPeers(link, peers):
                self.control.send_peers(_real(link), peers)
            case do.SendSystem(link, message):
                self.control.send_system(_real(link), message)
            case do.SendPing(link, token):
                self.control.send_ping(_real(link), token)
            case do.CloseLink(link, reason, detail, text):
                self._close(_real(link), reason, detail, text)
            case do.LinkUp(peer, link):
                self._link_up(peer, _real(link))
            case do.LinkDown(peer, link):
                self._link_down(peer, _real(link))
            case do.Notify(event):
                self._events.append(event)
            case do.FoundOwnAddress(address):
                self.contacts.found_own(address, self.runtime.now())
            case do.IdTaken(other):
                self._listener.id_taken(other)
            case do.Reincarnate(incarnation):
                self._listener.reincarnated(incarnation)
            case do.ComeLater(wait_s, other):
                self._listener.turned_away(wait_s, other)
            case _:
                assert_never(effect)

    def _close(
        self, link: Link, reason: Goodbye | None, detail: int, text: str
    ) -> None:
        protocol = self.protocols.get(link)
        if protocol is None or link.closed:
            return
        if reason is None:
            link.abort()
        else:
            link.goodbye(reason, detail, text)
            protocol.close()
        if reason is Goodbye.RESTARTED:
            self.admission.turned_away(protocol, text)

    def _link_up(self, peer: Peer, link: Link) -> None:
        protocol = self.protocols.get(link)
        if protocol is None or link.closed:
            return
        protocol.clear_deadline()
        link.up = True
        link.peer_id = peer.node_id or ""
        self._applications.links[link.peer_id] = link
        self._listener.link_up(peer, link)

    def _link_down(self, peer: Peer, link: Link) -> None:
        if self._applications.links.get(link.peer_id) is link:
            del self._applications.links[link.peer_id]
        self._applications.link_lost(link)
        self._listener.link_down(peer, link)

    # -- dialling -------------------------------------------------------------

    def _dial(self, address: Address, node_key: bytes | None) -> None:
        if not self.running:
            return
        self.dialling.dial(
            address,
            lambda: LinkProtocol(self.admission, address, node_key),
            lambda refused: self._dial_failed(address, node_key, refused=refused),
        )

    def _dial_failed(
        self,
        address: Address,
        node_key: bytes | None,
        *,
        refused: bool = False,
        refusal: str | None = None,
    ) -> None:
        now = self.runtime.now()
        self.contacts.dial_failed(address, now, refusal)
        if node_key is not None:
            failed = self.membership.dial_failed(
                node_key, refused=refused, now=now, address=address
            )
            self.perform(failed)

    # -- UDP ------------------------------------------------------------------

    def _send_hello(self, address: Address) -> None:
        sent_ms = int(self.runtime.wall() * 1000)
        self.hello.send(self.greeting.hello(address, sent_ms), address)

    def datagram_received(self, data: bytes, address: Address) -> None:
        """A datagram came."""
        if not self.running:
            return
        now = self.runtime.now()
        for event in self.greeting.datagram_received(data, address, now):
            match event:
                case Reply(answer):
                    self.hello.send(answer, address)
                case Greeted():
                    self._greeted(event, now)

    def _greeted(self, greeted: Greeted, now: float) -> None:
        if greeted.asked and greeted.node_key != self._local.node_key:
            self.contacts.found(greeted.address, greeted.node_key)
        if not self._config.single:
            self.perform(self.membership.greeted(greeted, now))

    # -- what admission asks and tells ----------------------------------------

    def ticket_for(self, protocol: LinkProtocol) -> bytes:
        """The ticket that the other side gave us by UDP, or zeros."""
        if protocol.dialled is None:
            return NO_TICKET
        return self.greeting.ticket_for(protocol.dialled)

    def routes_for(self, role: Role) -> Mapping[bytes, Route]:
        """Which applications a peer or client reaches."""
        applications = self._applications
        is_node = role is Role.NODE
        return applications.routes if is_node else applications.client_routes

    def authenticated(self, protocol: LinkProtocol, link: Link) -> None:
        """A connection has become a link."""
        self.protocols[link] = protocol
        if link.remote.role is Role.CLIENT:
            self._client_authenticated(protocol, link)
            return
        if self._config.single:
            self._close(link, Goodbye.SINGLE, 0, "this node runs alone")
            return
        dialled, expected = protocol.dialled, protocol.expected_key
        if dialled is not None:
            if link.node_key != expected:
                self._dial_failed(dialled, expected)
            if link.node_key != self._local.node_key:
                self.contacts.found(dialled, link.node_key)
        self.perform(self.membership.authenticated(link, self.runtime.now()))

    def link_to(self, node_key: bytes) -> Link | None:
        """The one link that carries a peer's frames, if it is up."""
        peer = self.membership.peers.get(node_key)
        link = peer.link if peer is not None and peer.up else None
        return link if isinstance(link, Link) and link.up else None

    def _client_authenticated(self, protocol: LinkProtocol, link: Link) -> None:
        if not self.clients.admit(link, self.runtime.now()):
            return
        protocol.clear_deadline()
        link.peer_id = "pulse"
        self.control.send_client_welcome(link)
        link.up = True

    def _dismiss(self, link: Link, reason: Goodbye, text: str) -> None:
        self._close(link, reason, 0, text)

    def control_received(self, link: Link, kind: int, payload: bytes) -> None:
        """A frame of the link's own came."""
        self.control.control_received(link, kind, payload)

    def said_goodbye(self, link: Link, end: LinkEnd | None) -> None:
        """The other side closes a link in good order."""
        protocol = self.protocols[link]
        if end is not None:
            self._ends[link] = end
            if end.reason is Goodbye.SINGLE and protocol.dialled:
                self._dial_failed(protocol.dialled, None, refusal=RUNS_ALONE)
                self.admission.tell(protocol, RUNS_ALONE)
        link.lost()
        protocol.close()
        self.closed(protocol)

    def closed(self, protocol: LinkProtocol) -> None:
        """A connection is gone, or as good as gone."""
        link = protocol.link
        if protocol.spare:
            self.renewals.closed(protocol)
            return
        if link is None:
            if protocol.dialled is not None:
                self._dial_failed(
                    protocol.dialled, protocol.expected_key, refusal=protocol.refusal
                )
            return
        if self.protocols.pop(link, None) is None:
            return
        self.clients.forget(link)
        self.control.forget(link)
        self.renewals.link_closed(link)
        end = self._ends.pop(link, None)
        if link.remote.role is Role.NODE and not self._config.single:
            self.perform(self.membership.link_closed(link, end, self.runtime.now()))


def _real(link: SupportsLink) -> Link:
    # The cores know links by what they need of them; here they are all ours.
    assert isinstance(link, Link)
    return link
