"""Tests for `mycorrizal.testing.cluster`."""

from __future__ import annotations

import contextlib
import time
import unittest
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.trial.reporter import TestResult
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from mycorrizal import MemberDied, MemberLeft, Mycorrizal, UnknownBucket
from mycorrizal.testing import HostState, SimCluster, seeds


class LifeTests(SynchronousTestCase):
    """Nodes come and go as a test wants them to."""

    def members(self, cluster: SimCluster, number: int) -> list[str]:
        """Whom a node sees alive."""
        return [n.id for n in cluster[number].nodes() if n.state == "alive"]

    def test_formed(self) -> None:
        """Three nodes find each other in well under a second of their time."""
        # Measured: 13 to 18 ms of processor time on a small machine.
        cluster = SimCluster(3)
        self.assertFalse(cluster.formed())
        cluster.until(cluster.formed, 1)
        self.assertEqual(self.members(cluster, 0), ["n0", "n1", "n2"])
        self.assertEqual(len(cluster), 3)
        self.assertEqual(cluster.running, cluster.nodes)
        self.assertIs(cluster[2], cluster.nodes[2])
        cluster.check_invariants()
        cluster.close()

    def test_soon(self) -> None:
        """Three nodes are formed within 50 ms of the processor's time."""
        took_s = []
        for seed in range(5):
            began_s = time.process_time()
            cluster = SimCluster(3, seed=seed)
            cluster.until(cluster.formed, 1)
            took_s.append(time.process_time() - began_s)
            cluster.close()
        self.assertLessEqual(min(took_s), 0.05, took_s)

    def test_one_node(self) -> None:
        """A cluster of one is formed too."""
        cluster = SimCluster(1)
        cluster.until(cluster.formed)
        cluster.check_invariants()
        cluster.close()

    def test_start_by_hand(self) -> None:
        """Nodes may be started one by one."""
        cluster = SimCluster(2, start=False)
        cluster.advance(5)
        self.assertEqual(cluster.running, [])
        cluster.start(0)
        cluster.until(cluster.formed)
        self.assertEqual(self.members(cluster, 0), ["n0"])
        cluster.start(1)
        cluster.until(cluster.formed)
        self.assertEqual(self.members(cluster, 0), ["n0", "n1"])
        cluster.close()

    def test_add(self) -> None:
        """A node that is added joins the others."""
        cluster = SimCluster(2, seed=3)
        cluster.until(cluster.formed)
        added = cluster.add()
        self.assertIs(added, cluster[2])
        self.assertEqual(added.node_id, "n2")
        cluster.until(cluster.formed)
        self.assertEqual(self.members(cluster, 0), ["n0", "n1", "n2"])
        cluster.close()

    def test_setup(self) -> None:
        """Each node is set up before it starts, also the next time."""
        seen: list[tuple[str, bool]] = []
        cluster = SimCluster(
            2, setup=lambda node: seen.append((node.node_id, bool(node.running)))
        )
        cluster.crash(1)
        cluster.restart(1)
        self.assertEqual(seen, [("n0", False), ("n1", False), ("n1", False)])

    def test_settings(self) -> None:
        """Any setting can be given for all nodes."""
        cluster = SimCluster(2, buckets="s:replicas=0", labels={"zone": "a"})
        cluster.until(cluster.formed)
        self.assertEqual(list(cluster[1].cache().buckets()), ["s"])
        self.assertEqual(cluster[0].nodes()[1].labels, {"zone": "a"})
        cluster.close()

    def test_crash_and_restart(self) -> None:
        """A node that is killed dies for the others, and comes back as itself."""
        events: list[object] = []
        cluster = SimCluster(3, seed=2)
        cluster.until(cluster.formed)
        cluster[0].subscribe(events.append)
        cluster.crash(2)
        self.assertEqual(cluster.running, cluster.nodes[:2])
        cluster.until(cluster.formed, 2)
        self.assertIsInstance(events[0], MemberDied)
        before = cluster[2]
        self.assertIs(cluster.restart(2), cluster[2])
        self.assertIsNot(cluster[2], before)
        cluster.until(cluster.formed)
        self.assertEqual(self.members(cluster, 0), ["n0", "n1", "n2"])
        cluster.close()

    def test_stop_and_restart(self) -> None:
        """A node that was stopped has left, and can be started again."""
        events: list[object] = []
        cluster = SimCluster(2, seed=2)
        cluster.until(cluster.formed)
        cluster[0].subscribe(events.append)
        cluster.stop(1)
        self.assertEqual(cluster.running, [cluster[0]])
        cluster.until(cluster.formed, 1)
        self.assertIsInstance(events[0], MemberLeft)
        cluster.restart(1)
        cluster.until(cluster.formed)
        with self.assertRaises(RuntimeError):
            cluster.restart(1)
        cluster.close()

    def test_pause(self) -> None:
        """A paused node is dead for the others until it goes on."""
        cluster = SimCluster(3, seed=4)
        cluster.until(cluster.formed)
        cluster.pause(1)
        cluster.until(lambda: self.members(cluster, 0) == ["n0", "n2"])
        self.assertFalse(cluster.formed())
        cluster.resume(1)
        cluster.until(cluster.formed)
        cluster.pause(2)
        cluster.close()
        self.assertIs(cluster.hosts[2].state, HostState.UP)

    def test_partition(self) -> None:
        """Two sides of a cut see each other dead, and find back when it heals."""
        cluster = SimCluster(3, seed=5)
        cluster.until(cluster.formed)
        cluster.partition([0], [1, 2])
        cluster.until(lambda: self.members(cluster, 0) == ["n0"])
        cluster.until(lambda: self.members(cluster, 1) == ["n1", "n2"])
        cluster.heal()
        cluster.until(cluster.converged, 60)
        cluster.check_invariants()
        cluster.close()

    def test_cut(self) -> None:
        """Two nodes can be cut from each other, and one way is enough."""
        for one_way in (False, True):
            cluster = SimCluster(3, seed=1)
            cluster.until(cluster.formed)
            cluster.cut(0, 1, one_way=one_way)
            cluster.advance(8)
            key = cluster[0].nodosum.me.node_key
            self.assertIsNone(cluster[1].nodosum.link_to(key))
            # The third hears both, so nobody takes anybody for dead.
            for number in range(3):
                self.assertEqual(self.members(cluster, number), ["n0", "n1", "n2"])
            cluster.heal()
            cluster.until(cluster.formed)
            cluster.close()

    def took_s(self, cluster: SimCluster) -> float:
        """What the slowest of some puts of 40 kB takes, through the first node."""
        slowest_s, cache = 0.0, cluster[0].cache()
        for number in range(10):
            began = cluster.world.now_s
            cluster.result_of(cache.put("b", f"k{number}", bytes(40_000)))
            slowest_s = max(slowest_s, cluster.world.now_s - began)
        return slowest_s

    def test_slow(self) -> None:
        """What lies between two nodes can be slow, and be as before again."""
        cluster = SimCluster(2, seed=1, buckets=["b:replicas=1"])
        cluster.until(cluster.formed)
        self.assertLess(self.took_s(cluster), 0.02)
        cluster.slow(0, 1, 100_000)
        self.assertGreater(self.took_s(cluster), 0.4)
        cluster.slow(0, 1, latency_ms=50)
        self.assertTrue(0.1 <= self.took_s(cluster) < 0.4)
        cluster.slow(0, 1)
        self.assertLess(self.took_s(cluster), 0.02)
        cluster.close()

    def test_converged(self) -> None:
        """A cluster has converged when no copy is on its way."""
        cluster = SimCluster(2, seed=6, buckets="s")
        cluster.until(cluster.converged)
        for number in range(20):
            cluster.result_of(cluster[0].cache().put("s", f"{number}", b"v"))
        cluster.crash(1)
        cluster.until(cluster.converged)
        cluster.restart(1)
        cluster.until(cluster.formed)
        cluster.until(cluster.converged)
        self.assertEqual(cluster[1].cache().stats("s").entries, 20)
        cluster.check_invariants()
        cluster.close()


