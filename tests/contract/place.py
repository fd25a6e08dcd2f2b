"""
Where a contract is tried: two reactors, and the protocols that talk on them.

A scenario is a coroutine that is given a `Place`. It says what every Twisted
reactor promises; the same text is run on the real reactor over loopback and
on a simulated one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

Scenario = Callable[["Place"], Awaitable[None]]


class Recorder(Protocol):
    """A protocol that remembers what happened to it."""

    reason: Failure | None = None

    def __init__(self) -> None:
        self.received = bytearray()
        self.chunks = 0

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.chunks += 1

    def connectionLost(self, reason: Any = None) -> None:
        self.reason = reason

    @property
    def ended_by(self) -> type[BaseException] | None:
        """The exception that ended the connection, or None while it is open."""
        return None if self.reason is None else self.reason.type


class Echo(Recorder):
    """A recorder that also sends everything back."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        assert self.transport is not None
        self.transport.write(data)


class Mailbox(DatagramProtocol):
    """A datagram protocol that keeps what it gets."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.refused = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received.append((datagram, addr))

    def connectionRefused(self) -> None:
        self.refused += 1


class Remembering(Factory):
    """A factory that keeps the protocols it made."""

    def __init__(self, protocol: Callable[[], Recorder]) -> None:
        self.make = protocol
        self.made: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        protocol = self.make()
        protocol.factory = self
        self.made.append(protocol)
        return protocol


class Place:
    """
    Two reactors that can reach each other.

    :ivar server: Where scenarios listen.
    :ivar client: Where they dial; the same one, or another.
    :ivar address: The address of the server.
    :ivar client_address: The address of the client.
    """

    def __init__(
        self, server: Any, client: Any, address: str, client_address: str
    ) -> None:
        self.server = server
        self.client = client
        self.address = address
        self.client_address = client_address
        self._ports: list[Any] = []
        self._factories: list[Remembering] = []

    def listen(self, protocol: Callable[[], Recorder]) -> tuple[int, Remembering]:
        """Listen on a free port."""
        factory = self.remembering(protocol)
        port = self.keep(self.server.listenTCP(0, factory, interface=self.address))
        return port.getHost().port, factory

    def mailbox(self, reactor: Any, address: str, **options: Any) -> tuple[Any, Any]:
        """A UDP port on a free number, and what it gets."""
        mailbox = Mailbox()
        port = reactor.listenUDP(0, mailbox, interface=address, **options)
        return self.keep(port), mailbox

    def remembering(self, protocol: Callable[[], Recorder]) -> Remembering:
        """A factory whose protocols are closed when the scenario is over."""
        factory = Remembering(protocol)
        self._factories.append(factory)
        return factory

    def keep(self, port: Any) -> Any:
        """Close the port when the scenario is over."""
        self._ports.append(port)
        return port

    async def pair(
        self,
        server: Callable[[], Recorder] = Recorder,
        client: Callable[[], Recorder] = Recorder,
    ) -> tuple[Any, Any]:
        """Both ends of a new connection, the server's first."""
        number, factory = self.listen(server)
        near = await self.dial(number, client)
        await self.wait_for(lambda: factory.made and factory.made[0].transport)
        return factory.made[0], near

    async def dial(self, port: int, protocol: Callable[[], Recorder]) -> Any:
        """Connect to a port of the server."""
        endpoint = TCP4ClientEndpoint(self.client, self.address, port)
        return await endpoint.connect(self.remembering(protocol))

    def pause(self, seconds: float) -> Deferred[None]:
        """Let time pass."""
        return deferLater(self.client, seconds, lambda: None)

    async def wait_for(self, condition: Callable[[], object]) -> None:
        """Let time pass until the condition is true, five seconds at most."""
        deadline_s = self.client.seconds() + 5.0
        while not condition():
            assert self.client.seconds() < deadline_s, "it did not happen"
            await self.pause(0.002)

    async def clean_ports(self) -> None:
        """Stop listening everywhere."""
        ports, self._ports = self._ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)

    async def clean_up(self) -> None:
        """Close everything, and wait until it is closed."""
        await self.clean_ports()
        made = [protocol for factory in self._factories for protocol in factory.made]
        for protocol in made:
            if protocol.transport is not None and protocol.reason is None:
                protocol.transport.abortConnection()
        await self.wait_for(
            lambda: all(it.reason is not None or not it.transport for it in made)
        )
