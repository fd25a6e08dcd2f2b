"""
A simulated world in which nodes are made one by one.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import (
    Config,
    Mycorrizal,
    MycorrizalError,
    new_secret,
)
from mycorrizal.testing import Host, SimTls, World

#: Secrets in the form that takes no time to stretch.
RAW_SECRET = new_secret(b"x" * 32)
OTHER_SECRET = new_secret(b"another secret of 32 bytes, raw!")


class NodeCase(SynchronousTestCase):
    """A world in which nodes are made one by one."""

    def setUp(self) -> None:
        self.world = World(1)
        self.a, self.b = self.world.host("a"), self.world.host("b")

    def node(self, host: Host | None = None, **settings: Any) -> Mycorrizal:
        """A node that was not started."""
        host = host or self.a
        host.runtime.tls = SimTls()
        defaults = {"listen": host.address, "node_id": host.name, "host": host.name}
        settings = {**defaults, "secret": RAW_SECRET, **settings}
        return Mycorrizal(host.reactor, Config(**settings))

    def started(self, host: Host | None = None, **settings: Any) -> Mycorrizal:
        """A node that was started."""
        node = self.node(host, **settings)
        node.startService()
        return node

    def ready(self, node: Mycorrizal, limit_s: float = 60) -> float:
        """Wait until a node is ready; how long that took."""
        began_s = self.world.now_s
        self.world.result_of(node.when_ready(), limit_s)
        self.assertTrue(node.ready)
        return self.world.now_s - began_s

    def problem(self, waited_for: Deferred[Any], kind: type[MycorrizalError]) -> Any:
        """What a Deferred fails with, sooner or later."""
        with self.assertRaises(kind) as raised:
            self.world.result_of(waited_for)
        return raised.exception

    def stop(self, *nodes: Mycorrizal) -> None:
        """Stop nodes, and see that nothing is left."""
        for stopped in [node.stopService() for node in nodes]:
            self.world.result_of(stopped)
        for host in self.world.hosts.values():
            self.assertEqual(host.sockets(), [])
            self.assertEqual(host.reactor.getDelayedCalls(), [])
        self.assertEqual(self.world.errors(), [])
