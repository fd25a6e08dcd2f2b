"""
Whatever happens to the members, what was acknowledged is read.
"""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from mycorrizal.testing import SimCluster, seeds
from tests.mycel.histories import BUCKET, Load


class HistoryTestCase(SynchronousTestCase):
    """Nodes whose clocks are wrong, on a network of changing delays, under load."""

    def begin(self, seed: int, size: int = 4, replicas: int = 1) -> None:
        """Form a cluster and put the first values."""
        self.random = random.Random(seed)
        self.cluster = cluster = SimCluster(size, seed=seed)
        for host in cluster.hosts:
            host.jump_wall(self.random.uniform(-3, 3))
        cluster.until(cluster.formed)
        created = cluster[0].cache().create_bucket(BUCKET, replicas=replicas)
        cluster.result_of(created)
        self.load = Load(cluster, seed)
        self.load.run(0.7)

    def change_delays(self) -> None:
        """From now on, links between hosts are fast or slow, each by itself."""
        hosts = self.cluster.hosts
        for number, host in enumerate(hosts):
            for other in hosts[:number]:
                mean_ms = self.random.choice([0.3, 0.3, 2, 20, 60])
                self.cluster.world.latency_ms(mean_ms / 2, mean_ms, (host, other))

    def settle(self) -> None:
        """Go on until every copy is where it should be."""
        self.load.run(0.7)
        self.load.run_until(self.cluster.converged)

    def check(self) -> None:
        """All reads were right, and nothing is missing or left over."""
        self.settle()
        self.cluster.advance(6)
        self.load.read_all()
        self.cluster.advance(2)
        self.assertEqual(self.load.wrong, [])
        self.cluster.check_invariants()

    def check_all_went_well(self) -> None:
        """
        As `check`; also, each operation has ended, and none failed but on a
        node that was stopped.
        """
        self.check()
        self.assertEqual(self.load.waiting, 0)
        outcomes = {it for it in self.load.counts if not it.endswith(" NotRunning")}
        self.assertEqual(outcomes, {"put", "get", "touch"})


class HistoryTests(HistoryTestCase):
    """One thing happens at a time, and is over before the next."""

    @seeds(5)
    def test_joins(self, seed: int) -> None:
        """Nodes join; at each moment every key is found."""
        self.begin(seed)
        for _ in range(3):
            self.change_delays()
            self.cluster.add()
            self.settle()
        self.check_all_went_well()

    @seeds(5)
    def test_deaths(self, seed: int) -> None:
        """Nodes are killed and come back with the same id and nothing in memory."""
        self.begin(seed)
        for _ in range(3):
            self.change_delays()
            number = self.random.randrange(4)
            self.cluster.crash(number)
            self.settle()
            self.cluster.restart(number)
            self.settle()
        self.check()

    @seeds(3)
    def test_deaths_at_short_intervals(self, seed: int) -> None:
        """With two replicas, the second may die before the first is replaced."""
        self.begin(seed, size=5, replicas=2)
        for _ in range(3):
            self.change_delays()
            number = self.random.randrange(5)
            self.cluster.crash(number)
            self.load.run(self.random.uniform(0.3, 1.5))
            self.cluster.restart(number)
            self.load.run(self.random.uniform(0.3, 1.5))
        self.check()

    @seeds(3)
    def test_leaves(self, seed: int) -> None:
        """Nodes leave in good order: no operation fails, nothing is lost."""
        self.begin(seed)
        self.leave_two()
        self.check_all_went_well()

    @seeds(3)
    def test_leaves_without_replicas(self, seed: int) -> None:
        """So it is where the leaver holds the only copy."""
        self.begin(seed, replicas=0)
        self.leave_two()
        self.check_all_went_well()

    def leave_two(self) -> None:
        """Two nodes leave, one after the other."""
        for number in (1, 2):
            self.change_delays()
            node = self.cluster.nodes[number]
            self.cluster._running.discard(number)
            stopped = node.stopService()
            self.load.run_until(lambda stopped=stopped: stopped.called)  # type: ignore[misc]
            self.settle()

    @seeds(3)
    def test_lost_links(self, seed: int) -> None:
        """Connections between living nodes break and are made again."""
        self.begin(seed)
        for _ in range(6):
            self.change_delays()
            one, other = self.random.sample(self.cluster.nodes, 2)
            link = one.nodosum.link_to(other.nodosum.me.node_key)
            if link is not None:
                link.abort()
            self.load.run(0.5)
        self.check_all_went_well()

    @seeds(3)
    def test_restart_and_join_overlap(self, seed: int) -> None:
        """Members change again before what moved has arrived."""
        self.begin(seed)
        self.change_delays()
        for _ in range(2):
            self.cluster.add()
            self.load.run(0.1)
        self.check_all_went_well()

    @seeds(1)
    def test_power_cut(self, seed: int) -> None:
        """A machine goes dark; until it is found dead, calls may fail, not lie."""
        self.begin(seed)
        self.cluster.crash(3, peers="silence")
        self.load.run(4)
        self.check()
