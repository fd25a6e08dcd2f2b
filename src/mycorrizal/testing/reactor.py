# -*- test-case-name: tests.testing.test_reactor -*-
"""
A Twisted reactor whose time, sockets and names are simulated.

It is as inconvenient as a real one: `SimReactor.seconds` follows the wall
clock, and so do the delayed calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHostnameResolver,
    IReactorCore,
    IReactorFromThreads,
    IReactorInThreads,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
)
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mycorrizal.testing.delayed import Agenda, SimDelayedCall
from mycorrizal.testing.dialing import SimConnector, SimListeningPort
from mycorrizal.testing.names import SimNameResolver, first_ipv4
from mycorrizal.testing.sockets import SimSocket
from mycorrizal.testing.tcp import SimConnection
from mycorrizal.testing.timeline import TICK_S, ticks_of
from mycorrizal.testing.triggers import Triggers
from mycorrizal.testing.udp import SimDatagramPort

if TYPE_CHECKING:
    from mycorrizal.runtime import Runtime
    from mycorrizal.testing.host import Farewell, Host
    from mycorrizal.testing.world import World

#: The longest that work in a thread takes.
_THREAD_S_MAX = 0.002


@implementer(
    IReactorCore,
    IReactorTime,
    IReactorTCP,
    IReactorUDP,
    IReactorFromThreads,
    IReactorInThreads,
    IReactorPluggableNameResolver,
)
class SimReactor:
    """
    The reactor of one process on a simulated host.

    Everything the process does is done in turns: a delivery or the timers
    that are due, then what was written is handed to the kernel. A process
    that is asleep has its turns later; one that is dead has none.

    :ivar host: Where it runs.
    :ivar runtime: The runtime of the process.
    :ivar asleep: Whether the process is stopped for a while.
    :ivar alive: Whether the process has not crashed.
    :ivar connections: Its TCP connections, as an ordered set.
    """

    _log = Logger()
    runtime: Runtime
    nameResolver: IHostnameResolver

    def __init__(self, world: World, host: Host) -> None:
        self.world = world
        self.host = host
        self.running = True
        self.asleep = False
        self.alive = True
        self.connections: dict[SimSocket, None] = {}
        self.nameResolver = SimNameResolver(self, world.names)
        self._agenda = Agenda(
            host.wall_ticks,
            world.stream("sched").random,
            lambda: world.steps,
            self._arm,
        )
        self._triggers = Triggers(self.report)
        self._alarm_ticks: int | None = None
        self._clock_changed = False
        self._in_turn = False
        self._unflushed: deque[SimConnection] = deque()
        self._waiting: list[tuple[Callable[[Any], object], Any]] = []

    def __repr__(self) -> str:
        return f"<SimReactor of {self.host!r}>"

    # -- turns ----------------------------------------------------------------

    def perform(self, call: Callable[[Any], object], argument: Any = None) -> None:
        """Make one turn now, or as soon as the process is awake, or never."""
        if self.asleep:
            self._waiting.append((call, argument))
            return
        if not self.alive:
            return
        self._in_turn = True
        try:
            call(argument)
        except Exception:
            self.report("Something failed in a turn of the reactor")
        unflushed = self._unflushed
        while unflushed:
            unflushed.popleft().flush()
        self._in_turn = False
        if self._clock_changed:
            # A real reactor, too, notices only when something wakes it.
            self._clock_changed = False
            self._arm()

    def flush_soon(self, connection: SimConnection) -> None:
        """Hand to the kernel what was written, at the end of this turn."""
        self._unflushed.append(connection)
        if not self._in_turn and len(self._unflushed) == 1:
            self.world.schedule(self.world.now_ticks, self._flush_outside)

    def _flush_outside(self, _: Any) -> None:
        self.perform(_nothing)

    def report(self, what: str) -> Failure:
        """Log the present exception, and let the host remember it."""
        failure = Failure()
        self.host.errors.append(failure)
        self._log.failure(what, failure)
        return failure

    def awake(self) -> None:
        """The process goes on: it finds what has happened, in any order."""
        self.asleep = False
        waiting, self._waiting = self._waiting, []
        for call, argument in waiting:
            self.world.schedule(self.world.now_ticks, _turn, (self, call, argument))
        self._alarm_ticks = None
        self._arm()

    def die(self, peers: Farewell) -> None:
        """The process is no more."""
        self.alive = self.asleep = self.running = False
        self._waiting.clear()
        self._unflushed.clear()
        self._agenda.clear()
        for connection in list(self.connections):
            connection.vanish(peers)

    # -- IReactorTime ---------------------------------------------------------

    def seconds(self) -> float:
        """Seconds on the wall clock of the host, which may step."""
        return self.host.wall_ticks() * TICK_S

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],
        *args: object,
        **kwargs: object,
    ) -> SimDelayedCall:
        """See `IReactorTime.callLater`."""
        assert delay >= 0, f"{delay} is not greater than or equal to 0 seconds"
        return self._agenda.set(delay, callable, args, kwargs)

    def getDelayedCalls(self) -> Sequence[SimDelayedCall]:
        """See `IReactorTime.getDelayedCalls`."""
        return self._agenda.calls()

    def clock_changed(self) -> None:
        """The wall clock of the host stepped or runs at another speed."""
        self._clock_changed = True

    def _arm(self) -> None:
        first = self._agenda.first_ticks() if self.alive else None
        if first is None:
            return
        at = max(self.host.ticks_at_wall(first), self.world.now_ticks)
        if self._alarm_ticks is None or at < self._alarm_ticks:
            self._alarm_ticks = at
            self.world.schedule(at, self._alarm, at)

    def _alarm(self, at: int) -> None:
        if at != self._alarm_ticks:
            # Another alarm was set for an earlier time.
            return
        if not self.asleep:
            self._alarm_ticks = None
            self.perform(self._run_due)
            self._arm()

    def _run_due(self, _: Any) -> None:
        due = self._agenda.take_due()
        now = self.host.wall_ticks()
        for delayed in due:
            if not delayed.active() or not self.alive:
                continue
            if delayed.due_ticks > now:
                self._agenda.put_back(delayed)
                continue
            try:
                delayed.fire()
            except Exception:
                self.report("A delayed call failed")
        if due:
            self.world.record(self.host.name, "timers", len(due))

    # -- IReactorTCP, IReactorUDP ---------------------------------------------

    def listenTCP(
        self,
        port: int,
        factory: Factory[Any],
        backlog: int = 50,
        interface: str = "",
    ) -> SimListeningPort:
        """See `IReactorTCP.listenTCP`."""
        listening = SimListeningPort(self, port, factory, backlog, interface)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float = 30.0,
        bindAddress: tuple[str, int] | None = None,
    ) -> SimConnector:
        """See `IReactorTCP.connectTCP`."""
        connector = SimConnector(self, host, port, factory, timeout, bindAddress)
        connector.connect()
        return connector

    def listenUDP(
        self,
        port: int,
        protocol: DatagramProtocol,
        interface: str = "",
        maxPacketSize: int = 8192,
    ) -> SimDatagramPort:
        """See `IReactorUDP.listenUDP`."""
        listening = SimDatagramPort(self, port, protocol, interface, maxPacketSize)
        listening.startListening()
        return listening

    # -- threads, of which there are none -------------------------------------

    def callFromThread(
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        """See `IReactorFromThreads.callFromThread`: the next event."""
        self.later_from_thread(0.0, callable, *args, **kwargs)

    def callInThread(
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        """See `IReactorInThreads.callInThread`: a little later, in a turn."""
        delay_s = self.world.draw() * _THREAD_S_MAX
        self.later_from_thread(delay_s, callable, *args, **kwargs)

    def later_from_thread(
        self,
        delay_s: float,
        callable: Callable[..., Any],
        *args: object,
        **kwargs: object,
    ) -> None:
        """A turn at a time that no step of the wall clock changes."""

        def call(_: Any) -> None:
            callable(*args, **kwargs)

        at = self.world.now_ticks + ticks_of(delay_s)
        self.world.schedule(at, _turn, (self, call, None))

    # -- names ----------------------------------------------------------------

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """See `IReactorPluggableNameResolver.installNameResolver`."""
        previous, self.nameResolver = self.nameResolver, resolver
        return previous

    def resolve(
        self, name: str, timeout: Sequence[int] = (1, 3, 11, 45)
    ) -> Deferred[str]:
        """See `IReactorCore.resolve`."""
        return first_ipv4(self.nameResolver, name)

    # -- IReactorCore ---------------------------------------------------------

    def callWhenRunning(
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        """Call it now; a simulated reactor always runs."""
        callable(*args, **kwargs)

    def addSystemEventTrigger(
        self,
        phase: str,
        eventType: str,
        callable: Callable[..., Any],
        *args: object,
        **kwargs: object,
    ) -> Any:
        """See `IReactorCore.addSystemEventTrigger`."""
        return self._triggers.add(phase, eventType, callable, args, kwargs)

    def removeSystemEventTrigger(self, triggerID: Any) -> None:
        """See `IReactorCore.removeSystemEventTrigger`."""
        self._triggers.remove(triggerID)

    def fireSystemEvent(self, eventType: str) -> None:
        """See `IReactorCore.fireSystemEvent`; nothing happens by itself."""
        self._triggers.fire(eventType)

    def run(self) -> NoReturn:
        """Refused: the world runs."""
        self._refuse("run")

    def stop(self) -> NoReturn:
        """Refused: the process ends with `Host.crash`."""
        self._refuse("stop")

    def crash(self) -> NoReturn:
        """Refused: the process ends with `Host.crash`."""
        self._refuse("crash")

    def iterate(self, delay: float = 0.0) -> NoReturn:
        """Refused: the world runs."""
        self._refuse("iterate")

    def _refuse(self, what: str) -> NoReturn:
        raise RuntimeError(
            f"A simulated reactor cannot {what}: use World.advance or World.until"
            " to run it, fireSystemEvent('shutdown') to shut its services down,"
            " and Host.crash to end it"
        )


def _turn(what: tuple[SimReactor, Callable[[Any], object], Any]) -> None:
    reactor, call, argument = what
    reactor.perform(call, argument)


def _nothing(_: Any) -> None:
    pass
