"""Tests for `mycorrizal.testing.world`, and for the whole."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent
from twisted.web.resource import Resource
from twisted.web.server import Site

from mycorrizal.testing import World
from tests.contract.place import Echo, Mailbox, Recorder


class WorldTests(SynchronousTestCase):
    """Hosts are added, and code is run on them."""

    def setUp(self) -> None:
        self.world = World(1)

    def test_addresses(self) -> None:
        """Hosts get the next free address, or those that they are given."""
        self.assertEqual(self.world.host("a").address, "10.0.0.1")
        self.world.host("b", "10.0.0.2")
        self.assertEqual(self.world.host("c").address, "10.0.0.3")
        d = self.world.host("d", "fd00::1", "10.1.0.1")
        self.assertEqual(d.addresses, ("fd00::1", "10.1.0.1"))
        self.assertEqual(list(self.world.hosts), ["a", "b", "c", "d"])

    def test_refused_hosts(self) -> None:
        """A name or an address is given once; an address is an address."""
        self.world.host("a")
        for name, address in (
            ("a", "10.0.0.9"),
            ("net", "10.0.0.9"),
            ("", "10.0.0.9"),
            ("b", "10.0.0.1"),
            ("b", "b.example"),
        ):
            self.assertRaises(ValueError, self.world.host, name, address)

    def test_many_hosts(self) -> None:
        """There is room for more than 256."""
        for number in range(300):
            self.world.host(f"h{number}")
        self.assertEqual(self.world.hosts["h299"].address, "10.0.1.44")

    def test_result_of(self) -> None:
        """A result is waited for, a failure raised, a silence told."""
        reactor = self.world.host("a").reactor
        fired: Deferred[str] = Deferred()
        reactor.callLater(3, fired.callback, "result")
        self.assertEqual(self.world.result_of(fired), "result")
        self.assertEqual(self.world.now_s, 3.0)
        failed: Deferred[str] = Deferred()
        reactor.callLater(3, failed.errback, ZeroDivisionError())
        self.assertRaises(ZeroDivisionError, self.world.result_of, failed)
        error = self.assertRaises(
            AssertionError, self.world.result_of, Deferred(), limit_s=5
        )
        self.assertIn("5 s", str(error))

    def test_unmodified_code(self) -> None:
        """Twisted's own web server and client run inside as they are."""

        class Hello(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                path: bytes = request.path
                return b"hello " + path

        server, client = self.world.host("server"), self.world.host("client")
        self.world.segmentation = "random"
        server.reactor.listenTCP(80, Site(Hello(), reactor=server.reactor))
        agent = Agent(client.reactor)
        response = self.world.result_of(agent.request(b"GET", b"http://server/world"))
        self.assertEqual(response.code, 200)
        body = Recorder()
        response.deliverBody(body)
        self.world.until(lambda: body.reason)
        self.assertEqual(body.received, b"hello /world")


def busy_digest(seed: int) -> str:
    """Much of what can happen, in one world."""
    world = World(seed)
    world.udp_loss = world.udp_duplicate = 0.1
    world.segmentation = "random"
    hosts = [world.host(name) for name in "abc"]
    nemesis = world.stream("nemesis")
    for host in hosts:
        host.reactor.listenTCP(7, Factory.forProtocol(Echo))
    connections: list[Any] = []
    for a in hosts:
        for b in hosts:
            endpoint = TCP4ClientEndpoint(a.reactor, b.address, 7, timeout=2)
            dialled = endpoint.connect(Factory.forProtocol(Recorder))
            dialled.addCallbacks(connections.append, lambda failure: None)
        port: Any = a.reactor.listenUDP(7, Mailbox())
        for number in range(20):
            at_s = nemesis.random() * 10
            world.later(at_s, port.write, b"x" * number, (b.address, 7))

    def write() -> None:
        for made in connections:
            made.transport.write(nemesis.randbytes(int(nemesis.random() * 1000)))
        world.later(0.5, write)

    write()
    world.later(2, world.isolate, "a")
    world.later(3, hosts[1].crash)
    world.later(4, world.heal)
    world.later(5, hosts[2].jump_wall, 3600)
    world.advance(10)
    return world.digest()


class DeterminismTests(SynchronousTestCase):
    """What happens is decided by the seed, and by nothing else."""

    def test_same_seed(self) -> None:
        """A seed is a story, told again word for word."""
        self.assertEqual(busy_digest(1), busy_digest(1))

    def test_other_seed(self) -> None:
        """Another seed is another story."""
        self.assertEqual(len({busy_digest(seed) for seed in range(10)}), 10)

    def test_other_process(self) -> None:
        """Nothing depends on the order of sets, which differs per process."""
        program = "from tests.testing.test_world import busy_digest as d; print(d(1))"
        digests = set()
        for hash_seed in ("1", "2"):
            output = subprocess.run(
                [sys.executable, "-c", program],
                env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
                capture_output=True,
                check=True,
                text=True,
            ).stdout
            digests.add(output.strip())
        self.assertEqual(digests, {busy_digest(1)})
