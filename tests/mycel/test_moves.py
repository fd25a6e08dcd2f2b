"""
What the cache keeps while members come and go.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mycorrizal import Copies
from tests.mycel.cases import ClusterTestCase


class DeathTests(ClusterTestCase):
    """A node dies while calls are under way."""

    def test_put_while_the_replica_dies(self) -> None:
        """The put is finished with those who live, and has two copies again."""
        key = self.key_owned_by(0, 1)
        put = self.cache(0).put("b", key, b"v")
        self.cluster.crash(1)
        self.assertNoResult(put)
        self.assertEqual(self.result_of(put), 2)
        self.assertEqual(self.result_of(self.cache(2).get("b", key)), b"v")

    def test_put_while_the_primary_dies(self) -> None:
        """The put goes to the next primary, and is not lost after it returned."""
        key = self.key_owned_by(1, 2)
        put = self.cache(0).put("b", key, b"v")
        self.cluster.crash(1)
        self.assertEqual(self.result_of(put), 2)
        self.cluster.crash(2)
        self.assertEqual(self.result_of(self.cache(0).get("b", key)), b"v")

    def test_get_while_the_primary_dies(self) -> None:
        """A read goes on to the next primary."""
        key = self.key_owned_by(1, 2)
        self.result_of(self.cache(0).put("b", key, b"v"))
        get = self.cache(0).get("b", key)
        self.cluster.crash(1)
        self.assertEqual(self.result_of(get), b"v")

    def test_while_a_node_falls_silent(self) -> None:
        """What is called as a node falls silent ends well when that is found out."""
        key = self.key_owned_by(1, 2)
        self.result_of(self.cache(0).put("b", key, b"v"))
        self.cluster.pause(1)
        get, put = self.cache(0).get("b", key), self.cache(2).put("b", key, b"w")
        self.assertIn(self.result_of(get), (b"v", b"w"))
        self.assertEqual(self.result_of(put), 2)

    def test_deleted_stays_deleted(self) -> None:
        """A deleted key does not come back when its owners change, and change back."""
        self.fill(30)
        for number in range(30):
            self.assertTrue(self.result_of(self.cache(1).delete("b", f"k{number}")))
        for number in (0, 1, 2, 0, 1):
            self.cluster.crash(number)
            self.cluster.until(self.cluster.converged)
            self.cluster.restart(number)
            self.settle()
        for number in range(30):
            get = self.cache(number % 3).get("b", f"k{number}")
            self.assertIsNone(self.result_of(get))

    def test_under_replicated(self) -> None:
        """How many copies are missing is known, and goes down to none."""
        self.fill()
        self.assertEqual(self.missing(), 0)
        self.cluster.crash(2)
        seen = set()

        def settled() -> bool:
            seen.add(self.missing())
            return self.cluster.converged()

        self.cluster.until(settled)
        self.assertGreater(max(seen), 0)
        self.assertEqual(self.missing(), 0)
        self.check_all(0)

    def missing(self) -> int:
        """How many copies the running nodes miss."""
        return sum(node.mycel.under_replicated() for node in self.cluster.running)

    def test_restart(self) -> None:
        """A node that comes back with nothing loses nothing, not for a moment."""
        self.fill()
        self.cluster.crash(1)
        self.cluster.until(self.cluster.converged)
        self.cluster.restart(1)
        for number in range(100):
            get = self.cache(number % 2 * 2).get("b", f"k{number}")
            self.assertEqual(self.result_of(get), b"%d:" % number)
        self.settle()
        self.check_all(1)

    def test_another_incarnation(self) -> None:
        """A restarted node whose clock went back takes part all the same."""
        self.fill()
        self.cluster.crash(1)
        self.cluster.hosts[1].jump_wall(-3600)
        node = self.cluster.restart(1)
        began_as = node.nodosum.me.incarnation
        self.settle()
        self.assertGreater(node.nodosum.me.incarnation, began_as)
        self.check_all(1)


class MoveTests(ClusterTestCase):
    """Much has to move, over slow lines."""

    def slow_down(self) -> None:
        """From now on hosts are connected by slow lines."""
        hosts = self.cluster.hosts
        for number, host in enumerate(hosts):
            for other in hosts[:number]:
                self.cluster.world.slow(host, other, 300_000)

    def test_found_while_it_moves(self) -> None:
        """Every key is found through every node while a newcomer is filled."""
        self.fill(60, bytes(20_000))
        late = self.cluster.add()
        self.slow_down()
        self.cluster.until(lambda: len(late.mycel.view.members) == 4)
        done = 0
        while not self.cluster.converged():
            key = f"k{done % 60}"
            value = self.result_of(self.cache(done % 4).get("b", key))
            self.assertIsNotNone(value, key)
            done += 1
        self.assertGreater(done, 5)
        self.settle()

    def test_written_while_it_moves(self) -> None:
        """A value that is written meanwhile is not overwritten by its old self."""
        self.fill(60, bytes(20_000))
        late = self.cluster.add()
        self.slow_down()
        self.cluster.until(lambda: len(late.mycel.view.members) == 4)
        for number in range(60):
            put = self.cache(number % 4).put("b", f"k{number}", b"new")
            self.assertEqual(self.result_of(put), 2)
        self.settle()
        for number in range(60):
            get = self.cache(number % 4).get("b", f"k{number}")
            self.assertEqual(self.result_of(get), b"new")

    def test_newcomer_dies_half_way(self) -> None:
        """A newcomer that dies before it was filled takes nothing with it."""
        self.fill(60, bytes(20_000))
        late = self.cluster.add()
        self.slow_down()
        self.cluster.until(lambda: len(late.mycel.view.members) == 4)
        self.cluster.advance(0.1)
        self.cluster.crash(3)
        self.settle()
        self.check_all(0, 60)

    def test_leaving(self) -> None:
        """While a node hands over what it holds, everything can be read and put."""
        self.fill(60, bytes(20_000))
        self.slow_down()
        stopped = self.cluster[1].stopService()
        done = 0
        while not stopped.called:
            key, cache = f"k{done % 60}", self.cache(2 * (done % 2))
            self.assertIsNotNone(self.result_of(cache.get("b", key)), key)
            self.result_of(self.cache(0).put("b", f"while {done}", b"v"))
            done += 1
        self.assertGreater(done, 5)
        self.cluster._running.discard(1)
        self.settle()
        self.check_all(0, 60)
        for number in range(done):
            get = self.cache(2).get("b", f"while {number}")
            self.assertEqual(self.result_of(get), b"v")

    def test_older_version_after_a_partition(self) -> None:
        """Nor does one who missed its successor bring it back, long after that."""
        key = self.key_owned_by(0, 1)
        self.result_of(self.cache(0).put("b", key, b"old"))
        self.cluster.partition([0, 2], [1])
        self.cluster.advance(8)
        self.assertEqual(self.result_of(self.cache(2).put("b", key, b"new", 5)), 2)
        self.cluster.advance(60)
        self.cluster.heal()
        self.settle()
        for number in range(3):
            self.assertIsNone(self.result_of(self.cache(number).get("b", key)))


class LeaveTests(ClusterTestCase):
    """A node that stops in good order takes nothing with it."""

    replicas = 0

    def test_only_copy(self) -> None:
        """What has no replica is handed over, until the last node is left."""
        self.fill()
        self.cluster.stop(1)
        self.settle()
        self.check_all(0)
        self.cluster.stop(0)
        self.settle()
        self.check_all(2)
        self.cluster.close()

    def test_written_at_the_last_moment(self) -> None:
        """What is put while a node leaves is not lost with it."""
        stopped = self.cluster[1].stopService()
        key = self.key_owned_by(1)
        puts: list[Deferred[Copies]] = []
        while not stopped.called:
            puts.append(self.cache(0).put("b", f"{key}", b"%d" % len(puts)))
            self.cluster.advance(0.0002)
        self.cluster._running.discard(1)
        for put in puts:
            self.assertGreaterEqual(self.result_of(put), 1)
        last = b"%d" % (len(puts) - 1)
        self.assertEqual(self.result_of(self.cache(2).get("b", key)), last)

    def test_join_while_leaving(self) -> None:
        """A node that joins meanwhile does not make anybody drop what was given."""
        self.fill(100, bytes(5000))
        for host in self.cluster.hosts:
            for other in self.cluster.hosts:
                if other is not host:
                    self.cluster.world.slow(host, other, 200_000)
        stopped = self.cluster[1].stopService()
        self.cluster.advance(0.2)
        self.cluster.add()
        self.result_of(stopped)
        self.cluster._running.discard(1)
        self.settle()
        self.check_all(3)

    def test_all_stop_at_once(self) -> None:
        """When all nodes stop, each does, and nothing is left."""
        self.fill(10)
        self.cluster.close()
