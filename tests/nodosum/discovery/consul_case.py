"""
A simulated world with an agent of Consul, and hosts that ask it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import formatEvent
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum.config import Address
from mycorrizal.nodosum.discovery import Announcement, ConsulSettings
from mycorrizal.nodosum.discovery.consul import ConsulDiscovery
from mycorrizal.testing import Host, World
from tests.fakes.consul import Asked, FakeConsul

AGENT = "10.0.9.9"
URL = f"http://{AGENT}:8500"
TOKEN = "7f3e1b2a-0000-4000-8000-abcdefabcdef"
ALL_RULES = frozenset({"service:read", "service:write", "node:read"})


class ConsulCase(SynchronousTestCase):
    """An agent on a host of its own, and whoever looks others up with it."""

    def setUp(self) -> None:
        self.world = World(seed=1)
        self.agent = self.world.host("agent", AGENT)
        self.consul = FakeConsul(self.agent.reactor, address=AGENT)
        self.consul.listen(8500, interface="")
        self.discoveries: list[ConsulDiscovery] = []
        self.looks: list[Deferred[Any]] = []

    def host(self, name: str) -> Host:
        """The host of that name."""
        return self.world.hosts.get(name) or self.world.host(name)

    def discovery(
        self,
        name: str = "a",
        address: Address | None = None,
        *,
        announced: bool = True,
        cluster_name: str = "mycorrizal",
        **settings: Any,
    ) -> ConsulDiscovery:
        """A node's way of discovery; the node is called as its host."""
        host = self.host(name)
        found = ConsulSettings(**{"url": URL, **settings})
        found.validate()
        discovery = ConsulDiscovery(host.runtime, found, cluster_name)
        self.discoveries.append(discovery)
        if announced:
            address = address or (host.address, 6969)
            discovery.announce(Announcement(name, cluster_name, address, "1"))
        return discovery

    def look(self, discovery: ConsulDiscovery) -> Deferred[Any]:
        """Begin to look, whatever comes of it."""
        look: Deferred[Any] = discovery.discover()
        self.looks.append(look)
        return look

    def found(self, waited_for: Deferred[Any], limit_s: float = 60.0) -> list[Address]:
        """What a look comes to."""
        addresses: list[Address] = self.world.result_of(waited_for, limit_s)
        return addresses

    def passing(self) -> list[str]:
        """The ids of the services whose checks pass, as the servers list them."""
        entries = self.consul.state.entries("mycorrizal", passing=True)
        return [entry["Service"]["ID"] for entry in entries]

    def asked(self, start: str, since: int = 0) -> list[Asked]:
        """The requests whose path begins so."""
        return [it for it in self.consul.asked[since:] if it.path.startswith(start)]

    def queries(self, since: int = 0) -> list[Asked]:
        """The requests for the list."""
        return self.asked("health/service", since)

    def restart_agent(self) -> None:
        """The agent ends, and another begins that knows nothing."""
        self.world.result_of(self.consul.stop())
        self.consul = FakeConsul(self.agent.reactor, address=AGENT)
        self.consul.listen(8500, interface="")

    def withdraw(self) -> None:
        """End all, and see that nothing is left."""
        for discovery in self.discoveries:
            self.world.result_of(discovery.withdraw())
        for look in self.looks:
            look.addErrback(lambda _: None)
        for name, host in self.world.hosts.items():
            if name != "agent":
                self.assertEqual(host.sockets(), [])
                self.assertEqual(host.runtime.pending_timers(), 0)
                host.runtime.rearm()
                self.assertEqual(host.reactor.getDelayedCalls(), [])
        self.assertEqual(self.world.errors(), [])


def sentences(logs: Sequence[Any]) -> list[str]:
    """The texts of what was logged by us."""
    return [
        formatEvent(log)
        for log in logs
        if str(log.get("log_namespace", "")).startswith("mycorrizal")
    ]
