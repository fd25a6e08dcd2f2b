"""Tests for `mycorrizal.service`: stopping leaves nothing behind."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from mycorrizal import MycorrizalError, NotRunning
from mycorrizal.testing import SimCluster, seeds


def a_cluster(size: int = 2, seed: int = 1, **settings: Any) -> SimCluster:
    """A cluster that has formed, with a bucket ``s``."""
    cluster = SimCluster(size, seed=seed, buckets="s", **settings)
    cluster.until(cluster.converged)
    return cluster


class StopTests(SynchronousTestCase):
    """After `stopService` there is no timer, port, connection or Deferred."""

    def test_stop(self) -> None:
        """It fires when all is closed, and hands over what the node held."""
        cluster = a_cluster()
        for number in range(50):
            cluster.result_of(cluster[0].cache().put("s", f"{number}", b"v"))
        node = cluster[0]
        stopped = node.stopService()
        self.assertFalse(node.ready)
        self.assertNoResult(stopped)
        self.assertTrue(node.running)
        began_s = cluster.world.now_s
        self.assertIsNone(cluster.result_of(stopped))
        self.assertLess(cluster.world.now_s - began_s, 1)
        self.assertFalse(node.running)
        self.assertEqual(cluster.hosts[0].sockets(), [])
        self.assertEqual(cluster.hosts[0].reactor.getDelayedCalls(), [])
        cache = cluster[1].cache()
        for number in range(50):
            self.assertEqual(cluster.result_of(cache.get("s", f"{number}")), b"v")
        cluster.close()

    def test_stop_twice(self) -> None:
        """Who stops it again waits for the same end, and can't spoil it."""
        cluster = a_cluster()
        first, second, third = (cluster[0].stopService() for _ in range(3))
        third.cancel()
        self.failureResultOf(third, CancelledError)
        first.addCallback(lambda _: 1 // 0)
        with self.assertRaises(ZeroDivisionError):
            cluster.result_of(first)
        self.assertIsNone(self.successResultOf(second))
        self.assertIsNone(self.successResultOf(cluster[0].stopService()))
        cluster.close()

    def test_stop_and_start(self) -> None:
        """A node that was stopped can't be started again; the error says so."""
        cluster = a_cluster()
        stopped = cluster[0].stopService()
        for _ in range(2):
            with self.assertRaises(NotRunning) as raised:
                cluster[0].startService()
            self.assertIn("make a new one", str(raised.exception))
            cluster.result_of(stopped)
        cluster.close()

    def test_stop_what_was_not_started(self) -> None:
        """A node that was never started has nothing to close."""
        cluster = SimCluster(1, start=False)
        self.successResultOf(cluster[0].stopService())
        with self.assertRaises(NotRunning):
            cluster.start(0)
        self.assertEqual(cluster.hosts[0].reactor.getDelayedCalls(), [])

    @seeds(3)
    def test_stop_at_any_time(self, seed: int) -> None:
        """A node may be stopped at any moment of its start; the others go on."""
        for wait_s in (0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.102, 0.2):
            cluster = SimCluster(3, seed=seed, buckets="s")
            cluster.advance(wait_s)
            ready = cluster[1].when_ready()
            cluster.stop(1)
            ready.addErrback(lambda failure: failure.trap(NotRunning))
            self.successResultOf(ready)
            cluster.until(cluster.formed)
            cluster.close()
            self.assertEqual(cluster.world.errors(), [], wait_s)

    @seeds(3)
    def test_stop_while_it_looks_for_others(self, seed: int) -> None:
        """Names, HELLOs and connections under way are given up."""
        for static in (["nowhere.example"], ["10.9.9.9"], ["n1", "n2", "nowhere"]):
            for hello in ("udp", "tcp"):
                cluster = SimCluster(3, seed=seed, static=static, hello=hello)
                cluster.advance(0.0105 * (seed + 1))
                cluster.close()

    def test_stop_when_all_stop(self) -> None:
        """A whole cluster may stop at once."""
        cluster = a_cluster(5)
        for number in range(100):
            cluster.result_of(cluster[0].cache().put("s", f"{number}", b"v"))
        began_s = cluster.world.now_s
        cluster.close()
        self.assertLess(cluster.world.now_s - began_s, 10)


class PendingTests(SynchronousTestCase):
    """Whoever waits for something when the node stops is told."""

    def calls(self, cluster: SimCluster, number: int) -> list[Deferred[Any]]:
        """One of each call of the public API, none of them answered yet."""
        node, other = cluster[number], cluster[1 - number]
        cache = node.cache()
        application = node.get_application("slow")
        return [
            application.request(b"", other.node_id, timeout_s=100),
            application.send(b"x", [other.node_id]),
            cache.create_bucket("t"),
            *(
                call
                for number in range(20)
                for key in (f"{number}",)
                for call in (
                    cache.get("s", key),
                    cache.entry("s", key),
                    cache.put("s", key, b"v"),
                    cache.put_ttl("s", key, 5),
                    cache.delete("s", key),
                )
            ),
        ]

    def slow_cluster(self, **settings: Any) -> SimCluster:
        """Two nodes; requests to their application are never answered."""

        def setup(node: Any) -> None:
            slow = node.register_application("slow")
            slow.set_request_func(lambda payload, sender: Deferred())

        return a_cluster(setup=setup, **settings)

    def check(self, calls: list[Deferred[Any]]) -> None:
        """All have fired, with a result or one of our errors."""
        for call in calls:
            self.assertTrue(call.called)
            call.addErrback(lambda failure: failure.trap(MycorrizalError))
            self.successResultOf(call)

    @seeds(5)
    def test_all_fire(self, seed: int) -> None:
        """Each Deferred of the API has fired when the node has stopped."""
        cluster = self.slow_cluster(seed=seed)
        calls = self.calls(cluster, 0)
        ready = cluster[0].when_ready()
        cluster.result_of(cluster[0].stopService())
        self.successResultOf(ready)
        self.check(calls)
        cluster.close()

    @seeds(5)
    def test_all_fire_when_all_stop(self, seed: int) -> None:
        """Also when the other node, which should answer, stops as well."""
        cluster = self.slow_cluster(seed=seed)
        calls = [*self.calls(cluster, 0), *self.calls(cluster, 1)]
        cluster.close()
        self.check(calls)

    def test_all_fire_when_the_other_hangs(self) -> None:
        """Also when the other node does nothing any more."""
        cluster = self.slow_cluster(stop_timeout_s=2)
        cluster.pause(1)
        calls = self.calls(cluster, 0)
        cluster.result_of(cluster[0].stopService())
        self.check(calls)

    def test_calls_after_the_stop(self) -> None:
        """Afterwards every call says that the node is not running."""
        cluster = self.slow_cluster()
        cluster.stop(0)
        calls = self.calls(cluster, 0)
        for call in calls:
            self.failureResultOf(call, MycorrizalError)
        self.failureResultOf(cluster[0].when_ready(), NotRunning)
        self.failureResultOf(cluster[0].cache().get("s", "k"), NotRunning)
        cluster.close()

    def test_stop_again_when_told(self) -> None:
        """Who is told of the stop may stop it again from there."""
        cluster = SimCluster(1, static=["10.9.9.9"])
        again: list[Deferred[None]] = []
        ready = cluster[0].when_ready()
        ready.addErrback(lambda _: again.append(cluster[0].stopService()))
        cluster.stop(0)
        self.successResultOf(again[0])
        cluster.close()


class DeadlineTests(SynchronousTestCase):
    """A stop takes no longer than its deadline."""

    def errors(self, events: Sequence[dict[str, Any]]) -> list[str]:
        return [
            event["log_format"].format(**event)
            for event in events
            if event["log_level"] is LogLevel.error
        ]

    def test_hung_peer(self) -> None:
        """A peer that hangs keeps it until the deadline; what was dropped is said."""
        cluster = a_cluster(3, seed=3, stop_timeout_s=2)
        for number in range(50):
            cluster.result_of(cluster[0].cache().put("s", f"{number}", b"v"))
        held = cluster[0].cache().stats("s").entries
        cluster.pause(1)
        bulk = cluster[0].register_application("bulk")
        for _ in range(12):
            # More than the other's system takes in for it.
            bulk.post(random.Random(1).randbytes(500_000), ["n1"])
        began_s = cluster.world.now_s
        with capturedLogs() as events:
            cluster.result_of(cluster[0].stopService())
        took_s = cluster.world.now_s - began_s
        self.assertLess(took_s, 2.1)
        self.assertEqual(
            self.errors(events),
            [
                f"Not all of the cache was handed over within 1.6 s: left {held} of s",
                "Not stopped within 2.0 s: dropped 1 connections",
            ],
        )
        self.assertEqual(cluster.hosts[0].sockets(), [])
        self.assertEqual(cluster.hosts[0].reactor.getDelayedCalls(), [])

    def test_what_never_closes(self) -> None:
        """Not even what never says that it is closed keeps a stop from ending."""
        cluster = a_cluster(2, stop_timeout_s=2)
        admission = cluster[0].nodosum.mesh.admission
        self.patch(admission, "when_closed", lambda: Deferred())
        began_s = cluster.world.now_s
        with capturedLogs():
            cluster.result_of(cluster[0].stopService())
        self.assertAlmostEqual(cluster.world.now_s - began_s, 3, delta=0.1)
        self.assertFalse(cluster[0].running)

    def test_in_time(self) -> None:
        """A stop in good order drops nothing and says nothing."""
        cluster = a_cluster(3)
        with capturedLogs() as events:
            cluster.close()
        self.assertEqual(self.errors(events), [])

    def test_a_bug_is_told(self) -> None:
        """What goes wrong in stopping is logged; the stop ends all the same."""
        cluster = a_cluster(1)
        leave = cluster[0].nodosum.stopService

        def broken() -> Any:
            return leave().addCallback(lambda _: 1 // 0)

        cluster[0].nodosum.stopService = broken  # type: ignore[method-assign]
        cluster.stop(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        cluster.close()
