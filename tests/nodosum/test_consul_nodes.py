"""
Cluster layers that find each other through Consul, whatever Consul does.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.nodosum import ConsulSettings, NodosumService
from mycorrizal.nodosum.discovery.consul import ConsulDiscovery
from tests.fakes.consul import FakeConsul, Fault
from tests.nodosum.nodes import Nodes, states

AGENT = "10.0.9.9"
THREE = {"a": "alive", "b": "alive", "c": "alive"}


class ConsulNodesTests(SynchronousTestCase):
    """Three nodes that know nothing but an agent."""

    def setUp(self) -> None:
        self.nodes = Nodes()
        self.world = self.nodes.world
        self.agent = self.world.host("agent", AGENT)
        self.start_agent()

    def start_agent(self) -> None:
        """An agent with an empty catalogue."""
        self.consul = FakeConsul(self.agent.reactor, address=AGENT)
        self.consul.listen(8500, interface="")

    def node(self, name: str, **settings: Any) -> NodosumService:
        """A node that was started."""
        host = self.world.hosts.get(name) or self.world.host(name)
        consul = ConsulDiscovery(
            host.runtime, ConsulSettings(url=f"http://{AGENT}:8500"), "mycorrizal"
        )
        return self.nodes.start(host, discoveries=[consul], **settings)

    def three(self) -> list[NodosumService]:
        """Three nodes that are a cluster."""
        nodes = [self.node(name) for name in "abc"]
        for node in nodes:
            self.world.result_of(node.readiness.when_ready())
        self.world.until(lambda: all(states(node) == THREE for node in nodes), 10)
        return nodes

    def stop(self, *nodes: NodosumService) -> None:
        """Stop nodes, and see that nothing is left of them."""
        for stopped in [node.stopService() for node in nodes]:
            self.world.result_of(stopped)
        for name, host in self.world.hosts.items():
            if name != "agent":
                self.assertEqual(host.sockets(), [])
                self.assertEqual(host.runtime.pending_timers(), 0)
        self.assertEqual(self.world.errors(), [])

    def test_form_a_cluster(self) -> None:
        """They find each other within a second, and leave nothing when they stop."""
        nodes = self.three()
        self.assertLess(self.world.now_s, 1.5)
        self.assertEqual(len(self.consul.state.services), 3)
        self.stop(*nodes)
        self.assertEqual(self.consul.state.services, {})

    def test_on_all_interfaces(self) -> None:
        """So do nodes that listen on 0.0.0.0 and are told no address (F53)."""
        nodes = [self.node(name, listen=("0.0.0.0", 7000)) for name in "abc"]
        self.world.until(lambda: all(states(node) == THREE for node in nodes), 10)
        services = self.consul.state.services.values()
        addresses = sorted(service.address for service in services)
        hosts = sorted(self.world.hosts[name].address for name in "abc")
        self.assertEqual(addresses, hosts)

    def test_advertised(self) -> None:
        """What is advertised is registered, not what is listened on (F53)."""
        self.node("a", advertise=("192.0.2.7", 0))
        self.world.advance(1)
        service = self.consul.state.services["mycorrizal-a"]
        self.assertEqual((service.address, service.port), ("192.0.2.7", 7000))

    def test_whatever_consul_says(self) -> None:
        """No fault of Consul removes a live member (F45, F46)."""
        nodes = self.three()
        told = {name: list(told) for name, told in self.nodes.told.items()}
        for fault in Fault:
            self.consul.faults["health"] = self.consul.faults["agent"] = fault
            self.world.advance(20)
        self.consul.faults.clear()
        for service_id in list(self.consul.state.services):
            self.consul.state.deregister(service_id)
        self.world.advance(1)
        self.world.result_of(self.consul.stop())
        self.world.advance(300)
        self.start_agent()
        self.world.advance(60)
        self.assertEqual(len(self.consul.state.services), 3)
        for node in nodes:
            self.assertEqual(states(node), THREE)
        self.assertEqual(self.nodes.told, told)
        newcomer = self.node("d")
        self.world.until(lambda: len(states(newcomer)) == 4, 10)
        self.stop(newcomer, *nodes)

    def test_stop_while_consul_stalls(self) -> None:
        """A node leaves within 3 s even if Consul does not answer (F46)."""
        nodes = self.three()
        self.consul.faults[""] = Fault.STALL
        self.world.advance(10)
        began_s = self.world.now_s
        self.stop(*nodes)
        self.assertLess(self.world.now_s - began_s, 3)

    def test_no_agent(self) -> None:
        """A node without an agent is not ready, and says why."""
        self.world.result_of(self.consul.stop())
        node = self.node("a", ready_timeout_s=10.0)
        failed = self.world.result_of(
            node.readiness.when_ready().addCallbacks(lambda _: "", str)
        )
        self.assertIn("not ready within 10 s: no Consul agent can be used at", failed)
        self.stop(node)

    def test_impostor(self) -> None:
        """An address that Consul was made to list gets no more than a try (F47)."""
        nodes = self.three()
        self.world.host("evil")
        other = self.nodes.start("evil", secret="another secret of some length")
        self.world.advance(1)
        self.assertEqual(states(other), {"evil": "alive"})
        evil = ConsulDiscovery(
            self.world.hosts["evil"].runtime,
            ConsulSettings(url=f"http://{AGENT}:8500"),
            "mycorrizal",
        )
        evil.announce(other._announcement())
        self.world.advance(60)
        for node in nodes:
            self.assertEqual(states(node), THREE)
