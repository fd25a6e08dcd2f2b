"""
A simulated host that asks, and a DNS server that may misbehave.
"""

from __future__ import annotations

from typing import Any

from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.discovery import DnsSdDiscovery
from mycorrizal.testing import World
from mycorrizal.testing.name_server import SimNameServer

SERVICE = "_cluster._tcp.example"


class DnsCase(SynchronousTestCase):
    """A world with a DNS server."""

    def setUp(self) -> None:
        self.world = World(seed=1)
        self.here = self.world.host("here", "10.0.0.1", "fd00::1")
        self.server = SimNameServer(self.world.host("dns", "10.0.0.53"))
        self.runtime = self.here.runtime

    def discovery(self, name: str = SERVICE, **settings: Any) -> DnsSdDiscovery:
        """A discovery that asks the server."""
        settings.setdefault("servers", (self.server.address,))
        return DnsSdDiscovery(self.runtime, name, **settings)

    def look(self, discovery: DnsSdDiscovery) -> list[Address]:
        """What it finds; nothing is left open."""
        found: list[Address] = self.world.result_of(discovery.discover())
        self.check_nothing_left()
        return found

    def check_nothing_left(self) -> None:
        """Nothing is open, and no timer runs."""
        self.world.advance(0.01)
        self.assertEqual(self.here.sockets(), [])
        self.assertEqual(self.runtime.pending_timers(), 0)
        self.assertEqual(self.world.errors(), [])

    def node(self, number: int, *, ttl_s: int = 60) -> str:
        """A host ``nN.example`` with address 10.1.0.N; its name."""
        name = f"n{number}.example"
        address = f"10.1.{number >> 8}.{number & 255}"
        self.server.add(name, dns.Record_A(address), ttl_s=ttl_s)
        return name

    def service(self, *numbers: int, name: str = SERVICE, ttl_s: int = 60) -> None:
        """These nodes have SRV records under the service's own name."""
        for number in numbers:
            target = self.node(number, ttl_s=ttl_s)
            self.server.add(name, dns.Record_SRV(0, 0, 7000, target), ttl_s=ttl_s)

    def instances(self, *numbers: int, ttl_s: int = 60) -> None:
        """These nodes are instances of the service."""
        for number in numbers:
            instance = f"i{number}.{SERVICE}"
            self.server.add(SERVICE, dns.Record_PTR(instance), ttl_s=ttl_s)
            self.server.add(instance, dns.Record_TXT(b"txtvers=1"), ttl_s=ttl_s)
            self.service(number, name=instance, ttl_s=ttl_s)
