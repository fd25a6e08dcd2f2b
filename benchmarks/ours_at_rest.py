# -*- test-case-name: benchmarks.tests.test_at_rest -*-
"""
What a node of Mycorrizal costs that nobody asks anything, and how soon it is there.
"""

from __future__ import annotations

import signal
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from benchmarks import ours
from benchmarks.child import fail, say
from benchmarks.processes import Crew
from benchmarks.rows import Peer, Sample
from benchmarks.workloads.asking import react_to

if TYPE_CHECKING:
    from mycorrizal.testing import SimCluster

TLS = "auto"
#: Starts before those that count: imports, and whatever else is done only once.
WARM_STARTS = 2
STARTS = 9
#: A cluster has settled after so long: no slot moves, no table is compared in haste.
SETTLING_S = 5.0
#: A simulated cluster is looked at so often, and has to be formed in the end.
FORMING_LOOK_S, FORMING_LOOKS_MAX = 0.25, 480


def starting() -> Peer:
    """From ``startService`` to ready, of a node that is alone."""

    def measure(crew: Crew) -> Sample:
        return _told(crew, "start", STARTS)

    return _peer("startService to ready", measure, f"tls={TLS}, no passphrase")


def starting_simulated(nodes: int) -> Peer:
    """The same of a whole cluster in one process, as tests have it."""

    def measure(crew: Crew) -> Sample:
        return _told(crew, "start_simulated", STARTS, nodes=nodes)

    settings = f"SimCluster({nodes}) until formed; time of the processor"
    return _peer("SimCluster", measure, settings)


def idle(nodes: int, watched_s: float) -> Peer:
    """The processor's time of nodes in processes of their own."""

    def measure(crew: Crew) -> Sample:
        addresses: list[str] = []
        for number in range(nodes):
            node_id = f"node-{number}"
            child = crew.start(
                node_id,
                "benchmarks.ours_remote:serve",
                node_id=node_id,
                tls=TLS,
                static=addresses,
            )
            addresses = [*addresses, crew.expect(child, "ready")]
        crew.wait(SETTLING_S)
        crew.start_usage()
        crew.wait(watched_s)
        usage = crew.usage()
        cpu_s = sum(each.cpu_s for each in usage.values())
        return Sample(cpu_s / nodes / watched_s * 100, int(watched_s), usage)

    settings = f"tls={TLS}, {nodes} processes, {watched_s:g} s, the mean of all"
    return _peer("idle", measure, settings)


def idle_simulated(nodes: int, watched_s: float) -> Peer:
    """The same of nodes that are simulated, and with what simulating them costs."""

    def measure(crew: Crew) -> Sample:
        return _told(
            crew, "rest_simulated", int(watched_s), nodes=nodes, watched_s=watched_s
        )

    settings = f"{nodes} nodes in one process, simulation included, {watched_s:g} s"
    return _peer("idle", measure, settings)


def _peer(name: str, measure: Any, settings: str) -> Peer:
    return Peer(name, measure, (ours.NEEDED,), settings)


def _told(crew: Crew, function: str, operations: int, **arguments: Any) -> Sample:
    child = crew.start("node", f"{__name__}:{function}", **arguments)
    crew.start_usage()
    return Sample(crew.expect(child, "done"), operations, crew.usage())


def start() -> None:
    async def run(reactor: Any) -> None:
        took_ms = []
        for _ in range(WARM_STARTS + STARTS):
            node = ours.make_node(reactor, "alone", TLS, static=[])
            started_s = time.perf_counter()
            node.startService()
            await node.when_ready()
            took_ms.append((time.perf_counter() - started_s) * 1000)
            await node.stopService()
            await deferLater(reactor, 0)
        say("done", median(took_ms[WARM_STARTS:]))
        await Deferred()

    react_to(run)


def start_simulated(nodes: int) -> None:
    from mycorrizal.testing import SimCluster

    took_ms = []
    for seed in range(WARM_STARTS + STARTS):
        started_s = time.process_time()
        cluster = SimCluster(nodes, seed=seed)
        cluster.until(cluster.formed)
        took_ms.append((time.process_time() - started_s) * 1000)
        cluster.close()
    say("done", median(took_ms[WARM_STARTS:]))
    signal.pause()


def rest_simulated(nodes: int, watched_s: float) -> None:
    cluster = formed(nodes)
    cluster.advance(SETTLING_S)
    started_s = time.process_time()
    cluster.advance(watched_s)
    took_s = time.process_time() - started_s
    say("done", took_s / nodes / watched_s * 100)
    signal.pause()


def formed(nodes: int, seed: int = 0) -> SimCluster:
    """
    :return: a cluster of which each node sees all others.
    """
    from mycorrizal.testing import SimCluster

    cluster, looks = SimCluster(nodes, seed=seed), 0
    while not cluster.formed():
        # `until` looks after each event, and among many nodes a look costs more than
        # what happens between two of them.
        cluster.advance(FORMING_LOOK_S)
        looks += 1
        if looks > FORMING_LOOKS_MAX:
            fail(f"{nodes} nodes did not find each other")
    return cluster
