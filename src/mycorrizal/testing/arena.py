# -*- test-case-name: tests.testing.test_arena -*-
"""
The cluster of a storm: nodes that leave and return while all goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mycorrizal.service import Mycorrizal
from mycorrizal.testing.cluster import SimCluster
from mycorrizal.testing.host import Farewell, Host, HostState
from mycorrizal.testing.plans import Plan

#: Nodes that a storm may have, with those that join.
NODES_MAX = 9

#: Whoever goes is missed within this, in seconds.
NOTICED_S = 10.0


class Arena(SimCluster):
    """
    A `SimCluster` whose nodes are stopped and started from inside of events.

    :param setup: Called with each new node, and how many processes that number
        has had.
    :ivar lives: By number, how many processes the node has had.
    :ivar born_at: By number, when its present process began.
    :ivar leaving: The nodes that are being stopped.
    :ivar seeds: The nodes that all are told of at their start.
    :ivar gone: The nodes that left, or are about to, and do not come back.
    :ivar crashed: The nodes whose last process died.
    :ivar died_at: By number, when that was.
    :ivar changes: When nodes came or went, or lost their links, whichever.
    :ivar stopped_at: By number, when the node last stopped in good order.
    """

    def __init__(self, plan: Plan, setup: Callable[[Mycorrizal, int], object]) -> None:
        self.lives: dict[int, int] = {}
        self.born_at: dict[int, float] = {}
        self.leaving: set[int] = set()
        self.seeds = frozenset(range(plan.size))
        self.gone: set[int] = set()
        self.crashed: set[int] = set()
        self.died_at: dict[int, float] = {}
        self.stopped_at: dict[int, float] = {}
        self.changes: list[float] = []
        self._set_up = setup
        names = [f"n{number}" for number in range(plan.size)]
        addresses = [f"10.0.0.{number + 1}" for number in range(plan.size)]
        super().__init__(
            plan.size,
            seed=f"{plan.seed}/{plan.profile}",
            start=False,
            static=names if plan.by_name else addresses,
        )
        self.evictions.upset = self.upset
        self.world.latency_ms(*plan.latency_ms)
        self.world.udp_loss = plan.udp_loss
        self.world.udp_duplicate = plan.udp_duplicate
        self.world.segmentation = plan.segmentation

    def _node(self, host: Host) -> Mycorrizal:
        node = super()._node(host)
        number = number_of(node.node_id)
        self.changes.append(self.world.now_s)
        self.lives[number] = self.lives.get(number, 0) + 1
        self.born_at[number] = self.world.now_s
        self._set_up(node, self.lives[number])
        return node

    def number(self, node: Mycorrizal) -> int:
        """A node's number."""
        return number_of(node.node_id)

    def live(self, number: int) -> bool:
        """Whether a node's process is running, paused or not."""
        return number in self._running

    def awake(self, number: int) -> bool:
        """Whether a node is there for its clients: not before it is ready."""
        up = self.hosts[number].state is HostState.UP
        here = up and self.live(number) and number not in self.leaving
        return here and self.nodes[number].ready

    @property
    def down(self) -> list[int]:
        """The nodes that crashed or stopped and are not back."""
        return [number for number in range(len(self)) if not self.live(number)]

    def perform(self, number: int, call: Callable[[], object]) -> None:
        """Run code in a node's process, as one turn of its reactor."""
        self.hosts[number].reactor.perform(lambda _: call())

    def crash(self, number: int, peers: Farewell = "reset") -> None:
        """Kill a node without a word."""
        self.leaving.discard(number)
        self.crashed.add(number)
        self.died_at[number] = self.world.now_s
        self.changes.append(self.world.now_s)
        super().crash(number, peers)

    def restart(self, number: int) -> Mycorrizal:
        """Start a new process, with the same id and nothing in memory."""
        self.crashed.discard(number)
        return super().restart(number)

    def leave(self, number: int, then: Callable[[], object]) -> None:
        """
        Begin to stop a node in good order.

        :param then: Called when it has stopped; never if it dies before.
        """
        node = self.nodes[number]
        self.leaving.add(number)
        self.changes.append(self.world.now_s)

        def stopped(_: Any) -> None:
            self.leaving.discard(number)
            self._running.discard(number)
            self.stopped_at[number] = self.world.now_s
            self.changes.append(self.world.now_s)
            then()

        self.perform(number, lambda: node.stopService().addBoth(stopped))

    def upset(self, since: float, until: float) -> bool:
        """Whether nodes came or went between two times, or just before."""
        return any(since - NOTICED_S <= t <= until for t in self.changes)

    def left_over(self, number: int) -> list[str]:
        """What a stopped node has left in its process."""
        host = self.hosts[number]
        if host.state is not HostState.UP:
            return []
        calls = host.reactor.getDelayedCalls()
        return [f"{host.name}: {what}" for what in [*host.sockets(), *map(str, calls)]]


def number_of(node_id: str) -> int:
    """The number in a node's id."""
    return int(node_id[1:])
