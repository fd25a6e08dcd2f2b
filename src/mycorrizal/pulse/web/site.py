# -*- test-case-name: tests.pulse.web.test_site -*-
"""
HTTP itself, bounded: connections, and the size of what is sent to us.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from mycorrizal.runtime import let_go

#: Connections at once, those of viewers of the page included.
CONNECTIONS_MAX: Final = 64
#: How long a connection may be silent; who views the page is told something
#: more often.
IDLE_S: Final = 60.0


class ReadOnlyRequest(Request):
    """A request that has no body: nothing can be changed here."""

    def gotLength(self, length: int | None) -> None:
        """How long the body is that follows; None: it is not said."""
        super().gotLength(0)
        if length != 0:
            channel: Any = self.channel
            channel.transport.write(
                b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\n"
            )
            channel.loseConnection()

    def handleContentChunk(self, data: bytes) -> None:
        """Part of a body: it is dropped."""


class BoundedSite(Site):
    """
    A site that serves no more than `CONNECTIONS_MAX` connections, and logs none
    of them.
    """

    requestFactory = ReadOnlyRequest

    def __init__(self, root: IResource, reactor: Any) -> None:
        super().__init__(root, ReadOnlyRequest, timeout=IDLE_S, reactor=reactor)
        self.displayTracebacks = False
        self.noisy = False
        self.connections: set[Any] = set()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection came; None: it is closed at once."""
        if len(self.connections) >= CONNECTIONS_MAX:
            return None
        channel: Any = super().buildProtocol(addr)
        self.connections.add(channel)
        lost = channel.connectionLost

        def connection_lost(reason: Any) -> None:
            self.connections.discard(channel)
            lost(reason)

        channel.connectionLost = connection_lost
        return channel

    def close(self) -> None:
        """Close all connections."""
        for channel in sorted(self.connections, key=id):
            transport = getattr(channel, "transport", None)
            if transport is not None:
                transport.loseConnection()

    def disown(self) -> None:
        """All connections are another process's."""
        for channel in self.connections:
            let_go(getattr(channel, "transport", None))

    def log(self, request: Any) -> None:
        """Log nothing: a token may be in the address."""
