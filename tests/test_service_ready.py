"""Tests for `mycorrizal.service`: becoming ready."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs

from mycorrizal import (
    AuthenticationError,
    CannotListen,
    Copies,
    DuplicateNodeId,
    MycorrizalError,
    NotReady,
    NotRunning,
)
from tests.node_case import OTHER_SECRET, NodeCase


class ReadyTests(NodeCase):
    """A node is ready when it has met all it can meet, or fails with the reason."""

    def test_alone(self) -> None:
        """Who looks for nobody is ready at once."""
        node = self.node()
        self.world.advance(5)
        self.assertFalse(node.ready)
        node.startService()
        self.assertLess(self.ready(node), 0.5)
        self.assertLess(self.ready(node), 0.001)
        self.stop(node)

    def test_only_itself(self) -> None:
        """The list may name this node, and nobody else."""
        node = self.started(static=[self.a.address])
        self.assertLess(self.ready(node), 1)
        self.stop(node)

    def test_silent_addresses(self) -> None:
        """Addresses that say nothing for 3 s keep a node from being ready no longer."""
        node = self.started(static=["10.9.9.9", "10.9.9.8:7000"])
        took_s = self.ready(node)
        self.assertGreater(took_s, 2.4)
        self.assertLess(took_s, 3.2)
        self.stop(node)

    def test_nobody_listens(self) -> None:
        """Where a connection is refused nobody is waited for."""
        node = self.started(static=[self.b.address])
        self.assertLess(self.ready(node), 1)
        self.stop(node)

    def test_others(self) -> None:
        """Two nodes are ready when they are linked and know each other's buckets."""
        first = self.started(buckets="s")
        self.ready(first)
        second = self.started(self.b, static=[self.a.address])
        self.assertLess(self.ready(second), 0.5)
        self.assertEqual([node.id for node in second.nodes()], ["a", "b"])
        self.assertIn("s", second.cache().buckets())
        self.world.result_of(second.cache().put("s", "k", b"v"))
        self.stop(first, second)

    def test_every_call_works_from_then_on(self) -> None:
        """Whoever waits for ready can use the cache at once."""
        first = self.started(buckets="s")
        second = self.started(self.b, static=[self.a.address])
        put: list[Deferred[Copies]] = []
        ready = second.when_ready()
        ready.addCallback(lambda _: put.append(second.cache().put("s", "k", b"v")))
        self.world.result_of(ready)
        self.assertEqual(self.world.result_of(put[0]), 2)
        self.stop(first, second)

    def test_buckets_conflict(self) -> None:
        """The cluster's settings of a bucket win; the node is ready all the same."""
        first = self.started(buckets="s:replicas=0")
        self.ready(first)
        with capturedLogs() as events:
            second = self.started(
                self.b, static=[self.a.address], buckets="s:replicas=3"
            )
            self.ready(second)
        problems = [it for it in events if it["log_level"] is LogLevel.error]
        self.assertIn("exists with other settings", problems[0]["problem"])
        self.assertEqual(second.cache().buckets()["s"].replicas, 0)
        self.stop(first, second)

    def test_refused_by_all(self) -> None:
        """Other secret, cluster or TLS: the error says who refused, and the remedy."""
        member = self.started()
        for settings in (
            {"secret": OTHER_SECRET},
            {"cluster_name": "other"},
            {"tls": "off"},
        ):
            node = self.started(self.b, static=[self.a.address, "10.9.9.9"], **settings)
            error = self.problem(node.when_ready(), AuthenticationError)
            self.assertIn(f"{member.address} refused us: ", str(error))
            self.assertIn("--secret-file, --cluster-name and --tls", str(error))
            self.assertNotIn(OTHER_SECRET, str(error))
            self.problem(node.when_ready(), AuthenticationError)
            self.assertFalse(node.ready)
            self.world.result_of(node.stopService())
        self.stop(member)

    def test_refused_by_some(self) -> None:
        """Who is let in by one node does not mind that another refuses it."""
        stranger_host = self.world.host("c")
        stranger = self.started(stranger_host, secret=OTHER_SECRET)
        member = self.started()
        node = self.started(
            self.b, static=[stranger_host.address, self.a.address], ready_timeout_s=10
        )
        self.ready(node)
        self.assertEqual([one.id for one in node.nodes()], ["a", "b"])
        self.stop(member, node, stranger)

    def test_no_name_has_an_address(self) -> None:
        """Names that nobody knows: not ready within the time, and which names."""
        node = self.started(
            static=["seeds.example", "more.example:1"], ready_timeout_s=5
        )
        self.world.advance(4.9)
        ready = node.when_ready()
        self.assertNoResult(ready)
        error = self.problem(ready, NotReady)
        self.assertLess(self.world.now_s, 5.5)
        self.assertIn("not ready within 5 s: ", str(error))
        self.assertIn("more.example, seeds.example", str(error))
        self.stop(node)

    def test_a_name_is_known_later(self) -> None:
        """A name that gets its address in time makes the node ready."""
        member = self.started(buckets="s")
        node = self.started(self.b, static=["seeds.example"])
        self.world.advance(5)
        self.assertFalse(node.ready)
        self.world.names["seeds.example"] = [self.a.address]
        self.ready(node, 10)
        self.assertIn("s", node.cache().buckets())
        self.stop(member, node)

    def test_same_id_twice(self) -> None:
        """The second node of an id fails, and the error names both addresses."""
        first = self.started(node_id="twin")
        self.ready(first)
        self.world.advance(1)
        second = self.started(self.b, node_id="twin", static=[self.a.address])
        error = self.problem(second.when_ready(), DuplicateNodeId)
        self.assertEqual(error.node_id, "twin")
        self.assertEqual(error.addresses, (second.address, first.address))
        self.world.advance(10)
        self.assertTrue(first.ready)
        self.stop(first, second)

    def test_port_is_taken(self) -> None:
        """A port that is taken is an error at once, and nothing stays open."""
        first = self.started()
        second = self.node(node_id="b")
        ready = second.when_ready()
        with self.assertRaises(CannotListen) as raised:
            second.startService()
        self.assertEqual(raised.exception.address, f"{self.a.address}:6969")
        self.problem(ready, CannotListen)
        self.problem(second.when_ready(), CannotListen)
        self.assertFalse(second.running)
        with self.assertRaises(NotRunning):
            second.startService()
        self.stop(first, second)

    def test_port_is_taken_leaves_nothing(self) -> None:
        """Also when nobody stops the node that could not be started."""
        first = self.started()
        self.world.result_of(first.when_ready())
        before = len(self.a.reactor.getDelayedCalls())
        with self.assertRaises(CannotListen):
            self.started(node_id="b")
        self.assertEqual(len(self.a.reactor.getDelayedCalls()), before)
        self.stop(first)

    def test_listen_on_a_name(self) -> None:
        """A node can listen on a host's name, and fails if it has no address."""
        node = self.started(listen="a:7001")
        self.ready(node)
        self.assertEqual(node.address, f"{self.a.address}:7001")
        self.stop(node)
        lost = self.started(listen="nowhere.example:7001")
        error = self.problem(lost.when_ready(), MycorrizalError)
        self.assertIn("nowhere.example", str(error))
        self.stop(lost)

    def test_listen_on_a_taken_name(self) -> None:
        """A port that is taken is reported also when a name had to be looked up."""
        first = self.started()
        second = self.started(listen="a:6969", node_id="b")
        self.problem(second.when_ready(), CannotListen)
        self.stop(first, second)

    def test_stopped_before(self) -> None:
        """Who stops a node that is not ready tells those who wait."""
        node = self.started(static=["10.9.9.9"])
        ready = node.when_ready()
        self.world.advance(1)
        self.stop(node)
        self.problem(ready, NotRunning)
        self.problem(node.when_ready(), NotRunning)
        self.assertFalse(node.ready)

    def test_cancel(self) -> None:
        """One who waits no more harms no other who does."""
        node = self.started(static=["10.9.9.9"])
        impatient, patient = node.when_ready(), node.when_ready()
        impatient.cancel()
        self.failureResultOf(impatient, CancelledError)
        self.world.result_of(patient)
        self.stop(node)


