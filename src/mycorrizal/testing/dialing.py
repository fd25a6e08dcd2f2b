# -*- test-case-name: tests.testing.test_dialing -*-
"""
How simulated TCP connections begin: ports that listen, connectors that dial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import (
    NoRouteError,
    NotConnectingError,
    TimeoutError,
    UserError,
)
from twisted.internet.interfaces import (
    IConnector,
    IDelayedCall,
    IListeningPort,
    IProtocol,
)
from twisted.internet.protocol import ClientFactory, Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from mycorrizal.testing.names import is_literal
from mycorrizal.testing.ports import Address, address_of, mapped, unmapped
from mycorrizal.testing.sockets import Mark, SimSocket
from mycorrizal.testing.tcp import SimConnection

if TYPE_CHECKING:
    from mycorrizal.testing.reactor import SimReactor


@implementer(IListeningPort)
class SimListeningPort:
    """
    A TCP port that listens on a simulated host.

    :ivar factory: Makes the protocols.
    :ivar interface: The address that it listens on; ``""`` for all of IPv4,
        ``"::"`` for all.
    :ivar stopping: Whether it accepts nothing more.
    """

    def __init__(
        self,
        reactor: SimReactor,
        port: int,
        factory: Factory[Any],
        backlog: int,
        interface: str,
    ) -> None:
        self.reactor = reactor
        self.factory = factory
        self.interface = "" if interface == "0.0.0.0" else interface
        self.stopping = False
        self._wanted = port
        self._port = 0
        self._backlog = backlog
        # Connections that the kernel has begun, as an ordered set.
        self._queue: dict[SimSocket, None] = {}

    def __repr__(self) -> str:
        return f"<SimListeningPort {self._port} of {self.reactor.host!r}>"

    def startListening(self) -> None:
        """See `IListeningPort.startListening`."""
        self._port = self.reactor.host.tcp_ports.bind(self, self._wanted)
        self.stopping = False
        self.factory.doStart()

    def stopListening(self) -> Deferred[None] | None:
        """See `IListeningPort.stopListening`; fires in the next turn."""
        if self.stopping or not self._port:
            return None
        self.stopping = True
        stopped: Deferred[None] = Deferred()
        self.reactor.callLater(0, self._close, stopped)
        return stopped

    loseConnection = stopListening

    def _close(self, stopped: Deferred[None]) -> None:
        self.reactor.host.tcp_ports.release(self, self._port)
        self._port = 0
        for socket in list(self._queue):
            socket.shut(Mark.RST)
        self.factory.doStop()
        stopped.callback(None)

    def getHost(self) -> Address:
        """The address that it listens on."""
        return address_of("TCP", self.interface or "0.0.0.0", self._port)

    # -- for the kernel -------------------------------------------------------

    def enqueue(self, socket: SimSocket) -> bool:
        """Take up a new connection; False when too many wait already."""
        if len(self._queue) >= self._backlog:
            return False
        self._queue[socket] = None
        return True

    def dequeue(self, socket: SimSocket) -> None:
        """Forget a connection that is accepted, or gone."""
        self._queue.pop(socket, None)

    def seen_by(self, here: Address, there: Address) -> tuple[Address, Address]:
        """The addresses of a connection, as this socket's family shows them."""
        if self.interface != "::":
            return here, there
        return (
            address_of("TCP", mapped(here.host), here.port),
            address_of("TCP", mapped(there.host), there.port),
        )


