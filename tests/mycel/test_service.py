"""
How the cache starts and stops, and what nodes say to each other.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import Indeterminate, NotRunning
from mycorrizal.mycel.messages import NEVER, BucketEntry, Buckets, Fetch, Found
from mycorrizal.mycel.service import SWEEP_MAX
from mycorrizal.nodosum.calls import LINK_LOST
from mycorrizal.testing import SimCluster
from tests.mycel.cases import ClusterTestCase

FETCH = Fetch("b", b"k")


class BucketTests(SynchronousTestCase):
    """Buckets of nodes that have not met yet."""

    def test_made_apart(self) -> None:
        """Of settings made apart the later are in force, and copies follow."""
        cluster = SimCluster(2, seed=3)
        cluster.partition([0], [1])
        cluster.until(lambda: all(node.ready for node in cluster.nodes))
        for number, node in enumerate(cluster.nodes):
            cache = node.cache()
            cluster.advance(1)
            cluster.result_of(cache.create_bucket("b", replicas=number))
            for key in range(30):
                cluster.result_of(cache.put("b", f"{number} {key}", b"v"))
        with capturedLogs() as logs:
            cluster.heal()
            cluster.until(cluster.converged)
        warnings = [it for it in logs if it.get("bucket") == "b"]
        self.assertTrue(warnings)
        for event in warnings:
            self.assertEqual(event["log_level"], LogLevel.warn)
            self.assertIn("replicas is", event["difference"])
        for node in cluster.nodes:
            self.assertEqual(node.cache().buckets()["b"].replicas, 1)
            self.assertEqual(node.cache().stats("b").entries, 60)
        cluster.check_invariants()


class SettingsTests(ClusterTestCase):
    """Settings that change."""

    def test_more_replicas(self) -> None:
        """When later settings ask for more copies, they are made."""
        self.fill()
        stamp = 2**62
        later = BucketEntry(
            "b", NEVER, 100_000, None, 2, stamp, bytes(16), created=stamp
        )
        told: list[object] = []
        for node in self.cluster.nodes:
            for other in self.cluster.nodes:
                if other is not node:
                    asked = other.nodosum.me.node_key
                    node.mycel.ask(asked, Buckets((later,), 0), 5, told.append)
        self.cluster.until(lambda: len(told) == 6)
        self.settle()
        for number in range(3):
            self.assertEqual(self.cache(number).stats("b").entries, 100)


class TalkTests(ClusterTestCase):
    """What nodes say to each other."""

    def link(self) -> Any:
        """The link from node 0 to node 1."""
        node_key = self.cluster[1].nodosum.me.node_key
        return self.cluster[0].nodosum.link_to(node_key)

    def test_malformed_request(self) -> None:
        """Nonsense ends the link it came on, which is made again."""
        ended: list[int] = []
        channel, link = self.cluster[0].mycel.channel, self.link()
        deadline = self.cluster.hosts[0].monotonic() + 5
        channel.call(link, b"\xff", lambda how, _: ended.append(how), deadline)
        self.cluster.until(lambda: ended)
        self.assertEqual(ended, [LINK_LOST])
        self.cluster.until(self.cluster.converged)
        self.assertIsNot(self.link(), link)
        self.assertTrue(self.link().up)

    def test_message_without_an_answer(self) -> None:
        """So does a message that asks for nothing."""
        link, channel = self.link(), self.cluster[0].mycel.channel
        link.lanes.flow(channel.app_id).post(channel.head(1), b"x")
        self.cluster.until(lambda: link.closed)
        self.cluster.until(self.cluster.converged)

    def test_malformed_answer(self) -> None:
        """Nonsense in place of an answer is none, and ends the link."""
        other, link = self.cluster[1].mycel, self.link()
        self.patch(other, "serve", lambda call, _, link: link.reply(call, b"\xff"))
        told: list[object] = []
        asked = other.nodosum.me.node_key
        self.cluster[0].mycel.ask(asked, FETCH, 5, told.append)
        self.cluster.until(lambda: told)
        self.assertEqual(told, [None])
        self.assertTrue(link.closed)

    def test_asked(self) -> None:
        """What is asked is answered, by that node alone."""
        told: list[object] = []
        asked = self.cluster[1].nodosum.me.node_key
        self.cluster[0].mycel.ask(asked, FETCH, 5, told.append)
        self.assertEqual(told, [])
        self.cluster.until(lambda: told)
        self.assertEqual(told, [Found(None)])

    def test_stopped_node_asks_nobody(self) -> None:
        """A node that was stopped asks nobody anything, and tells nobody so."""
        told: list[object] = []
        asked = self.cluster[1].nodosum.me.node_key
        self.cluster[0].mycel.stopService()
        self.cluster[0].mycel.ask(asked, FETCH, 5, told.append)
        self.cluster.advance(6)
        self.assertEqual(told, [])

    def test_nobody_to_ask(self) -> None:
        """Who has no link is not asked, which is told a little later."""
        told: list[object] = []
        self.cluster[0].mycel.ask(bytes(16), FETCH, 5, told.append)
        self.assertEqual(told, [])
        self.cluster.advance(0.1)
        self.assertEqual(told, [None])

    def test_stopped_cache(self) -> None:
        """A node that serves no more sends operations back, to be tried again."""
        key = self.key_owned_by(1)
        self.result_of(self.cache(0).put("b", key, b"v"))
        self.cluster[1].mycel.stopService()
        get = self.cache(0).get("b", key, timeout_s=20)
        self.cluster.advance(1)
        self.assertNoResult(get)
        self.cluster.crash(1)
        self.assertEqual(self.result_of(get), b"v")

    def test_nothing_is_left(self) -> None:
        """A stopped node leaves no timer, port or connection, nor a waiting call."""
        node = self.cluster[0]
        self.cluster.pause(1)
        waiting = self.cache(0).put("b", self.key_owned_by(0, 1), b"v")
        names: list[object] = []
        waiting.addCallbacks(names.append, lambda failure: names.append(failure.type))
        self.cluster.stop(0)
        self.assertIn(names, ([2], [NotRunning], [Indeterminate]))
        self.assertEqual(self.cluster.hosts[0].sockets(), [])
        self.assertEqual(self.cluster.hosts[0].reactor.getDelayedCalls(), [])
        self.assertEqual(node.mycel.router.under_way, {})

    def test_nothing_is_left_of_a_question(self) -> None:
        """Nor does one that was asking others what they have."""
        key = self.key_owned_by(2, 0)
        self.cluster.crash(2)
        self.cluster.pause(1)
        node = self.cluster[0]
        self.cluster.until(lambda: node.mycel.claims.claiming)
        get = self.cache(0).get("b", key)
        self.cluster.advance(0.1)
        self.assertNoResult(get)
        node.mycel.stopService()
        self.failureResultOf(get, NotRunning)
        self.result_of(node.nodosum.stopService())
        self.cluster.advance(0.1)
        self.assertEqual(node.runtime.pending_timers(), 0)


class SweepTests(ClusterTestCase):
    """Memory of what has expired."""

    size = 1

    def test_much_at_once(self) -> None:
        """However much expires at once, it is freed soon, and a little at a time."""
        for number in range(3 * SWEEP_MAX):
            self.result_of(self.cache(0).put("b", f"{number}", b"v", ttl_s=5))
        store = self.cluster[0].mycel.buckets.by_name["b"].store
        self.cluster.advance(5)
        held = [store.entries]
        while store.entries:
            self.cluster.advance(0.01)
            held.append(store.entries)
        self.assertLessEqual(max(a - b for a, b in pairwise(held)), SWEEP_MAX)
        self.assertEqual(held[0], 3 * SWEEP_MAX)
        self.assertLess(self.cluster.world.now_s, 5 + 2 + 1)
