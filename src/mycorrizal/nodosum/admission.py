# -*- test-case-name: tests.nodosum.test_admission -*-
"""
Who may come in: handshakes under way, their limits, and what the log says of
those who fail.  (A shell.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol as Interface

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from mycorrizal.errors import RemoteProtocolError
from mycorrizal.nodosum.config import NodosumConfig, format_address
from mycorrizal.nodosum.greeting import Greeting
from mycorrizal.nodosum.link import Link, LinkOwner, Route
from mycorrizal.nodosum.protocol import LinkProtocol, TlsStarter
from mycorrizal.nodosum.strangers import Strangers
from mycorrizal.nodosum.wire.events import Authenticated, Local, Refused, Remote
from mycorrizal.nodosum.wire.handshake import Handshake
from mycorrizal.nodosum.wire.limits import TLS_HANDSHAKES_MAX, Feature, RejectCode
from mycorrizal.nodosum.wire.version import Role
from mycorrizal.recorder import Kind, Recorder
from mycorrizal.runtime import Runtime, let_go

#: What a node with ``--single`` has against others.
RUNS_ALONE = "it runs alone (--single)"
#: How long an authenticated link may wait to be chosen.
CHOICE_TIMEOUT_S = 5.0


class Spares(Interface):
    """Who knows what to do with connections that links are to move to."""

    def authenticated(self, protocol: LinkProtocol, remote: Remote) -> None: ...


class Host(LinkOwner, Interface):
    """The mesh, as admission sees it."""

    greeting: Greeting
    recorder: Recorder

    @property
    def renewals(self) -> Spares: ...
    def ticket_for(self, protocol: LinkProtocol) -> bytes: ...
    def routes_for(self, role: Role) -> Mapping[bytes, Route]: ...
    def authenticated(self, protocol: LinkProtocol, link: Link) -> None: ...
    def closed(self, protocol: LinkProtocol) -> None: ...


class Admission:
    """
    The handshakes of one node, accepted and dialled.
    """

    _log = Logger()

    def __init__(
        self,
        runtime: Runtime,
        config: NodosumConfig,
        local: Local,
        tls: TlsStarter,
        host: Host,
    ) -> None:
        self.runtime = runtime
        self.local = local
        self.tls = tls
        self._config = config
        self._host = host
        self._strangers: Strangers[LinkProtocol] = Strangers()
        self._dialled: dict[LinkProtocol, None] = {}
        #: What makes the links.
        self.link_kind: Callable[..., Link] = Link
        #: In order of arrival.
        self._in_tls: dict[LinkProtocol, None] = {}
        #: Every connection that is open, whatever became of it.
        self.connections: dict[LinkProtocol, None] = {}
        self._closing: list[Deferred[None]] = []

    def under_way(self) -> list[LinkProtocol]:
        """Connections that have not proved anything yet."""
        return [*self._strangers.sockets(), *self._dialled]

    def begin_handshake(self, protocol: LinkProtocol) -> Handshake:
        """A connection is there."""
        self.connections[protocol] = None
        timeout_s = self._config.handshake_timeout_s
        protocol.set_deadline(timeout_s, lambda: self._late(protocol))
        if protocol.dialled is not None:
            self._dialled[protocol] = None
        else:
            victim = self._strangers.arrived(protocol, protocol.address[0])
            if victim is not None:
                victim.abort()
        return Handshake(
            self.local,
            initiator=protocol.dialled is not None,
            nonce=self.runtime.token_bytes(32),
            ticket=self._host.ticket_for(protocol),
            renews=protocol.spare,
            busy=self._tls_is_full,
        )

    def answered(self, protocol: LinkProtocol) -> None:
        """We answered VERSION_I; see whether it came with a ticket of ours."""
        handshake = protocol.handshake
        if protocol.dialled is not None or handshake is None:
            return
        opening = handshake.opening
        if opening is not None and self._host.greeting.ticket_valid(
            opening.ticket,
            protocol.address[0],
            opening.node_key,
            self.runtime.now(),
        ):
            self._strangers.showed_ticket(protocol)

    def tls_started(self, protocol: LinkProtocol) -> None:
        """TLS begins on a connection."""
        if protocol.dialled is None:
            self._in_tls[protocol] = None

    def _tls_is_full(self) -> bool:
        """
        Whether a TLS handshake more is too many.  It is not if one of those
        under way shows no ticket: the oldest such gives way, or else somebody
        who stalls them all could keep everybody out.
        """
        if len(self._in_tls) < TLS_HANDSHAKES_MAX:
            return False
        for protocol in self._in_tls:
            if not self._strangers.trusts(protocol):
                del self._in_tls[protocol]
                protocol.abort()
                return False
        return True

    def authenticated(
        self, protocol: LinkProtocol, event: Authenticated
    ) -> Link | None:
        """The other side has proved that it knows the secret."""
        self._forget(protocol)
        if _renews(protocol, event.remote):
            self._host.renewals.authenticated(protocol, event.remote)
            return None
        protocol.set_deadline(CHOICE_TIMEOUT_S, protocol.abort)
        link = self.link_kind(
            self.runtime,
            protocol.outlet(),
            event.remote,
            self._host,
            self._host.routes_for(event.remote.role),
            address=protocol.address,
            dialled=protocol.dialled,
            encrypted=self.local.tls,
            frame_bytes_max=self.local.frame_bytes_max,
            queue_bytes_max=self._config.queue_bytes_max,
        )
        self._host.authenticated(protocol, link)
        return link

    def refused(self, protocol: LinkProtocol, event: Refused) -> None:
        """A handshake ended with a refusal, theirs or ours."""
        place = format_address(protocol.dialled or protocol.address)
        if event.code is not RejectCode.BUSY:
            protocol.refusal = event.reason
        if event.by_peer:
            self.tell(protocol, event.reason)
        else:
            self._say(protocol, "Refused {place}: {reason}", place, event.reason)

    def tell(self, protocol: LinkProtocol, reason: str) -> None:
        """Say why a node does not want us."""
        place = format_address(protocol.dialled or protocol.address)
        self._say(protocol, "{place} refused us: {reason}", place, reason)

    def turned_away(self, protocol: LinkProtocol, reason: str) -> None:
        """A node comes again and again, and has to wait."""
        place = format_address(protocol.dialled or protocol.address)
        self._say(protocol, "Refused {place}: {reason}", place, reason)

    def broken(self, protocol: LinkProtocol, error: RemoteProtocolError) -> None:
        """A connection broke the protocol."""
        place = format_address(protocol.dialled or protocol.address)
        if protocol.link is not None:
            place = f"{protocol.link.peer_id or 'a peer'} at {place}"
        self._say(protocol, "Dropped {place}: {reason}", place, str(error))

    def _late(self, protocol: LinkProtocol) -> None:
        place = format_address(protocol.dialled or protocol.address)
        reason = f"no handshake within {self._config.handshake_timeout_s:g} s"
        self._say(protocol, "Dropped {place}: {reason}", place, reason)
        protocol.abort()

    def _say(
        self, protocol: LinkProtocol, sentence: str, place: str, reason: str
    ) -> None:
        now = self.runtime.now()
        left_out = self._strangers.may_log(protocol.address[0], now)
        if left_out is None:
            return
        if left_out:
            sentence += " (and {left_out} more like it from there)"
        self._log.warn(sentence, place=place, reason=reason, left_out=left_out)
        text = sentence.format(place=place, reason=reason, left_out=left_out)
        self._host.recorder.note(Kind.REFUSED, text, address=place, reason=reason)

    def closed(self, protocol: LinkProtocol) -> None:
        """A connection is gone."""
        self._forget(protocol)
        self.connections.pop(protocol, None)
        self._host.closed(protocol)
        if not self.connections:
            closing, self._closing = self._closing, []
            for waiter in closing:
                waiter.callback(None)

    def disown(self) -> None:
        """All connections are another process's."""
        for protocol in self.connections:
            let_go(protocol.transport)

    def when_closed(self) -> Deferred[None]:
        """Fires when no connection is open any more."""
        if not self.connections:
            return succeed(None)
        self._closing.append(Deferred())
        return self._closing[-1]

    def _forget(self, protocol: LinkProtocol) -> None:
        self._strangers.departed(protocol)
        self._dialled.pop(protocol, None)
        self._in_tls.pop(protocol, None)


def _renews(protocol: LinkProtocol, remote: Remote) -> bool:
    """Whether a link that is there is to move to a connection."""
    if protocol.dialled is None:
        opening = protocol.opening
        is_node = remote.role is Role.NODE and bool(remote.features & Feature.RENEWAL)
        protocol.spare = is_node and opening is not None and opening.renews
    return protocol.spare
