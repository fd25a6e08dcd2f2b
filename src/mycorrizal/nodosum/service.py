# -*- test-case-name: tests.nodosum.test_service -*-
"""
Nodosum as a Twisted service: ports, discovery, readiness, leaving.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn
from typing import Protocol as Interface

import attrs
from twisted.application.service import MultiService
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from mycorrizal.clock import HybridClock
from mycorrizal.errors import (
    AuthenticationError,
    CannotListen,
    DiscoveryError,
    DuplicateNodeId,
    NotReady,
    NotRunning,
)
from mycorrizal.nodosum.acl import cluster_tag, node_key_of
from mycorrizal.nodosum.applications import Applications
from mycorrizal.nodosum.arrival import Arrival
from mycorrizal.nodosum.config import Address, NodosumConfig, format_address
from mycorrizal.nodosum.discovery import Announcement, IDiscovery, StaticDiscovery
from mycorrizal.nodosum.discovery.pacing import pause
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.membership import Me, Membership
from mycorrizal.nodosum.mesh import Mesh
from mycorrizal.nodosum.peer import MemberEvent, Node, Peer, PeerState
from mycorrizal.nodosum.ports import Ports
from mycorrizal.nodosum.protocol import TlsStarter
from mycorrizal.nodosum.readiness import Readiness
from mycorrizal.nodosum.rounds import Rounds
from mycorrizal.nodosum.wire.compression import offered
from mycorrizal.nodosum.wire.events import Local
from mycorrizal.nodosum.wire.limits import Feature
from mycorrizal.nodosum.witness import Witness
from mycorrizal.recorder import Kind, Recorder
from mycorrizal.runtime import Runtime


class LinkListener(Interface):
    """Who wants to know of links that come up and go down."""

    def link_up(self, peer: Peer, link: Link) -> None: ...
    def link_down(self, peer: Peer, link: Link) -> None: ...


class NodosumService(MultiService):
    """
    The cluster layer of one node.

    :param node_id: Unique in the cluster.
    :param incarnation: Higher at each start of the node.
    :param host: Names the machine.
    :param version: Of the software, shown to others.
    :ivar rounds: The ways of discovery.
    :ivar arrival: How this node comes in.
    :ivar recorder: Keeps what happens to this node.
    :ivar listening: Whether our ports are open, and `address` is known.
    :ivar tables_held: Whether a linked member's tables are here; the layer
        above sets it.
    :ivar incarnation_changed: Called when others make us take another
        incarnation.
    """

    _log = Logger()

    def __init__(
        self,
        runtime: Runtime,
        config: NodosumConfig,
        *,
        node_id: str,
        incarnation: int,
        host: str,
        version: str,
        tls: TlsStarter,
        clock: HybridClock,
    ) -> None:
        super().__init__()
        self.setName("nodosum")
        self.runtime = runtime
        self.config = config
        self.clock = clock
        self.applications = Applications(runtime)
        self.recorder = Recorder(runtime.wall, clock, node_id)
        self.witness = Witness(self.recorder, runtime.now)
        self.me = Me(node_id, node_key_of(node_id), incarnation)
        self.membership = Membership(self.me, config, runtime.random)
        self.tables_held: Callable[[bytes], bool] = lambda node_key: True
        self.incarnation_changed: Callable[[int], None] = lambda incarnation: None
        self.listening = Readiness()
        self.readiness = Readiness()
        self.address: Address = config.listen
        self._local = Local(
            self.me.node_key,
            incarnation,
            cluster_tag(config.cluster_name),
            config.keys,
            config.tls != "off",
            features=offered(config.compression) | Feature.RENEWAL,
            frame_bytes_max=config.frame_bytes_max,
        )
        self._host = host
        self._version = version
        self.tls = tls
        self._ports: Ports | None = None
        self._paused: Deferred[None] = succeed(None)
        #: By an object that stands for each subscription.
        self._subscribers: dict[object, Callable[[MemberEvent], object]] = {}
        self._link_listeners: list[LinkListener] = []
        self.mesh = self._make_mesh()
        self.rounds = Rounds(runtime, self._found)
        self.arrival = Arrival(
            self.membership, self.mesh.contacts, self.rounds, config.ready_timeout_s
        )

    def _make_mesh(self) -> Mesh:
        return Mesh(
            self.runtime,
            self.config,
            self._local,
            self.membership,
            self.applications,
            self.clock,
            self.tls,
            self,
            self.recorder,
            host=self._host,
            version=self._version,
        )

    # -- what others may ask --------------------------------------------------

    def nodes(self) -> tuple[Node, ...]:
        """This node and its peers, sorted by id."""
        peers = self.membership.peers.values()
        found = [self.node, *(self.seen(peer) for peer in peers if peer.node_id)]
        return tuple(sorted(found, key=lambda node: node.id))

    @property
    def node(self) -> Node:
        """This node."""
        state = PeerState.ALIVE if self.me.established else PeerState.JOINING
        host, port = self._advertised()
        if host in ("0.0.0.0", "::", ""):
            # Each peer reaches us at an address of its own; people know a name.
            host = self._host or host
        address = format_address((host, port))
        return Node(self.me.node_id, address, state.value, dict(self.config.labels))

    def link_to(self, node_key: bytes) -> Link | None:
        """The link that is up to a peer, if there is one."""
        return self.mesh.link_to(node_key)

    def way_to(self, node_key: bytes) -> Link | None:
        """
        The link to a member that hears a node in our place; None also if we
        have a link to that node ourselves.
        """
        peer = self.membership.peers.get(node_key)
        if peer is None or peer.linked:
            return None
        link = self.membership.inquiries.way_to(peer)
        return link if isinstance(link, Link) and link.up else None

    def seen(self, peer: Peer) -> Node:
        """A peer as this node sees it, and by whom if it has no link to it."""
        way = None if peer.linked else self.way_to(peer.node_key)
        return peer.node if way is None else attrs.evolve(peer.node, via=way.peer_id)

    def subscribe(self, receive: Callable[[MemberEvent], object]) -> Callable[[], None]:
        """
        Be told when members join, leave or die.

        :param receive: Called with `MemberJoined`, `MemberLeft` or
            `MemberDied`; an error in it is logged.
        :return: Ends this subscription, and no other of the same function.
        """
        subscription = object()
        self._subscribers[subscription] = receive

        def end() -> None:
            self._subscribers.pop(subscription, None)

        return end

    def listen_to_links(self, listener: LinkListener) -> None:
        """Be told of each link that comes up or goes down."""
        self._link_listeners.append(listener)

    def _advertised(self) -> Address:
        if self.config.advertise is not None:
            return self.config.advertise[0], self.config.advertise[1] or self.address[1]
        return self.address

    # -- life -----------------------------------------------------------------

    def startService(self) -> None:
        """
        Open our ports and begin to look for others, now or after
        ``start_pause_s``.

        :raises CannotListen: A port is taken; after a pause, `readiness` fails
            with it.
        """
        super().startService()
        pause_s = self.config.start_pause_s
        if not pause_s:
            self._resolve()
            return
        self._log.warn(
            "This node has been restarted again and again, each time soon after it "
            "had started: it waits {pause_s:g} s before it joins",
            pause_s=pause_s,
        )
        paused = pause(self.runtime, pause_s)
        self._paused = paused.addCallback(lambda _: self._resolve())
        self._paused.addErrback(self._not_opened)

    def _not_opened(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.readiness.failed(failure)

    def _resolve(self) -> None:
        host, port = self.config.listen
        if not host or isIPAddress(host) or isIPv6Address(host.partition("%")[0]):
            self._open(self.config.listen)
            return
        lookup = StaticDiscovery(self.runtime, ((host, port),)).discover()
        lookup.addCallbacks(lambda found: self._open(found[0]), self._no_address)
        lookup.addErrback(self.readiness.failed)

    def _no_address(self, failure: Failure) -> NoReturn:
        failure.trap(DiscoveryError)
        address = format_address(self.config.listen)
        raise CannotListen(address, "that name has no address") from None

    def _open(self, listen: Address) -> None:
        if not self.running:
            return
        self._ports = Ports.open(
            self.runtime.reactor, listen, self.mesh.factory, self.mesh.hello
        )
        self.address = self._ports.address
        self.me.address = self.node.address
        self.applications.running = True
        self.arrival.begin(self.runtime.now())
        self.witness.started(format_address(self.address), self._version)
        self.listening.succeeded()
        self.mesh.start(self.address)
        self.rounds.start(self._announcement())

    def leave(self) -> Deferred[None]:
        """
        Say goodbye to everybody; the first half of stopping.

        :return: Fires when all connections are closed.
        """
        self.applications.running = False
        self._paused.cancel()
        withdrawn = self.rounds.stop()
        for waited_for in (self.listening, self.readiness):
            waited_for.ended(Failure(NotRunning()))
        if self._ports is None:
            return succeed(None)
        self.recorder.note(Kind.LEFT, "This node leaves the cluster")
        ports, self._ports = self._ports, None
        # Nobody may come in while the others go out.
        closed = ports.close_tcp()
        left = self.mesh.leave().addCallback(lambda _: closed)
        left.addCallback(lambda _: withdrawn)
        return left.addCallback(lambda _: ports.close_udp()).addCallback(lambda _: None)

    def disown(self) -> None:
        """This process was forked from ours: what is open is that one's."""
        self.applications.disown()
        self.mesh.running = False
        self.mesh.admission.disown()
        if self._ports is not None:
            self._ports.disown()

    def stopService(self) -> Deferred[None]:
        """
        Leave the cluster and close everything.

        :return: Fires when no connection or port is open any more.
        """
        stopped: Any = super().stopService()
        return self.leave().addCallback(lambda _: stopped)

    # -- discovery ------------------------------------------------------------

    def add_discovery(self, discovery: IDiscovery) -> None:
        """Look for others in this way too, unless we run alone."""
        if not self.config.single:
            self.rounds.add(discovery)

    def _announcement(self) -> Announcement:
        return Announcement(
            self.me.node_id,
            self.config.cluster_name,
            self._advertised(),
            self._version,
        )

    def _found(self, addresses: list[Address]) -> None:
        now = self.runtime.now()
        self.mesh.contacts.discovered(addresses, now)
        for own in (self.address, self._advertised()):
            self.mesh.contacts.found_own(own, now)
        self.mesh.look_now()

    # -- what the mesh tells --------------------------------------------------

    def link_up(self, peer: Peer, link: Link) -> None:
        """A link carries frames."""
        self.witness.link_up(peer, link)
        for listener in self._link_listeners:
            listener.link_up(peer, link)

    def link_down(self, peer: Peer, link: Link) -> None:
        """A link carries frames no more."""
        self.witness.link_down(peer, link)
        for listener in self._link_listeners:
            listener.link_down(peer, link)

    def member_changed(self, event: MemberEvent) -> None:
        """Somebody joined, left or died."""
        self.witness.member_changed(event)
        for subscription, receive in list(self._subscribers.items()):
            if subscription not in self._subscribers:
                continue  # One before has ended it.
            try:
                receive(event)
            except Exception:
                self._log.failure("A subscriber failed on {event}", event=event)

    def id_taken(self, other: str) -> None:
        """A live node has our id."""
        error = DuplicateNodeId(self.me.node_id, self.me.address, other)
        self.recorder.note(Kind.CONFLICT, str(error), address=other)
        if self.me.established:
            self._log.error("{problem}", problem=str(error))
        else:
            self.readiness.failed(Failure(error))

    def reincarnated(self, incarnation: int) -> None:
        """Others know a later life of this node: begin another."""
        self.me.incarnation = incarnation
        self._log.info(
            "Others know incarnation {known} of this node; it goes on as {incarnation}",
            known=incarnation - 1,
            incarnation=incarnation,
        )
        self.incarnation_changed(incarnation)
        self.mesh.reincarnate(incarnation)

    def turned_away(self, wait_s: float, other: str) -> None:
        """We come again and again, and are let in by nobody for a while."""
        self.arrival.begin_anew(self.runtime.now() + wait_s)
        sentence = (
            "{other} has seen a node come from here again and again, each time soon "
            "after the last: this node waits {wait_s:.1f} s before it joins"
        )
        self._log.warn(sentence, other=other, wait_s=wait_s)
        text = sentence.format(other=other, wait_s=wait_s)
        self.recorder.note(Kind.REFUSED, text, address=other, wait_s=wait_s)

    def ticked(self, now: float) -> None:
        """Time has passed."""
        self.witness.look(self.membership.peers.values())
        if self.readiness.pending:
            self._check_ready(now)

    def _check_ready(self, now: float) -> None:
        try:
            if not self.arrival.ready(now, self.tables_held):
                return
        except (AuthenticationError, NotReady):
            self.readiness.failed(Failure())
            return
        self.me.established = True
        self.recorder.note(Kind.READY, "This node is ready")
        self.readiness.succeeded()
