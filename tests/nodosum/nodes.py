"""
Whole cluster layers, without what stands on them, on simulated hosts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mycorrizal.clock import HybridClock
from mycorrizal.nodosum import (
    IDiscovery,
    NodosumConfig,
    NodosumService,
    discoveries_of,
)
from mycorrizal.nodosum.acl import KeyRing, derive_key
from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.peer import MemberEvent
from mycorrizal.testing import Host, World
from mycorrizal.testing.tls import SimTls
from tests.nodosum.wire.cases import SECRET

PORT = 7000


def address_of(host: Host) -> Address:
    """Where a host's node listens."""
    return host.address, PORT


class Nodes:
    """
    Nodes in one world.

    :ivar told: By node id, what its subscribers were told.
    """

    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed)
        self.world.latency_ms(1, 1)
        self.told: dict[str, list[str]] = {}

    def start(
        self,
        host: Host | str,
        *static: Host | Address,
        node_id: str | None = None,
        incarnation: int = 1,
        secret: str = SECRET,
        discoveries: Iterable[IDiscovery] = (),
        **settings: Any,
    ) -> NodosumService:
        """A node that looks for others at these places."""
        if isinstance(host, str):
            host = self.world.hosts.get(host) or self.world.host(host)
        name = node_id or host.name
        config = NodosumConfig(
            KeyRing([derive_key(secret, "mycorrizal")]),
            **{
                "listen": address_of(host),
                "static": tuple(
                    address_of(place) if isinstance(place, Host) else place
                    for place in static
                ),
                **settings,
            },
        )
        node = NodosumService(
            host.runtime,
            config,
            node_id=name,
            incarnation=incarnation,
            host=host.name,
            version="1",
            tls=SimTls(),
            clock=HybridClock(host.runtime.wall),
        )
        for discovery in (*discoveries_of(host.runtime, config), *discoveries):
            node.add_discovery(discovery)
        told = self.told.setdefault(name, [])

        def changed(event: MemberEvent) -> None:
            told.append(f"{type(event).__name__[6:]} {event.node.id}")

        node.subscribe(changed)
        node.startService()
        return node

    def three(self, **settings: Any) -> list[NodosumService]:
        """Nodes a, b and c that know each other's addresses, and are ready."""
        hosts = [self.world.host(name) for name in "abc"]
        nodes = [self.start(host, *hosts, **settings) for host in hosts]
        for node in nodes:
            self.world.result_of(node.readiness.when_ready())
        return nodes


def states(node: NodosumService) -> dict[str, str]:
    """How a node sees itself and the others."""
    return {one.id: one.state for one in node.nodes()}
