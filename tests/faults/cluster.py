"""
A cluster of real processes, on one of three networks.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.task import deferLater

from tests.faults.clients import Access
from tests.faults.journal import BUCKET
from tests.faults.namespaces import Namespaces
from tests.faults.relay import Node, Place, Relay
from tests.integration.processes import Crew, Running, free_ports

#: How long a cluster may take to form, or to heal.
SETTLE_LIMIT_S = 40.0
#: How often a condition is looked at.
LOOK_S = 0.01
_LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def _fake_clock(path: Path) -> dict[str, str]:
    """What makes a process take its wall clock's offset from a file."""
    return {
        "LD_PRELOAD": _LIBRARY,
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_NO_CACHE": "1",
        # In 0.9.10 this leaves CLOCK_BOOTTIME alone as well.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


class Network(Protocol):
    """Where nodes listen, and how a process becomes one of them."""

    name: str

    def enter(self, number: int) -> list[str]:
        """The beginning of the node's command."""

    def options(self, number: int) -> list[str]:
        """Where it listens, and looks for others."""

    def client_address(self, number: int) -> str:
        """Where this process reaches it."""

    def close(self) -> Any:
        """Remove it."""


class Plain:
    """Loopback, with nothing between the nodes."""

    name = "loopback"

    def __init__(self, count: int) -> None:
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]

    def enter(self, number: int) -> list[str]:
        """No more than the command itself."""
        return []

    def options(self, number: int) -> list[str]:
        """All addresses."""
        own = self.client_address(number)
        return ["--listen", own, "--static", ",".join(self.addresses)]

    def client_address(self, number: int) -> str:
        """Where it listens."""
        return self.addresses[number - 1]

    def close(self) -> None:
        """Nothing is left."""


class Walled(Plain):
    """A namespace for each node."""

    name = "namespaces"

    def __init__(self, count: int) -> None:
        self.walls = Namespaces(count)
        self.walls.open()
        self.addresses = [self.walls.address(n) for n in self.walls.numbers]
        self.enter = self.walls.enter  # type: ignore[method-assign]
        self.close = self.walls.close  # type: ignore[method-assign]


class Relayed(Plain):
    """
    Loopback, with the relay between the nodes.

    :ivar pids: Of the nodes, by name: a dialler is known by its process.
    """

    name = "relay"

    def __init__(self, reactor: Any, count: int, seed: str) -> None:
        self.pids: dict[str, int] = {}
        self.relay = Relay(reactor, seed, self._who)
        self.addresses, self._public = [], []
        for number, port in enumerate(free_ports(count), 1):
            public, real = f"127.77.0.{number}", f"127.77.1.{number}"
            self.relay.add(Node(f"n{number}", (public, port), (real, port)))
            self.addresses.append(f"{real}:{port}")
            self._public.append(f"{public}:{port}")

    def options(self, number: int) -> list[str]:
        """The others' public addresses, and its own."""
        own = ["--listen", self.client_address(number)]
        own += ["--advertise", self._public[number - 1]]
        return [*own, "--static", ",".join(self._public)]

    def _who(self, place: Place) -> str | None:
        inode = _inode_of(place[1])
        for name, pid in self.pids.items():
            if inode and _holds(pid, f"socket:[{inode}]"):
                return name
        return None

    def close(self) -> Any:
        """Close the relay."""
        return self.relay.close()


