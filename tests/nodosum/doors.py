"""
Nodes that let connections in, or not, on simulated hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import formatEvent

from mycorrizal import recorder
from mycorrizal.clock import HybridClock
from mycorrizal.nodosum.acl import (
    KeyRing,
    cluster_tag,
    derive_key,
    node_key_of,
)
from mycorrizal.nodosum.admission import Admission
from mycorrizal.nodosum.config import Address, NodosumConfig
from mycorrizal.nodosum.greeting import Greeting
from mycorrizal.nodosum.link import Link, Route
from mycorrizal.nodosum.protocol import LinkFactory, LinkProtocol
from mycorrizal.nodosum.wire.events import Local, Remote
from mycorrizal.nodosum.wire.version import NO_TICKET, Role
from mycorrizal.runtime import Entropy
from mycorrizal.testing import Host, World
from mycorrizal.testing.tls import SimTls
from tests.contract.place import Recorder
from tests.nodosum.wire.cases import CLUSTER, SECRET

PORT = 7000


class Spares:
    """Keeps the connections that links are to move to."""

    def __init__(self) -> None:
        self.got: list[tuple[LinkProtocol, Remote]] = []

    def authenticated(self, protocol: LinkProtocol, remote: Remote) -> None:
        self.got.append((protocol, remote))


class Door:
    """
    A node that listens and dials, and does nothing with its links.

    :ivar links: Those that were authenticated.
    :ivar gone: Connections that are closed.
    :ivar takes: Whether it takes each link, as if it were chosen.
    """

    def __init__(
        self,
        world: World,
        name: str,
        *,
        tls: Any = None,
        secret: str = SECRET,
        cluster: str = CLUSTER,
        role: Role = Role.NODE,
    ) -> None:
        self.world = world
        self.place: Host = world.host(name)
        runtime = self.place.runtime
        keys = KeyRing([derive_key(secret, cluster)])
        self.local = Local(
            node_key_of(name), 1, cluster_tag(cluster), keys, tls is not None, role
        )
        self.links: list[Link] = []
        self.protocols: list[LinkProtocol] = []
        self.gone: list[LinkProtocol] = []
        self.received: list[tuple[int, bytes]] = []
        self.routes: dict[bytes, Route] = {}
        self.renewals = Spares()
        self.takes = True
        self.ticket = NO_TICKET
        entropy = Entropy(runtime.random, runtime.token_bytes)
        self.greeting = Greeting(self.local, PORT, entropy)
        self.recorder = recorder.Recorder(runtime.wall, HybridClock(runtime.wall), name)
        self.admission = Admission(
            runtime, NodosumConfig(keys), self.local, tls or SimTls(), self
        )
        self.place.reactor.listenTCP(PORT, LinkFactory(self.admission))

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.place.address, PORT

    def dial(self, other: Door, *, spare: bool = False) -> LinkProtocol:
        """Connect to another one."""
        protocol: Any = self.world.result_of(
            TCP4ClientEndpoint(self.place.reactor, *other.address).connect(
                Factory.forProtocol(
                    lambda: LinkProtocol(self.admission, other.address, spare=spare)
                )
            )
        )
        assert isinstance(protocol, LinkProtocol)
        return protocol

    # -- what admission asks and tells ----------------------------------------

    def ticket_for(self, protocol: LinkProtocol) -> bytes:
        return self.ticket if protocol.dialled is not None else NO_TICKET

    def routes_for(self, role: Role) -> Mapping[bytes, Route]:
        return self.routes

    def authenticated(self, protocol: LinkProtocol, link: Link) -> None:
        self.links.append(link)
        self.protocols.append(protocol)
        if self.takes:
            protocol.clear_deadline()
            link.up, link.peer_id = True, "the other"

    def closed(self, protocol: LinkProtocol) -> None:
        self.gone.append(protocol)

    def control_received(self, link: Link, kind: int, payload: bytes) -> None:
        self.received.append((kind, payload))


class Visitor:
    """
    Somebody who connects to a node and says what he likes.
    """

    def __init__(self, door: Door, host: Host) -> None:
        endpoint = TCP4ClientEndpoint(host.reactor, *door.address)
        self.world = door.world
        talk: Any = self.world.result_of(
            endpoint.connect(Factory.forProtocol(Recorder))
        )
        self.talk: Recorder = talk
        self.born_s = self.world.now_s

    def say(self, data: bytes) -> Visitor:
        """Write some bytes."""
        transport: Any = self.talk.transport
        transport.write(data)
        return self

    @property
    def thrown_out(self) -> bool:
        """Whether the node has closed the connection."""
        return self.talk.reason is not None

    def closed_after_s(self, limit_s: float = 10.0) -> float:
        """How long it takes until the node has closed the connection."""
        self.world.until(lambda: self.thrown_out, limit_s)
        return self.world.now_s - self.born_s


def lines(logs: Any) -> list[str]:
    """What admission has logged, as text."""
    return [
        formatEvent(event)
        for event in logs
        if event.get("log_namespace", "").endswith("admission.Admission")
    ]