class SingleTests(NodeCase):
    """A node that is alone on purpose."""

    def test_single(self) -> None:
        """It needs no secret, looks for nobody, and its cache works."""
        node = self.started(
            secret=None, single=True, static=[self.b.address], buckets="s"
        )
        self.assertLess(self.ready(node), 0.5)
        self.assertEqual(self.world.result_of(node.cache().put("s", "k", b"v")), 1)
        self.assertEqual(self.world.result_of(node.cache().get("s", "k")), b"v")
        self.assertEqual([one.id for one in node.nodes()], ["a"])
        self.stop(node)

    def test_others_are_refused(self) -> None:
        """Nodes with the right secret are told that it is alone; it stays usable."""
        alone = self.started(single=True, buckets="s")
        self.ready(alone)
        other = self.started(self.b, static=[self.a.address])
        with self.assertRaisesRegex(AuthenticationError, "it runs alone"):
            self.ready(other)
        self.world.advance(40)
        self.assertTrue(alone.ready)
        alive = [one.id for one in alone.nodes() if one.state == "alive"]
        self.assertEqual(alive, ["a"])
        self.world.result_of(alone.cache().put("s", "k", b"v"))
        self.assertEqual(alone.nodosum.mesh.admission.connections, {})
        self.stop(alone, other)