def _inode_of(port: int) -> str:
    """The socket of this machine that dialled from a local port."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        remote = fields[2].partition(":")[0]
        # Public addresses are 127.77.0.x, in the machine's own byte order.
        if fields[1].endswith(f":{port:04X}") and remote.endswith("004D7F"):
            return fields[9]
    return ""


def _holds(pid: int, name: str) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(folder)
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if os.readlink(f"{folder}/{descriptor}") == name:
                return True
        except OSError:
            continue
    return False


class Cluster:
    """
    Some nodes, which can be started, stopped and asked.

    :param home: A directory of the test's own.
    :ivar nodes: Those that run, by number.
    :ivar started: All processes that ever ran.
    """

    def __init__(self, reactor: Any, network: Network, count: int, home: Path) -> None:
        self.reactor = reactor
        self.network = network
        self.numbers = range(1, count + 1)
        self.nodes: dict[int, Running] = {}
        self.started: list[Running] = []
        self.crew = Crew(home)
        self.access: Access
        self.clock_file: dict[int, Path] = {}
        self._home = home

    def start(self, number: int) -> None:
        """Start a node's process."""
        command = [
            *self.network.enter(number),
            *(sys.executable, "-m", "twisted", "mycorrizal"),
            *("--node-id", f"n{number}"),
            *("--bucket", f"{BUCKET}:replicas=1"),
            *self.network.options(number),
        ]
        running = self.crew.start(f"n{number}", command, self._clock(number))
        self.nodes[number] = running
        self.started.append(running)
        if isinstance(self.network, Relayed):
            self.network.pids[f"n{number}"] = running.process.pid

    def _clock(self, number: int) -> dict[str, str]:
        path = self.clock_file.get(number)
        return {} if path is None else _fake_clock(path)

    def fake_clocks(self) -> None:
        """From the next start on, each node has a clock that `step_clock` sets."""
        for number in self.numbers:
            self.clock_file[number] = self._home / f"clock-{number}"
            self.step_clock(number, 0)

    def step_clock(self, number: int, offset_s: int) -> None:
        """Set a node's wall clock to so many seconds from the true time."""
        path = self.clock_file[number]
        new = path.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.replace(path)

    async def form(self) -> None:
        """Start all nodes, and wait until they are one cluster."""
        for number in self.numbers:
            self.start(number)
        await self.until(lambda: all(n.said("Ready") for n in self.nodes.values()))
        self.access = Access(self.reactor, self.crew.secret)
        await self.settled()

    def address(self, number: int) -> str:
        """Where clients reach a node."""
        return self.network.client_address(number)

    def others(self, number: int) -> list[int]:
        """All numbers but one."""
        return [other for other in self.numbers if other != number]

    # -- waiting --------------------------------------------------------------

    async def pause(self, pause_s: float) -> None:
        """Let time pass."""
        await deferLater(self.reactor, pause_s)

    async def until(
        self, condition: Callable[[], object], limit_s: float = SETTLE_LIMIT_S
    ) -> float:
        """
        Wait until a condition is true; the seconds it took.

        :raises AssertionError: It never was.
        """
        began_at = time.monotonic()
        while not condition():
            if time.monotonic() - began_at > limit_s:
                raise AssertionError(f"not within {limit_s:g} s")
            await self.pause(LOOK_S)
        return time.monotonic() - began_at

    def log_sizes(self, numbers: Iterable[int]) -> dict[int, int]:
        """How much each node has said."""
        return {number: len(self.nodes[number].log) for number in numbers}

    async def seen_dead(self, number: int, since: dict[int, int]) -> dict[str, float]:
        """
        Wait until nodes say that another died.

        :param since: Those nodes, and where in their logs to begin.
        :return: The seconds until each of them did, by its name.
        """
        began_at = time.monotonic()
        pattern = re.compile(rf"\bn{number} died")
        missing, found = dict(since), {}

        def look() -> bool:
            for other, position in list(missing.items()):
                if pattern.search(self.nodes[other].log, position):
                    found[f"n{other}"] = round(time.monotonic() - began_at, 3)
                    del missing[other]
            return not missing

        try:
            await self.until(look, 15.0)
        except AssertionError:
            found.update({f"n{other}": float("inf") for other in missing})
        return found

    async def settled(
        self, limit_s: float = SETTLE_LIMIT_S, numbers: Sequence[int] = ()
    ) -> float:
        """
        Wait until nodes see each other and each value has its copies.

        :param numbers: Of the nodes; all, unless told.
        :raises AssertionError: They don't; says who lacks what.
        """
        began_at = time.monotonic()
        calm, numbers = 0, numbers or self.numbers
        while calm < 2:
            problems = [it for n in numbers for it in await self._problems(n, numbers)]
            # Twice in a row: one node may be asked before the news reach it.
            calm = 0 if problems else calm + 1
            if problems and time.monotonic() - began_at > limit_s:
                raise AssertionError(f"after {limit_s:g} s: {'; '.join(problems)}")
            await self.pause(0.1)
        return time.monotonic() - began_at

    async def _problems(self, number: int, numbers: Sequence[int]) -> list[str]:
        status = await self.access.status(self.address(number))
        if status is None:
            return [f"n{number} does not answer"]
        alive = sorted(m.id for m in status.members if m.state == "alive")
        problems = []
        if alive != [f"n{n}" for n in numbers]:
            problems.append(f"n{number} sees {','.join(alive)}")
        if status.under_replicated:
            problems.append(f"n{number}: {status.under_replicated} slots lack copies")
        if not any(bucket.name == BUCKET for bucket in status.buckets):
            problems.append(f"n{number} has no bucket")
        return problems

    async def close(self) -> None:
        """End all processes and the network."""
        self.crew.end()
        closed = self.network.close()
        if closed is not None:
            await closed


#: Prints three clocks, and again an hour later by the wall clock alone.
_CLOCKS = """
import sys, time
for offset in ("+0", "+3600"):
    open(sys.argv[1], "w").write(offset + "\\n")
    print(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))
"""


def clock_can_be_faked() -> str:
    """Why a node's wall clock, and no other, can't be set; empty if it can."""
    if not os.path.exists(_LIBRARY):
        return "faketime is not installed (tests/faults/install.sh)"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "clock"
        done = subprocess.run(
            [sys.executable, "-c", _CLOCKS, str(path)],
            env={**os.environ, **_fake_clock(path)},
            capture_output=True,
            text=True,
            timeout=20.0,
        )
    clocks = [float(text) for text in done.stdout.split()]
    if len(clocks) != 6:
        return f"faketime does not work: {done.stderr[-200:]}"
    wall, monotonic, boot = (clocks[n + 3] - clocks[n] for n in range(3))
    if abs(wall - 3600) > 5 or monotonic > 5 or boot > 5:
        return (
            f"faketime steps {wall:.0f}, {monotonic:.0f}, {boot:.0f} s, not 3600, 0, 0"
        )
    return ""
