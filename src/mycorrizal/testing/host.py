# -*- test-case-name: tests.testing.test_host -*-
"""
A simulated machine: its clocks, its ports, and the process that runs on it.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Literal

from twisted.python.failure import Failure

from mycorrizal.runtime import Entropy, Runtime
from mycorrizal.testing.ports import EPHEMERAL, PortTable, is_loopback
from mycorrizal.testing.reactor import SimReactor
from mycorrizal.testing.timeline import TICK_S, ticks_of

if TYPE_CHECKING:
    from mycorrizal.testing.dialing import SimListeningPort
    from mycorrizal.testing.udp import SimDatagramPort
    from mycorrizal.testing.world import World

#: Exceptions that a host remembers.
ERRORS_MAX = 100

#: What a clock's drift is counted in.
_MILLION = 1_000_000

#: What the other ends of a crashed process's connections notice: a reset at
#: once, an orderly end at once, or nothing at all.
Farewell = Literal["reset", "close", "silence"]


class HostState(Enum):
    """What the one process of a host is doing."""

    UP = "up"
    PAUSED = "paused"
    CRASHED = "crashed"


class Host:
    """
    One machine of the simulated world, with one process.

    :ivar name: Its name; the name service knows it.
    :ivar addresses: Its addresses, IPv4 or IPv6.
    :ivar reactor: The reactor of the present process.
    :ivar runtime: The runtime of the present process, also found as
        ``reactor.runtime``.
    :ivar errors: The last exceptions that its processes raised into their
        reactors, which logged them.
    :ivar state: Whether the process is up, paused or crashed.
    :ivar powered: Whether the machine itself is on.
    """

    def __init__(
        self,
        world: World,
        name: str,
        addresses: tuple[str, ...],
        *,
        wall_s: float,
        drift_ppm: int = 0,
    ) -> None:
        self.world = world
        self.name = name
        self.addresses = addresses
        self.state = HostState.UP
        self.powered = True
        self.errors: deque[Failure] = deque(maxlen=ERRORS_MAX)
        self.stream = world.stream(name)
        first = EPHEMERAL.start + int(self.stream.random() * len(EPHEMERAL))
        self.tcp_ports: PortTable[SimListeningPort] = PortTable(addresses, first)
        self.udp_ports: PortTable[SimDatagramPort] = PortTable(addresses, first)
        self._drift_ppm = drift_ppm
        self._boot(ticks_of(wall_s))
        self._start_process()

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.state.value}>"

    @property
    def address(self) -> str:
        """Its first address."""
        return self.addresses[0]

    # -- clocks ---------------------------------------------------------------

    def _boot(self, wall_ticks: int) -> None:
        # Machines have been running for different times; nobody may compare
        # one's monotonic clock with another's.
        self._monotonic_base = ticks_of(1000 + int(self.stream.random() * 100_000))
        self._since_ticks = self.world.now_ticks
        self._wall_offset = wall_ticks - self._monotonic_base

    def monotonic_ticks(self) -> int:
        """The clock that never steps, in ticks."""
        elapsed = self.world.now_ticks - self._since_ticks
        drift = elapsed * self._drift_ppm // _MILLION if self._drift_ppm else 0
        return self._monotonic_base + elapsed + drift

    def monotonic(self) -> float:
        """Seconds on the clock that never steps; each host has its own."""
        return self.monotonic_ticks() * TICK_S

    def wall_ticks(self) -> int:
        """The wall clock, in ticks."""
        return self.monotonic_ticks() + self._wall_offset

    def wall(self) -> float:
        """Seconds since the epoch, as this host believes."""
        return self.wall_ticks() * TICK_S

    def ticks_at_wall(self, wall_ticks: int) -> int:
        """When in the world the wall clock will show that, if it never steps."""
        elapsed = wall_ticks - self._wall_offset - self._monotonic_base
        if self._drift_ppm:
            elapsed = -(-elapsed * _MILLION // (_MILLION + self._drift_ppm))
        return self._since_ticks + elapsed

    def jump_wall(self, seconds: float) -> None:
        """Step the wall clock forward, or back; the monotonic one goes on."""
        self._wall_offset += ticks_of(seconds)
        self.reactor.clock_changed()
        self.world.record(self.name, "clock jump")

    @property
    def drift_ppm(self) -> int:
        """How much too fast both clocks run, in millionths."""
        return self._drift_ppm

    @drift_ppm.setter
    def drift_ppm(self, drift_ppm: int) -> None:
        if drift_ppm <= -_MILLION:
            raise ValueError("A clock cannot run backwards")
        now = self.monotonic_ticks()
        self._monotonic_base, self._since_ticks = now, self.world.now_ticks
        self._drift_ppm = drift_ppm
        self.reactor.clock_changed()

    # -- the process ----------------------------------------------------------

    def _start_process(self) -> None:
        self.reactor = SimReactor(self.world, self)
        entropy = Entropy(self.stream.random, self.stream.randbytes)
        self.runtime = Runtime(
            self.reactor, entropy, monotonic=self.monotonic, wall=self.wall
        )
        self.reactor.runtime = self.runtime

    def pause(self) -> None:
        """
        Stop the process as SIGSTOP does: its clocks go on, its kernel takes
        connections and bytes until the buffers are full.
        """
        self._must_be(HostState.UP)
        self.state = HostState.PAUSED
        self.reactor.asleep = True
        self.world.record(self.name, "pause")

    def resume(self) -> None:
        """Let the process go on as SIGCONT does; it finds all at once."""
        self._must_be(HostState.PAUSED)
        self.state = HostState.UP
        self.world.record(self.name, "resume")
        self.reactor.awake()

    def crash(self, peers: Farewell = "reset") -> None:
        """
        End the process without a word to itself: its timers, ports and
        connections are gone, and none of its code ever runs again.

        :param peers: What the other ends of its connections notice.
            ``"reset"``, as after ``kill -9`` with bytes unread; ``"close"``,
            as after ``kill -9`` without; ``"silence"``, when the whole machine
            loses power: nothing, not even a refused connection.
        """
        if self.state is HostState.CRASHED:
            raise RuntimeError(f"{self.name} has crashed already")
        self.state = HostState.CRASHED
        self.world.record(self.name, "crash")
        if peers == "silence":
            self.powered = False
            self.world.darken(self, True)
        self.reactor.die(peers)
        self.tcp_ports.clear()
        self.udp_ports.clear()

    def restart(self) -> SimReactor:
        """
        Start a new process after a crash, and the machine if it was off.

        :return: The new reactor; nothing runs on it yet.
        """
        self._must_be(HostState.CRASHED)
        if not self.powered:
            self._boot(self.wall_ticks())
            self.powered = True
            self.world.darken(self, False)
        self.state = HostState.UP
        self._start_process()
        self.world.record(self.name, "restart")
        return self.reactor

    def _must_be(self, state: HostState) -> None:
        if self.state is not state:
            raise RuntimeError(f"{self.name} is {self.state.value}, not {state.value}")

    # -- the network ----------------------------------------------------------

    def source_for(self, destination: str) -> str | None:
        """
        Which of its addresses it uses to talk to `destination`: one of the
        same family, or None when it has none.
        """
        if is_loopback(destination) or destination in self.addresses:
            return destination
        version = ":" in destination
        return next((it for it in self.addresses if (":" in it) == version), None)

    def sockets(self) -> list[str]:
        """
        What its process has open, one line each: nothing may be left after
        an orderly shutdown.
        """
        return [
            *(f"TCP port {port}" for port, _ in self.tcp_ports.owners()),
            *(f"UDP port {port}" for port, _ in self.udp_ports.owners()),
            *(repr(connection) for connection in self.reactor.connections),
        ]