@implementer(IConnector)
class SimConnector:
    """
    The dialling end of one simulated TCP connection after another.

    :ivar state: ``"disconnected"``, ``"connecting"`` or ``"connected"``.
    :ivar transport: The connection, while there is one.
    """

    def __init__(
        self,
        reactor: SimReactor,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout_s: float | None,
        bind_address: tuple[str, int] | None,
    ) -> None:
        self.host = host
        self.port = port
        self.factory = factory
        self.state = "disconnected"
        self.transport: SimConnection | None = None
        self._reactor = reactor
        self._timeout_s = timeout_s
        self._bind_address = bind_address
        self._timeout: IDelayedCall | None = None
        self._factory_started = False
        self._attempt = 0

    def connect(self) -> None:
        """See `IConnector.connect`."""
        if self.state != "disconnected":
            raise RuntimeError("can't connect in this state")
        self.state = "connecting"
        self._attempt += 1
        if not self._factory_started:
            self.factory.doStart()
            self._factory_started = True
        self._reactor.callLater(0, self._resolve, self._attempt)
        if self._timeout_s is not None:
            self._timeout = self._reactor.callLater(
                self._timeout_s, self._give_up, TimeoutError()
            )
        self.factory.startedConnecting(self)

    def disconnect(self) -> None:
        """See `IConnector.disconnect`."""
        if self.state == "connecting":
            self.stopConnecting()
        elif self.transport is not None:
            self.transport.loseConnection()

    def stopConnecting(self) -> None:
        """See `IConnector.stopConnecting`."""
        if self.state != "connecting":
            raise NotConnectingError("we're not trying to connect")
        self._give_up(UserError())

    def getDestination(self) -> Address:
        """See `IConnector.getDestination`."""
        return address_of("TCP", self.host, self.port)

    def _resolve(self, attempt: int) -> None:
        if is_literal(self.host):
            self._dial(self.host, attempt)
        else:
            resolved = self._reactor.resolve(self.host)
            resolved.addCallback(self._dial, attempt)
            resolved.addErrback(self._unresolved, attempt)

    def _unresolved(self, reason: Failure, attempt: int) -> None:
        if self._dials(attempt):
            self.connection_failed(reason)

    def _dials(self, attempt: int) -> bool:
        return self.state == "connecting" and attempt == self._attempt

    def _dial(self, literal: str, attempt: int) -> None:
        if not self._dials(attempt):
            return
        reactor = self._reactor
        here, world = reactor.host, reactor.world
        there = world.locate(literal, here)
        source = here.source_for(literal)
        if source is None:
            self.connection_failed(Failure(NoRouteError()))
            return
        bound, port = self._bind_address or ("", 0)
        local = address_of("TCP", bound or source, port or here.tcp_ports.unused())
        remote = address_of("TCP", unmapped(literal), self.port)
        near = SimConnection(world, here, world.link(here, there), local, remote)
        back = near._link if there is None else world.link(there, here)
        far = SimConnection(world, there, back, remote, local)
        near.peer, far.peer = far, near
        near.connection_id = far.connection_id = world.next_connection_id()
        near.connector = self
        near.reactor = reactor
        reactor.connections[near] = None
        self.transport = near
        near.transmit(Mark.SYN)

    def _give_up(self, error: Exception) -> None:
        if self.transport is not None:
            self.transport.give_up(Failure(error))
        elif self.state == "connecting":
            self.connection_failed(Failure(error))

    # -- for the connection ---------------------------------------------------

    def build_protocol(self, address: Address) -> IProtocol | None:
        """The connection is made; None when the factory does not want it."""
        self.state = "connected"
        self._cancel_timeout()
        return self.factory.buildProtocol(address)

    def connection_failed(self, reason: Failure) -> None:
        """There will be no connection."""
        self._cancel_timeout()
        self.transport = None
        self.state = "disconnected"
        self.factory.clientConnectionFailed(self, reason)
        self._stop_factory()

    def connection_lost(self, reason: Failure) -> None:
        """The connection is over."""
        self.transport = None
        self.state = "disconnected"
        self.factory.clientConnectionLost(self, reason)
        self._stop_factory()

    def _stop_factory(self) -> None:
        if self.state == "disconnected":
            # The factory has not called connect() again.
            self.factory.doStop()
            self._factory_started = False

    def _cancel_timeout(self) -> None:
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()
        self._timeout = None
