"""
One nemesis at work on one cluster under load: what it may do, and the result.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import attrs

from tests.faults.checker import LAST_SWEEP, SWEEP, Checker
from tests.faults.clients import ASK_TIMEOUT_S, Load
from tests.faults.cluster import Cluster, Network, Plain, Relayed, Walled
from tests.faults.journal import Journal

#: Clients of one run; they share its operations.
CLIENTS = 5
#: Before the first fault, so that there is something to lose.
WARM_UP_S = 4.0
#: Between two faults, besides what balances the windows.
CALM_S = 1.0


@attrs.frozen
class Settings:
    """
    How to run one nemesis.

    :ivar seconds: For how long it begins new faults.
    :ivar per_s: Operations a second.
    :ivar kills: How many times `crash` kills; 0: as often as time allows.
    """

    seed: int
    seconds: float
    per_s: float
    kills: int


@attrs.define(eq=False)
class Stage:
    """
    What a nemesis has: a cluster, its load, a journal and chance.

    :ivar detections: How long nodes took to see a death, in seconds, by kind.
    :ivar problems: What went wrong besides what the history tells.
    :ivar counts: What the nemesis counted.
    """

    cluster: Cluster
    load: Load
    journal: Journal
    random: Random
    settings: Settings
    ends_at: float
    detections: dict[str, list[float]] = attrs.field(factory=dict)
    settled_s: list[float] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)
    counts: Counter[str] = attrs.field(factory=Counter)
    faults: int = 0
    _sweeps: int = 0

    @property
    def walls(self) -> Walled:
        """The network, where nodes are in namespaces."""
        assert isinstance(self.cluster.network, Walled)
        return self.cluster.network

    @property
    def relayed(self) -> Relayed:
        """The network, where the relay is between the nodes."""
        assert isinstance(self.cluster.network, Relayed)
        return self.cluster.network

    def goes_on(self) -> bool:
        """Whether there is time for one more fault."""
        return time.monotonic() < self.ends_at

    async def pause(self, pause_s: float) -> None:
        """Let time pass."""
        await self.cluster.pause(pause_s)

    @asynccontextmanager
    async def fault(self, what: str, *, partition: bool) -> AsyncIterator[None]:
        """
        A fault, from its beginning until the cluster has got over it.

        :param partition: Whether nodes may be of two minds meanwhile.  Then
            calm of the same length follows, so that not all reads are excused.
        """
        self.faults += 1
        began_at = time.monotonic()
        if partition:
            with self.journal.window(what, partition=True):
                yield
                await self._settle()
            # Half as much again: clients with no node have read less before.
            await self.pause(1.2 * (time.monotonic() - began_at))
        else:
            self.journal.event(what)
            yield
            await self._settle()
        await self.sweep()
        await self.pause(CALM_S)

    async def _settle(self) -> None:
        try:
            self.settled_s.append(round(await self.cluster.settled(), 2))
        except AssertionError as error:
            self.problems.append(f"not settled after fault {self.faults}: {error}")

    async def sweep(self) -> None:
        """Read all, through one node, now that all is calm."""
        self._sweeps += 1
        number = self._sweeps % len(self.cluster.numbers) + 1
        address = self.cluster.address(number)
        name = f"{SWEEP}-{self._sweeps}-n{number}"
        await self.cluster.access.sweep(name, address, self.load.keys, self.journal)

    async def last_sweep(self) -> None:
        """Read all through each node, when nothing is written any more."""
        for number in self.cluster.numbers:
            address, name = self.cluster.address(number), f"{LAST_SWEEP}-n{number}"
            await self.cluster.access.sweep(name, address, self.load.keys, self.journal)

    def detected(self, kind: str, seen: dict[str, float]) -> None:
        """Nodes have seen a death, each after so many seconds."""
        self.detections.setdefault(kind, []).append(max(seen.values()))
        self.journal.event(f"{kind}: seen after {seen}")


Storm = Callable[[Stage], Coroutine[Any, Any, None]]


@attrs.frozen
class Nemesis:
    """
    A kind of fault.

    :ivar network: ``loopback``, ``namespaces`` or ``relay``.
    :ivar why_not: Why this machine can't have it; empty if it can.
    """

    name: str
    storm: Storm
    network: str
    nodes: int = 3
    why_not: Callable[[], str] = lambda: ""
    fake_clocks: bool = False


def _network(nemesis: Nemesis, reactor: Any, seed: str) -> Network:
    if nemesis.network == "namespaces":
        return Walled(nemesis.nodes)
    if nemesis.network == "relay":
        return Relayed(reactor, nemesis.nodes, seed)
    return Plain(nemesis.nodes)


async def run(
    reactor: Any, nemesis: Nemesis, settings: Settings, home: Path
) -> dict[str, Any]:
    """
    Run one nemesis, from the start of its cluster to the verdict.

    :param home: An empty directory, which keeps the logs and the history.
    :return: Figures, findings and problems.
    """
    seed = f"{settings.seed}:{nemesis.name}"
    network = _network(nemesis, reactor, seed)
    cluster = Cluster(reactor, network, nemesis.nodes, home)
    began_at = time.monotonic()
    try:
        with (home / "history.jsonl").open("wb") as file:
            journal = Journal(file, lambda: time.monotonic() - began_at)
            if nemesis.fake_clocks:
                cluster.fake_clocks()
            await cluster.form()
            load = Load(
                cluster.access,
                [cluster.address(number) for number in cluster.numbers],
                journal,
                seed,
                clients=CLIENTS,
                per_s=settings.per_s,
            )
            ends_at = time.monotonic() + WARM_UP_S + settings.seconds
            stage = Stage(cluster, load, journal, Random(seed), settings, ends_at)
            await _perform(stage, nemesis)
    finally:
        await cluster.close()
    return _result(stage, round(time.monotonic() - began_at, 1))


async def _perform(stage: Stage, nemesis: Nemesis) -> None:
    stage.load.start()
    try:
        await stage.pause(WARM_UP_S)
        await nemesis.storm(stage)
    except (AssertionError, OSError) as error:
        stage.problems.append(f"the nemesis failed: {error!r}")
    finally:
        await stage.load.stop()
    # What was given up may still take effect until its time is over.
    await stage.pause(ASK_TIMEOUT_S)
    try:
        await stage.cluster.settled()
    except AssertionError as error:
        stage.problems.append(f"not settled at the end: {error}")
    await stage.last_sweep()


def _result(stage: Stage, elapsed_s: float) -> dict[str, Any]:
    verdict = Checker(stage.journal.records).check()
    latencies = sorted(s for c in stage.load.clients for s in c.latencies_s)
    counts = dict(sorted(verdict.counts.items()))
    asked = sum(counts.get(f"{op} {how}", 0) for op in ("get", "put", "delete")
                for how in ("ok", "fail", "info"))  # fmt: skip
    problems = list(stage.problems)
    for running in stage.cluster.started:
        if "Traceback" in running.log:
            problems.append(f"a traceback in {running.log_path}")
    return {
        "faults": stage.faults,
        "elapsed_s": elapsed_s,
        "operations": asked,
        "counts": counts,
        "latency_ms": {
            share: round(1000 * latencies[int(len(latencies) * float(share))], 1)
            for share in ("0.5", "0.99")
        }
        if latencies
        else {},
        "latency_max_ms": round(1000 * latencies[-1]) if latencies else None,
        "detections_s": stage.detections,
        "settled_s": stage.settled_s,
        "findings": verdict.findings,
        "excused": verdict.excused,
        "problems": problems,
        "nemesis": dict(stage.counts),
    }