class WaitTests(SynchronousTestCase):
    """A test waits in simulated time, and is told why it waited in vain."""

    def setUp(self) -> None:
        self.cluster = SimCluster(1, seed=77)

    def test_advance(self) -> None:
        """Time passes, and no more than was asked for."""
        self.cluster.advance(5)
        self.assertEqual(self.cluster.world.now_s, 5)

    def test_until_never(self) -> None:
        """What never comes is a failure that names the seed."""
        with self.assertRaises(AssertionError) as raised:
            self.cluster.until(lambda: False, 3)
        self.assertIn("[seed 77,", str(raised.exception))
        self.assertEqual(self.cluster.world.now_s, 3)

    def test_result_of(self) -> None:
        """A Deferred's result, or what it failed with."""
        self.assertEqual(self.cluster.result_of(succeed(5)), 5)
        with self.assertRaises(UnknownBucket):
            self.cluster.result_of(fail(UnknownBucket("s")))
        never: Deferred[None] = Deferred()
        with self.assertRaises(AssertionError):
            self.cluster.result_of(never, 3)

    def test_same_seed(self) -> None:
        """The same seed gives the same run, to the last byte; another does not."""

        def story(seed: int) -> str:
            cluster = SimCluster(3, seed=seed, buckets="s")
            cluster.until(cluster.formed)
            for number in range(10):
                cluster.result_of(cluster[0].cache().put("s", f"{number}", b"v"))
            cluster.crash(1)
            cluster.until(cluster.converged)
            cluster.close()
            return cluster.world.digest()

        self.assertEqual(story(1), story(1))
        self.assertNotEqual(story(1), story(2))


