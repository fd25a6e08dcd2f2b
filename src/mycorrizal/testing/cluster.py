# -*- test-case-name: tests.testing.test_cluster -*-
"""
A whole cluster of real nodes in one process, one thread and one test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred

from mycorrizal.config import Config
from mycorrizal.nodosum import PeerState, new_secret
from mycorrizal.service import Mycorrizal
from mycorrizal.testing.checkers import copies_are_wrong, views_differ
from mycorrizal.testing.evictions import Evictions
from mycorrizal.testing.host import Farewell, Host, HostState
from mycorrizal.testing.tls import SimTls
from mycorrizal.testing.world import World

T = TypeVar("T")

#: The secret of every simulated cluster; there is nobody to keep it from.
SECRET: Final = new_secret(b"a simulated cluster's own secret")


class SimCluster:
    """
    A cluster of complete nodes on simulated hosts.

    Nothing in it is real but the code: the same seed gives the same run, and
    no time passes but what the test lets pass::

        cluster = SimCluster(3, seed=7)
        cluster.until(cluster.formed)
        cache = cluster[0].cache()
        cluster.result_of(cache.create_bucket("sessions", ttl_s=900))
        cluster.result_of(cache.put("sessions", "user:1", b"Ada"))
        cluster.crash(1)
        assert cluster.result_of(cluster[2].cache().get("sessions", "user:1"))

    :param size: How many nodes; they are called ``n0``, ``n1``, ...
    :param seed: What all that happens by chance is derived from.
    :param setup: Called with each node before it is started, restarted ones
        too: it registers applications, subscribes, ...
    :param settings: Of `mycorrizal.Config`, for all nodes.
    :ivar world: The simulated network, for finer faults.
    :ivar nodes: The nodes, in order; one that crashed stays until restarted.
    :ivar evictions: What nodes have let go for want of room.
    """

    def __init__(
        self,
        size: int = 3,
        *,
        seed: int | str = 0,
        setup: Callable[[Mycorrizal], object] | None = None,
        start: bool = True,
        **settings: Any,
    ) -> None:
        self.world = World(seed)
        self.evictions = Evictions(lambda: self.world.now_s)
        self.hosts = [self.world.host(f"n{number}") for number in range(size)]
        self._setup = setup
        self._settings = {
            "static": [host.address for host in self.hosts],
            "secret": SECRET,
            **settings,
        }
        self.nodes = [self._node(host) for host in self.hosts]
        self._running: set[int] = set()
        if start:
            for number in range(size):
                self.start(number)

    def _node(self, host: Host) -> Mycorrizal:
        host.runtime.tls = SimTls()
        settings = {"listen": host.address, "node_id": host.name, "host": host.name}
        node = Mycorrizal(host.reactor, Config(**{**settings, **self._settings}))
        self.evictions.set_up(node)
        if self._setup is not None:
            self._setup(node)
        return node

    def __getitem__(self, number: int) -> Mycorrizal:
        return self.nodes[number]

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def running(self) -> list[Mycorrizal]:
        """The nodes that were started and have neither crashed nor stopped."""
        return [self.nodes[number] for number in sorted(self._running)]

    # -- time -------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.world.advance(seconds)

    def until(self, predicate: Callable[[], object], limit_s: float = 30.0) -> None:
        """
        Let time pass until something is so.

        :raises AssertionError: It is not so within `limit_s`; tells the seed
            and the last events.
        """
        self.world.until(predicate, limit_s)

    def result_of(self, deferred: Deferred[T], limit_s: float = 60.0) -> T:
        """
        Let time pass until a Deferred has fired.

        :return: Its result.
        :raises Exception: What it failed with.
        """
        return self.world.result_of(deferred, limit_s)

    # -- nodes ------------------------------------------------------------------

    def start(self, number: int) -> None:
        """Start a node that was not started yet."""
        self.nodes[number].startService()
        self._running.add(number)

    def add(self) -> Mycorrizal:
        """Add a host with a node of its own, and start it."""
        number = len(self.nodes)
        self.hosts.append(self.world.host(f"n{number}"))
        self.nodes.append(self._node(self.hosts[number]))
        self.start(number)
        return self.nodes[number]

    def crash(self, number: int, peers: Farewell = "reset") -> None:
        """
        Kill a node without a word.

        :param peers: What the others' connections notice: ``reset`` or
            ``close`` as after kill -9, ``silence`` as after a power cut.
        """
        self.hosts[number].crash(peers)
        self._running.discard(number)

    def restart(self, number: int) -> Mycorrizal:
        """
        Start a new process after a crash or a stop, with the same id and
        nothing in memory.
        """
        if self.hosts[number].state is HostState.UP and number not in self._running:
            self.hosts[number].crash()
        self.hosts[number].restart()
        self.nodes[number] = self._node(self.hosts[number])
        self.start(number)
        return self.nodes[number]

    def stop(self, number: int) -> None:
        """Stop a node in good order, and wait until it has."""
        self.result_of(self.nodes[number].stopService())
        self._running.discard(number)

    def pause(self, number: int) -> None:
        """Stop a node's process as SIGSTOP does."""
        self.hosts[number].pause()

    def resume(self, number: int) -> None:
        """Let a paused node go on."""
        self.hosts[number].resume()

    # -- the network ------------------------------------------------------------

    def partition(self, *groups: Iterable[int]) -> None:
        """Cut the network between groups of nodes; bytes wait until `heal`."""
        self.world.partition(
            *([self.hosts[number] for number in group] for group in groups)
        )

    def cut(self, a: int, b: int, *, one_way: bool = False) -> None:
        """
        Cut two nodes from each other; bytes wait until `heal`.

        :param one_way: Only what the first says to the second.
        """
        self.world.cut(self.hosts[a], self.hosts[b], one_way)

    def heal(self) -> None:
        """Undo all cuts."""
        self.world.heal()

    def slow(
        self,
        a: int,
        b: int,
        bytes_per_s: float | None = None,
        *,
        latency_ms: float | None = None,
    ) -> None:
        """
        Make what lies between two nodes slow, both ways.

        :param bytes_per_s: Its bandwidth; None: any.
        :param latency_ms: Of one way, for each byte; None: as everywhere.
        """
        ends = self.hosts[a], self.hosts[b]
        self.world.slow(*ends, bytes_per_s)
        for link in (self.world.link(*ends), self.world.link(*ends[::-1])):
            link.latency = None
        if latency_ms is not None:
            self.world.latency_ms(latency_ms, latency_ms, ends)

    # -- what is so -------------------------------------------------------------

    def formed(self) -> bool:
        """Whether every running node is ready and sees every other alive."""
        everybody = {node.node_id: "alive" for node in self.running}
        return all(node.ready and _members(node) == everybody for node in self.running)

    def converged(self) -> bool:
        """Whether it is formed, and no slot or copy is on its way."""
        return self.formed() and all(node.mycel.moves.settled for node in self.running)

    def check_invariants(self) -> None:
        """
        Check what must hold when nothing has happened for a while.

        :raises AssertionError: Something does not: code raised an error, views
            differ, or copies are missing, unequal or left over.
        """
        problems = [
            *self.world.errors(),
            *views_differ(self.running),
            *copies_are_wrong(self.running, self.evictions),
        ]
        if problems:
            raise AssertionError(self.world.story("; ".join(problems)))

    def close(self) -> None:
        """
        Stop every node and check that nothing is left of them.

        :raises AssertionError: A timer, port or connection is left.
        """
        for number, host in enumerate(self.hosts):
            if host.state is HostState.PAUSED:
                self.resume(number)
        stopping = [node.stopService() for node in self.running]
        for stopped in stopping:
            self.result_of(stopped)
        self._running.clear()
        left = [
            f"{host.name}: {what}"
            for host in self.hosts
            if host.state is HostState.UP
            for what in [*host.sockets(), *map(str, host.reactor.getDelayedCalls())]
        ]
        if left:
            raise AssertionError("after all nodes stopped: " + "; ".join(left))


