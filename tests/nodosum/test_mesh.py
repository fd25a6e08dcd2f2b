"""
Links that come and go between nodes of a simulated network.
"""

from __future__ import annotations

import random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.errors import AuthenticationError
from mycorrizal.nodosum import NodosumService
from mycorrizal.nodosum.acl import node_key_of
from mycorrizal.nodosum.contacts import RETRY_MAX_S, Phase
from mycorrizal.nodosum.messages import PeerEntry
from mycorrizal.nodosum.peer import PeerState
from mycorrizal.nodosum.wire.limits import Goodbye
from tests.nodosum.nodes import Nodes, states


class Listener:
    """Keeps which links came up and went down."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def link_up(self, peer: Any, link: Any) -> None:
        self.told.append(f"up {peer.node_id}")

    def link_down(self, peer: Any, link: Any) -> None:
        self.told.append(f"down {peer.node_id}")


class MeshTestCase(SynchronousTestCase):
    """Nodes in a world."""

    def setUp(self) -> None:
        self.nodes = Nodes()
        self.world = self.nodes.world

    def check(self, *nodes: NodosumService) -> None:
        """These are all alive to each other, with one connection for each two."""
        alive = {node.me.node_id: "alive" for node in nodes}
        for node in nodes:
            self.assertEqual(states(node), alive)
            connections = node.mesh.admission.connections
            self.assertEqual(len(connections), len(nodes) - 1)
            self.assertEqual(
                set(node.applications.links), set(alive) - {node.me.node_id}
            )
        self.assertEqual(self.world.errors(), [])


class FormingTests(MeshTestCase):
    """How nodes find each other."""

    def test_three_nodes(self) -> None:
        """Three nodes that name each other, and themselves, are one cluster."""
        for settings in ({}, {"hello": "tcp"}, {"tls": "off"}):
            self.setUp()
            self.check(*self.nodes.three(**settings))
            joined = [len(told) for told in self.nodes.told.values()]
            self.assertEqual(joined, [2, 2, 2])

    def test_slow_network(self) -> None:
        """Half a second from node to node makes no duplicates and no deaths (F7)."""
        self.world.latency_ms(250, 250)
        nodes = self.nodes.three()
        self.world.advance(20)
        self.check(*nodes)
        for told in self.nodes.told.values():
            self.assertEqual(len(told), 2)

    def test_one_seed_by_name(self) -> None:
        """Two nodes that know only the name of a third find each other."""
        a = self.nodes.start("a")
        b, c = (self.nodes.start(name, ("a", 7000)) for name in "bc")
        self.world.advance(5)
        self.check(a, b, c)

    def test_both_families(self) -> None:
        """A node on :: is reached by IPv4 and IPv6, under however many names (F53)."""
        seed = self.world.host("a", "10.0.5.1", "fd00::1")
        a = self.nodes.start(seed, listen=("::", 7000))
        b = self.nodes.start("b", ("10.0.5.1", 7000), ("::ffff:10.0.5.1", 7000))
        six = self.world.host("c", "fd00::3")
        c = self.nodes.start(six, ("FD00:0::1", 7000))
        self.world.advance(5)
        self.assertEqual(states(a), {"a": "alive", "b": "alive", "c": "alive"})
        self.assertEqual(states(b)["a"], "alive")
        self.assertEqual(states(c)["a"], "alive")
        self.assertEqual(len(b.mesh.contacts.by_address), 1)
        self.assertEqual(self.world.errors(), [])

    def test_unsendable_address(self) -> None:
        """An address of the other family is no error, and hurts nobody."""
        a = self.nodes.start("a", ("fd00::9", 7000), ("10.0.0.2", 7000))
        b = self.nodes.start("b")
        self.world.advance(5)
        self.check(a, b)

    def test_restart(self) -> None:
        """A killed node that returns is down, dead, joined and up again (F12)."""
        nodes = self.nodes.three()
        listener = Listener()
        nodes[0].listen_to_links(listener)
        host = self.world.hosts["b"]
        host.crash()
        self.world.advance(0.2)
        self.assertEqual(states(nodes[0])["b"], "dead")
        host.restart()
        static = [self.world.hosts[name] for name in "abc"]
        b = self.nodes.start(host, *static, incarnation=2)
        self.world.advance(5)
        self.check(nodes[0], b, nodes[2])
        self.assertEqual(listener.told, ["down b", "up b"])
        self.assertEqual(self.nodes.told["a"][2:], ["Died b", "Joined b"])

    def test_power_cut_and_restart(self) -> None:
        """
        So is one whose old connection hangs; it is not even suspected before (F12).
        """
        nodes = self.nodes.three()
        host = self.world.hosts["b"]
        host.crash("silence")
        host.restart()
        static = [self.world.hosts[name] for name in "abc"]
        b = self.nodes.start(host, *static, incarnation=2)
        self.world.advance(2.5)
        self.check(nodes[0], b, nodes[2])
        self.assertEqual(self.nodes.told["a"][2:], ["Died b", "Joined b"])

    def test_paused_node(self) -> None:
        """A node that slept for 20 s blames nobody, and is a member again (F5, F6)."""
        nodes = self.nodes.three()
        host = self.world.hosts["b"]
        host.pause()
        self.world.advance(20)
        self.assertEqual(states(nodes[0])["b"], "dead")
        host.resume()
        self.world.advance(40)
        self.check(*nodes)
        self.assertEqual(self.nodes.told["a"][2:], ["Died b", "Joined b"])

    def test_leaving(self) -> None:
        """A node that leaves has left at once, and closes everything."""
        nodes = self.nodes.three()
        self.world.result_of(nodes[1].stopService(), 1)
        self.world.advance(0.1)
        self.assertEqual(states(nodes[0])["b"], "left")
        self.assertEqual(self.nodes.told["c"][2:], ["Left b"])
        self.assertEqual(self.world.hosts["b"].sockets(), [])
        self.world.advance(120)
        self.check(nodes[0], nodes[2])

    def test_nobody_comes_in_while_we_leave(self) -> None:
        """Who dials a node that leaves does not keep it from leaving."""
        a = self.nodes.start("a")
        b = self.nodes.start("b", self.world.hosts["a"], hello="tcp")
        self.world.advance(3)
        # Bytes that don't arrive keep the link open for a while.
        self.world.cut("a", "b")
        a.applications.register("chat").post(random.Random(1).randbytes(1_000_000))
        self.world.advance(0.1)
        stopped = a.stopService()
        c = self.nodes.start("c", self.world.hosts["a"], hello="tcp")
        self.world.advance(1)
        self.assertEqual(states(c), {"c": "alive"})
        self.world.result_of(stopped, 6)
        self.world.advance(1)
        self.assertEqual(self.world.hosts["a"].sockets(), [])
        self.assertEqual(states(b)["a"], "dead")


class WrongPlaceTests(MeshTestCase):
    """Dials that reach somebody else."""

    def test_somebody_else_at_an_old_address(self) -> None:
        """A node that others still name, whose place another one has taken."""
        a, b = self.nodes.start("a"), self.nodes.start("b", ("10.0.0.1", 7000))
        self.world.advance(3)
        gone = PeerEntry(node_key_of("gone"), 1, (("10.0.0.2", 7000),))
        a.membership.learned([gone], a.runtime.now())
        self.world.advance(10)
        self.check(a, b)
        self.assertFalse(a.membership.peers[gone.node_key].dialling)

    def test_old_address_is_our_own(self) -> None:
        """If its place is ours now, it is found out, and forgotten one day (F53)."""
        a = self.nodes.start("a")
        self.world.advance(1)
        key = node_key_of("gone")
        a.membership.learned([PeerEntry(key, 1, (a.address,))], a.runtime.now())
        self.world.advance(10)
        peer = a.membership.peers[key]
        self.assertEqual((peer.dialling, peer.state), (False, PeerState.JOINING))
        self.assertLess(len(a.mesh.admission.connections), 3)
        self.world.advance(3700)
        self.assertEqual(a.membership.peers, {})
        self.assertEqual(self.world.errors(), [])

    def test_twin(self) -> None:
        """Two nodes with one id that only know each other both go on trying."""
        one = self.nodes.start("a", ("10.0.0.2", 7000), node_id="x")
        two = self.nodes.start("b", ("10.0.0.1", 7000), node_id="x", incarnation=2)
        self.world.advance(10)
        error = self.failed(two)
        for words in ("'x'", "10.0.0.1:7000", "10.0.0.2:7000"):
            self.assertIn(words, error)
        (contact,) = one.mesh.contacts.by_address.values()
        self.assertIsNot(contact.phase, Phase.DIALLING)
        self.world.result_of(two.stopService())
        self.nodes.start(self.world.hosts["b"], ("10.0.0.1", 7000), node_id="y")
        self.world.advance(2 * RETRY_MAX_S)
        self.assertEqual(states(one), {"x": "alive", "y": "alive"})

    def failed(self, node: NodosumService) -> str:
        """Why a node did not become ready."""
        failures: list[str] = []
        node.readiness.when_ready().addErrback(
            lambda failure: failures.append(failure.getErrorMessage())
        )
        (text,) = failures
        return text

    def test_third_node_finds_the_twin(self) -> None:
        """A second node with an id that is taken hears where the first one is (F13)."""
        nodes = self.nodes.three()
        twin = self.nodes.start("twin", ("10.0.0.1", 7000), node_id="b", incarnation=2)
        self.world.advance(5)
        error = self.failed(twin)
        self.assertIn("10.0.0.4:7000", error)
        self.assertIn("10.0.0.2:7000", error)
        self.assertEqual(sorted(self.nodes.told["a"]), ["Joined b", "Joined c"])
        self.world.result_of(twin.stopService())
        self.world.advance(1)
        self.check(*nodes)

    def test_single(self) -> None:
        """A node that runs alone is left alone, and asked ever more rarely."""
        self.nodes.start("a", single=True)
        b = self.nodes.start("b", ("10.0.0.1", 7000))
        self.world.advance(5)
        before = self.world.steps
        self.world.advance(60)
        self.assertEqual(states(b), {"b": "joining"})
        self.failureResultOf(b.readiness.when_ready(), AuthenticationError)
        self.assertLess(self.world.steps - before, 4000)
        self.assertEqual(self.world.errors(), [])

    def test_reflected_hello(self) -> None:
        """
        Who sends our HELLO back to us hides a seed for half a minute at most (F18).
        """
        a = self.nodes.start("a", ("10.0.0.2", 7000))
        reflected = 0
        original = a.mesh.hello.send

        def send(data: bytes, address: Any) -> None:
            nonlocal reflected
            original(data, address)
            if self.world.now_s < 5:
                reflected += 1
                self.world.inject(data, ("10.0.0.2", 7000), a.address)

        a.mesh.hello.send = send  # type: ignore[method-assign]
        self.world.advance(6)
        (contact,) = a.mesh.contacts.by_address.values()
        self.assertTrue(contact.own and reflected)
        b = self.nodes.start("b")
        self.world.advance(RETRY_MAX_S + 5)
        self.check(a, b)


class ReentryTests(MeshTestCase):
    """Subscribers and applications that do things at once."""

    def test_post_when_told(self) -> None:
        """Who is told that a member joined can send to it at once."""
        got: list[tuple[str, str]] = []
        hosts = [self.world.host(name) for name in "ab"]
        for host in hosts:
            node = self.nodes.start(host, *hosts)
            self.greet(host.name, node, got)
        self.world.advance(3)
        self.assertEqual(sorted(got), [("a", "b"), ("b", "a")])
        self.assertEqual(self.world.errors(), [])

    def greet(
        self, name: str, node: NodosumService, got: list[tuple[str, str]]
    ) -> None:
        """A node says hello to each that joins, and keeps what it hears."""
        application = node.applications.register("chat")
        application.set_receive_func(lambda _, sender: got.append((name, sender)))
        node.subscribe(lambda event: application.post(b"hi", [event.node.id]))

    def test_stop_when_told(self) -> None:
        """A node can be stopped from a subscriber or a receive function."""
        for how in ("event", "message"):
            self.setUp()
            a, b = self.nodes.start("a"), self.nodes.start("b", ("10.0.0.1", 7000))
            stopped: list[Any] = []

            def stop(
                *_: object, node: NodosumService = b, done: list[Any] = stopped
            ) -> None:
                done.append(node.stopService())

            if how == "event":
                b.subscribe(stop)
            b.applications.register("chat").set_receive_func(stop)
            chat = a.applications.register("chat")
            self.world.advance(3)
            if how == "message":
                # Both come at once; the second finds the node stopped.
                chat.post(b"1")
                chat.post(b"2")
            self.world.advance(1)
            self.world.result_of(stopped[0], 1)
            self.assertEqual(states(a)["b"], "left")
            self.assertEqual(self.world.hosts["b"].sockets(), [])
            self.assertEqual(self.world.errors(), [])

    def test_stale_goodbye(self) -> None:
        """A node whose clock went back takes a later life, and is a member (F14)."""
        a = self.nodes.start("a", incarnation=5)
        b = self.nodes.start("b", ("10.0.0.1", 7000), incarnation=9)
        self.world.advance(3)
        host = self.world.hosts["b"]
        host.crash()
        host.restart()
        changed: list[int] = []
        b = self.nodes.start(host, ("10.0.0.1", 7000), incarnation=3)
        b.incarnation_changed = changed.append
        self.world.advance(10)
        self.check(a, b)
        self.assertEqual((b.me.incarnation, changed), (10, [10]))
        self.assertEqual(Goodbye.STALE_INCARNATION, 4)