class CloseTests(SynchronousTestCase):
    """Closing proves that nothing is left of the nodes."""

    def test_what_is_left_is_named(self) -> None:
        """A timer, a port and a connection that were forgotten."""
        cluster = SimCluster(2, seed=8)
        cluster.until(cluster.formed)
        a, b = cluster.hosts
        a.reactor.callLater(3600, lambda: None)
        b.reactor.listenTCP(7, Factory.forProtocol(Protocol))
        dialling: Any = ClientFactory.forProtocol(Protocol)
        a.reactor.connectTCP(b.address, 7, dialling)
        cluster.advance(1)
        with self.assertRaises(AssertionError) as raised:
            cluster.close()
        problem = str(raised.exception)
        self.assertIn("after all nodes stopped: n0: ", problem)
        for left in ("DelayedCall", "n1: TCP port 7", "n1: <Sim"):
            self.assertIn(left, problem)

    def test_close_again(self) -> None:
        """Closing twice, or after crashes, is fine."""
        cluster = SimCluster(3, seed=9)
        cluster.until(cluster.formed)
        cluster.crash(0)
        cluster.crash(1, "silence")
        cluster.close()
        cluster.close()
        self.assertEqual(cluster.running, [])

    def test_close_at_any_time(self) -> None:
        """Whatever goes on, all stop."""
        for wait_s in (0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0):
            cluster = SimCluster(3, seed=10, buckets="s")
            cluster.advance(wait_s)
            cluster.close()
            self.assertEqual(cluster.world.errors(), [], wait_s)

    def test_close_when_cut_apart(self) -> None:
        """Also when the others can't be reached."""
        cluster = SimCluster(3, seed=11, buckets="s", stop_timeout_s=2)
        cluster.until(cluster.formed)
        cluster.partition([0], [1], [2])
        cluster.close()


class SeedTests(SynchronousTestCase):
    """A test is run with several seeds, and names the one it fails with."""

    def outcome(self, test: Any) -> str:
        """What trial says of a failing test."""
        result = TestResult()

        class Tests(SynchronousTestCase):
            test_it = test

        with contextlib.suppress(AttributeError):
            Tests("test_it").run(result)
        failed = [*result.failures, *result.errors]
        return str(failed[0][1]) if failed else ""

    def test_all_seeds(self) -> None:
        """Each seed once, in order, from the first."""
        ran: list[int] = []

        @seeds(3, first=5)
        def test(case: Any, seed: int) -> None:
            """A test."""
            ran.append(seed)

        test(self)
        self.assertEqual(ran, [5, 6, 7])
        self.assertEqual((test.__name__, test.__doc__), ("test", "A test."))
        self.assertFalse(hasattr(test, "__wrapped__"))

    def test_failure_names_the_seed(self) -> None:
        """Trial and pytest show the seed that a test failed with."""
        raised: list[tuple[type[Exception], tuple[Any, ...]]] = [
            (AssertionError, ("1 != 2",)),
            (AssertionError, ()),
            (UnknownBucket, ("s",)),
            (KeyError, ("k",)),
        ]
        for kind, arguments in raised:

            @seeds(3)
            def test(
                case: Any, seed: int, kind: Any = kind, arguments: Any = arguments
            ) -> None:
                if seed == 1:
                    raise kind(*arguments)

            self.assertIn("with seed=1 of ", self.outcome(test), kind)
            with self.assertRaises(kind) as caught:
                test(self)
            self.assertIn("with seed=1 of ", str(caught.exception))

    def test_other_errors_get_a_note(self) -> None:
        """An error whose words are not ours to change gets a note."""

        @seeds(1)
        def test(case: Any, seed: int) -> None:
            raise OSError(5, "Input/output error")

        with self.assertRaises(OSError) as caught:
            test(self)
        self.assertEqual(caught.exception.errno, 5)
        (note,) = caught.exception.__notes__
        self.assertIn("with seed=0 of ", note)

    def test_skip(self) -> None:
        """A test that skips itself is skipped."""

        @seeds(2)
        def test(case: Any, seed: int) -> None:
            raise SkipTest("not here")

        with self.assertRaises(unittest.SkipTest):
            test(self)

    def test_a_failing_cluster_tells_its_seed(self) -> None:
        """What a cluster finds wrong names the world's seed and the last events."""

        def broken(node: Mycorrizal) -> None:
            node.runtime.reactor.callLater(0, lambda: 1 // 0)

        cluster = SimCluster(1, seed=99, setup=broken)
        cluster.advance(1)
        self.flushLoggedErrors(ZeroDivisionError)
        with self.assertRaises(AssertionError) as raised:
            cluster.check_invariants()
        self.assertIn("[seed 99,", str(raised.exception))
        self.assertIn("n0: integer division", str(raised.exception))