def _members(node: Mycorrizal) -> dict[str, str]:
    return {
        seen.id: seen.state
        for seen in node.nodes()
        if seen.state in (PeerState.ALIVE.value, PeerState.SUSPECT.value)
    }


def _tell(error: Exception, note: str) -> None:
    # Trial shows no notes, so it becomes part of the message where it can.
    if not error.args:
        error.args = (note,)
    elif isinstance(error.args[0], str):
        error.args = (f"{error.args[0]}\n{note}", *error.args[1:])
    else:
        error.add_note(note)


def seeds(
    count: int, first: int = 0
) -> Callable[[Callable[..., object]], Callable[..., None]]:
    """
    Run a test once with each of some seeds, given as its argument ``seed``.

    A failure names its seed; run that one alone with ``seeds(1, first=SEED)``.
    """

    def decorate(test: Callable[..., object]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            for seed in range(first, first + count):
                try:
                    test(*arguments, seed=seed)
                except Exception as error:
                    _tell(error, f"with seed={seed} of {test.__qualname__}")
                    raise

        # By hand: `functools.wraps` would show pytest the argument `seed`, and
        # it would look for a fixture of that name.
        run.__name__, run.__qualname__ = test.__name__, test.__qualname__
        run.__doc__, run.__module__ = test.__doc__, test.__module__
        return run

    return decorate
