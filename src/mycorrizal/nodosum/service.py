# -*- test-case-name: tests.nodosum.test_service -*-
"""
Nodosum as a Twisted service: ports, discovery, readiness, leaving.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn
from typing import Protocol as Interface

from twisted.application.service import MultiService
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, succeed
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
from mycorrizal.nodosum.config import Address, NodosumConfig, format_address
from mycorrizal.nodosum.discovery import IDiscovery, StaticDiscovery
from mycorrizal.nodosum.link import Link
from mycorrizal.nodosum.membership import Me, Membership
from mycorrizal.nodosum.mesh import Mesh
from mycorrizal.nodosum.peer import MemberEvent, Node, Peer, PeerState
from mycorrizal.nodosum.ports import Ports
from mycorrizal.nodosum.protocol import TlsStarter
from mycorrizal.nodosum.readiness import Readiness
from mycorrizal.nodosum.wire.compression import offered
from mycorrizal.nodosum.wire.events import Local
from mycorrizal.runtime import Runtime, Timer

#: How many discovered addresses are looked at.
ADDRESSES_MAX = 256
#: First and longest pause after a round of discovery that failed.
DISCOVERY_PAUSE_MIN_S = 1.0
DISCOVERY_PAUSE_MAX_S = 30.0


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
            features=offered(config.compression),
            frame_bytes_max=config.frame_bytes_max,
        )
        self._host = host
        self._version = version
        self._tls = tls
        self._ports: Ports | None = None
        self._began_at = 0.0
        self._discovery_problem = "no answer yet"
        self._discoveries: list[IDiscovery] = []
        self._found: dict[IDiscovery, list[Address]] = {}
        self._rounds: dict[IDiscovery, Timer] = {}
        self._lookups: dict[Deferred[Any], None] = {}
        self._subscribers: list[Callable[[MemberEvent], object]] = []
        self._link_listeners: list[LinkListener] = []
        self.mesh = self._make_mesh()
        if config.static and not config.single:
            self._discoveries.append(StaticDiscovery(runtime, config.static))

    def _make_mesh(self) -> Mesh:
        return Mesh(
            self.runtime,
            self.config,
            self._local,
            self.membership,
            self.applications,
            self.clock,
            self._tls,
            self,
            host=self._host,
            version=self._version,
        )

    # -- what others may ask --------------------------------------------------

    def nodes(self) -> tuple[Node, ...]:
        """This node and its peers, sorted by id."""
        peers = self.membership.peers.values()
        found = [self.node, *(peer.node for peer in peers if peer.node_id)]
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
        peer = self.membership.peers.get(node_key)
        if peer is None or not peer.up or not isinstance(peer.link, Link):
            return None
        return peer.link if peer.link.up else None

    def subscribe(self, receive: Callable[[MemberEvent], object]) -> Callable[[], None]:
        """
        Be told when members join, leave or die.

        :param receive: Called with `MemberJoined`, `MemberLeft` or
            `MemberDied`; an error in it is logged.
        :return: Ends the subscription.
        """
        subscribers = self._subscribers
        subscribers.append(receive)
        return lambda: subscribers.remove(receive) if receive in subscribers else None

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
        Open our ports and begin to look for others.

        :raises CannotListen: A port is taken.
        """
        super().startService()
        host, port = self.config.listen
        literal = not host or isIPAddress(host) or isIPv6Address(host.partition("%")[0])
        if literal:
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
        self._began_at = self.runtime.now()
        self.listening.succeeded()
        self.mesh.start(self.address)
        for discovery in self._discoveries:
            self._look(discovery, 0)

    def leave(self) -> Deferred[None]:
        """
        Say goodbye to everybody; the first half of stopping.

        :return: Fires when all connections are closed.
        """
        self.applications.running = False
        for timer in self._rounds.values():
            timer.cancel()
        for lookup in list(self._lookups):
            lookup.cancel()
        for waited_for in (self.listening, self.readiness):
            waited_for.ended(Failure(NotRunning()))
        if self._ports is None:
            return succeed(None)
        ports, self._ports = self._ports, None
        # Nobody may come in while the others go out.
        closed = ports.close_tcp()
        left = self.mesh.leave().addCallback(lambda _: closed)
        return left.addCallback(lambda _: ports.close_udp()).addCallback(lambda _: None)

    def stopService(self) -> Deferred[None]:
        """
        Leave the cluster and close everything.

        :return: Fires when no connection or port is open any more.
        """
        stopped: Any = super().stopService()
        done: Deferred[None] = self.leave()
        return done.addCallback(lambda _: stopped)

    # -- discovery ------------------------------------------------------------

    def _look(self, discovery: IDiscovery, failures: int) -> None:
        looking: Any = discovery.discover()
        self._lookups[looking] = None
        looking.addBoth(self._looked, discovery, failures)

    def _looked(self, result: Any, discovery: IDiscovery, failures: int) -> None:
        self._lookups = {one: None for one in self._lookups if not one.called}
        if not self.running or not self.mesh.running:
            return
        if isinstance(result, Failure):
            failures += 1
            self._discovery_problem = result.getErrorMessage()
            self._log.warn(
                "Discovery by {name} failed: {problem}",
                name=discovery.name,
                problem=result.getErrorMessage(),
            )
            pause_s = min(
                DISCOVERY_PAUSE_MAX_S, DISCOVERY_PAUSE_MIN_S * 2 ** min(failures, 9)
            )
        else:
            failures = 0
            pause_s = discovery.round_s
            self._found[discovery] = result[:ADDRESSES_MAX]
            everything = [found for some in self._found.values() for found in some]
            now = self.runtime.now()
            self.mesh.contacts.discovered(everything, now)
            for own in (self.address, self._advertised()):
                self.mesh.contacts.found_own(own, now)
            self.mesh.look_now()
        pause_s *= 0.5 + self.runtime.random() / 2
        self._rounds[discovery] = self.runtime.call_later(
            pause_s, self._look, discovery, failures
        )

    @property
    def discovered(self) -> bool:
        """Whether each way of discovery has answered once."""
        return all(discovery in self._found for discovery in self._discoveries)

    # -- what the mesh tells --------------------------------------------------

    def link_up(self, peer: Peer, link: Link) -> None:
        """A link carries frames."""
        for listener in self._link_listeners:
            listener.link_up(peer, link)

    def link_down(self, peer: Peer, link: Link) -> None:
        """A link carries frames no more."""
        for listener in self._link_listeners:
            listener.link_down(peer, link)

    def member_changed(self, event: MemberEvent) -> None:
        """Somebody joined, left or died."""
        for receive in list(self._subscribers):
            try:
                receive(event)
            except Exception:
                self._log.failure("A subscriber failed on {event}", event=event)

    def id_taken(self, other: str) -> None:
        """A live node has our id."""
        error = DuplicateNodeId(self.me.node_id, self.me.address, other)
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

    def ticked(self, now: float) -> None:
        """Time has passed."""
        if self.readiness.pending:
            self._check_ready(now)

    def _check_ready(self, now: float) -> None:
        late = now - self._began_at >= self.config.ready_timeout_s
        peers, contacts = self.membership.peers, self.mesh.contacts
        if not self.discovered:
            if late:
                problem = self._discovery_problem
                timeout_s = self.config.ready_timeout_s
                not_ready = NotReady(f"not ready within {timeout_s:g} s: {problem}")
                self.readiness.failed(Failure(not_ready))
            return
        if not contacts.settled(now, peers, self.tables_held) and not late:
            return
        refusals = contacts.refusals()
        if refusals and not any(peer.up for peer in peers.values()):
            address, reason = refusals[0]
            error = AuthenticationError(
                f"{format_address(address)} refused us: {reason}; every node needs "
                "the same --secret-file, --cluster-name and --tls, and no --single"
            )
            self.readiness.failed(Failure(error))
            return
        self.me.established = True
        self.readiness.succeeded()
