"""Whole nodes that are told of Consul in their settings."""

from __future__ import annotations

import os

from mycorrizal import ConfigError
from tests.fakes.consul import FakeConsul
from tests.node_case import NodeCase
from tests.places import fresh_path

AGENT = "10.0.9.9"


class ConsulNodeTests(NodeCase):
    """A node, as a program makes it."""

    def setUp(self) -> None:
        super().setUp()
        agent = self.world.host("agent", AGENT)
        self.consul = FakeConsul(agent.reactor, address=AGENT)
        self.consul.listen(8500, interface="")

    def test_two_nodes(self) -> None:
        """Two nodes meet and share a cache; when they stop nothing is left."""
        settings = {"consul": f"http://{AGENT}:8500"}
        nodes = [self.started(host, **settings) for host in (self.a, self.b)]
        for node in nodes:
            self.ready(node)
        self.world.until(
            lambda: all(len(node.nodes()) == 2 for node in nodes), limit_s=10
        )
        stopped = [node.stopService() for node in nodes]
        for one in stopped:
            self.world.result_of(one)
        self.assertEqual(self.consul.state.services, {})
        self.world.result_of(self.consul.stop())
        self.world.advance(1)
        self.stop()

    def test_alone_on_purpose(self) -> None:
        """A node that runs alone registers nowhere."""
        node = self.started(consul=f"http://{AGENT}:8500", single=True)
        self.ready(node)
        self.world.advance(10)
        self.assertEqual(self.consul.asked, [])

    def test_refused(self) -> None:
        """What can't be used is refused before the node takes its place."""
        place = fresh_path(self)
        with self.assertRaises(ConfigError) as caught:
            self.node(
                consul={"url": f"http://{AGENT}:8500", "token_file": "nowhere"},
                state_dir=str(place),
            )
        self.assertEqual(caught.exception.field, "consul.token_file")
        self.assertFalse(os.path.exists(place))
