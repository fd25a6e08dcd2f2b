# -*- test-case-name: tests.testing.test_tcp -*-
"""
Simulated TCP transports: the process's half of a connection.

What a transport does, it does in turns of its reactor, and it treats its
protocol exactly as Twisted's own transports do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    IPullProducer,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from mycorrizal.testing.ports import Address
from mycorrizal.testing.segments import cut_up
from mycorrizal.testing.sockets import WINDOW_BYTES, Mark, Phase, SimSocket

if TYPE_CHECKING:
    from mycorrizal.testing.dialing import SimConnector
    from mycorrizal.testing.host import Farewell, Host
    from mycorrizal.testing.network import Link
    from mycorrizal.testing.world import World

#: Written bytes beyond which a streaming producer is paused (Twisted's).
BUFFER_BYTES = 64 * 1024


@implementer(ITCPTransport, IConsumer, IPushProducer)
class SimConnection(SimSocket):
    """
    A Twisted transport: one end of a simulated TCP connection.

    :ivar protocol: The protocol while the connection is open.
    :ivar connector: The connector at the end that dialled, else None.
    """

    __slots__ = (
        "connector",
        "protocol",
        "producer",
        "streamingProducer",
        "producerPaused",
        "connected",
        "disconnecting",
        "disconnected",
        "_reading",
        "_out",
        "_out_bytes",
        "_dirty",
        "_wakeup",
        "_half_closing",
        "_aborting",
        "_no_delay",
        "_keep_alive",
    )

    def __init__(
        self, world: World, host: Host | None, link: Link, here: Address, there: Address
    ) -> None:
        super().__init__(world, host, link, here, there)
        self.connector: SimConnector | None = None
        self.protocol: IProtocol | None = None
        self.producer: IProducer | None = None
        self.streamingProducer = self.producerPaused = False
        self.connected = self.disconnecting = self.disconnected = False
        self._reading = False
        self._out: deque[bytes | memoryview] = deque()
        self._out_bytes = 0
        self._dirty = self._wakeup = False
        self._half_closing = self._aborting = False
        self._no_delay = self._keep_alive = False

    # -- the process: reading -------------------------------------------------

    def attend(self, _: Any) -> None:
        """What the process does when the socket is readable."""
        self._noticed = False
        try:
            if self._phase is Phase.ACCEPTED:
                self._open()
            unread = self._unread
            while unread and self._reading and self._phase is Phase.OPEN:
                segment = unread.popleft()
                if isinstance(segment, bytes):
                    self._read(segment)
                elif segment is Mark.FIN:
                    self._end_of_stream()
                else:
                    self.lose(Failure(ConnectionLost()), None)
            if unread and self._out_bytes:
                self._check_reset()
        except Exception:
            failure = self.reactor.report("A protocol failed; its connection is closed")
            self.lose(failure, Mark.FIN)

    def _open(self) -> None:
        port = self._port
        if port is not None and port.stopping:
            # Nobody accepts it; it is reset when the port is closed.
            return
        self._phase = Phase.OPEN
        protocol: IProtocol | None
        if port is not None:
            port.dequeue(self)
            protocol = port.factory.buildProtocol(self._there)
        else:
            assert self.connector is not None
            protocol = self.connector.build_protocol(self._there)
        self.connected = self._reading = True
        self.protocol = protocol or Protocol()
        if protocol is None:
            self.loseConnection()
        else:
            self.protocol.makeConnection(self)

    def _read(self, data: bytes) -> None:
        unread = self._unread
        if unread and isinstance(unread[0], bytes):
            parts = [data]
            while unread and isinstance(unread[0], bytes):
                parts.append(cast(bytes, unread.popleft()))
            data = b"".join(parts)
        protocol = self.protocol
        assert protocol is not None
        if self.world.segmentation != "one-byte":
            self.peer._read_by_peer(len(data))
            protocol.dataReceived(data)
            return
        place = 0
        while place < len(data) and self._reading and self._phase is Phase.OPEN:
            place += 1
            protocol.dataReceived(data[place - 1 : place])
        if place < len(data) and self._phase is Phase.OPEN:
            unread.appendleft(data[place:])
        self.peer._read_by_peer(place)

    def _end_of_stream(self) -> None:
        half_closeable = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is None:
            self.lose(Failure(ConnectionDone()), Mark.FIN)
        else:
            self._reading = False
            half_closeable.readConnectionLost()

    def _check_reset(self) -> bool:
        if self._unread and self._unread[-1] is Mark.RST:
            self.lose(Failure(ConnectionLost()), None)
            return True
        return False

    def refused(self, _: Any) -> None:
        self.give_up(Failure(ConnectionRefusedError()))

    def give_up(self, reason: Failure) -> None:
        """End an attempt to connect."""
        if self._phase in (Phase.DIALLING, Phase.ACCEPTED):
            self.shut(Mark.RST if self._phase is Phase.ACCEPTED else None)
            self.disconnected = True
            assert self.connector is not None
            self.connector.connection_failed(reason)

    def lose(self, reason: Failure, farewell: Mark | None) -> None:
        """The connection is over: close the socket, tell everybody here."""
        if self._phase is not Phase.OPEN:
            return
        self.connected, self.disconnected = False, True
        self.shut(farewell)
        producer, self.producer = self.producer, None
        protocol, self.protocol = self.protocol, None
        try:
            if producer is not None:
                producer.stopProducing()
            if protocol is not None:
                protocol.connectionLost(reason)
        except Exception:
            self.reactor.report("A protocol failed to lose its connection")
        if self.connector is not None:
            self.connector.connection_lost(reason)

    def vanish(self, peers: Farewell) -> None:
        """The process has died; it is not told, but the other end may be."""
        self.connected, self.disconnected = False, True
        self._out.clear()
        super().vanish(peers)

    # -- the process: writing -------------------------------------------------

    def write(self, data: bytes) -> None:
        """See `ITransport.write`."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        self.writeSequence((data,))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """See `ITransport.writeSequence`."""
        if not self.connected or self._fin_sent or self._aborting:
            return
        for part in data:
            if part:
                self._out.append(part)
                self._out_bytes += len(part)
        if self._out_bytes > BUFFER_BYTES and self.streamingProducer:
            self._pause_producer()
        self._touch()

    def _pause_producer(self) -> None:
        if self.producer is not None:
            self.producerPaused = True
            cast(IPushProducer, self.producer).pauseProducing()

    def room_made(self) -> None:
        """The other end has read something; soon there is room to write."""
        if self._out_bytes and not self._wakeup and self._phase is Phase.OPEN:
            self._wakeup = True
            self.world.schedule(self.peer._link.arrival_ticks(0), self._writable)

    def _writable(self, _: Any) -> None:
        self._wakeup = False
        if self._phase is Phase.OPEN:
            self.reactor.perform(self._touch)

    def _touch(self, _: Any = None) -> None:
        if not self._dirty:
            self._dirty = True
            self.reactor.flush_soon(self)

    def flush(self) -> None:
        """What the process does when the socket is writable."""
        self._dirty = False
        if self._phase is not Phase.OPEN or self._aborting:
            return
        try:
            if not self._check_reset():
                self._flush()
        except Exception:
            failure = self.reactor.report("A producer failed; its connection is closed")
            self.lose(failure, Mark.FIN)

    def _flush(self) -> None:
        room = WINDOW_BYTES - self._in_flight
        if self._out_bytes and room > 0:
            data = self.rewritten(self._take(room))
            self._in_flight += len(data)
            for part in cut_up(data, self.world.segmentation, self.world.draw):
                self.transmit(part, len(part))
        if self._out_bytes:
            return
        producer = self.producer
        if producer is not None and (not self.streamingProducer or self.producerPaused):
            self.producerPaused = False
            cast(IPullProducer, producer).resumeProducing()
        elif self.disconnecting:
            self.lose(Failure(ConnectionDone()), Mark.FIN)
        elif self._half_closing and not self._fin_sent:
            self.transmit(Mark.FIN)
            self._fin_sent = True
            half_closeable = IHalfCloseableProtocol(self.protocol, None)
            if half_closeable is not None:
                half_closeable.writeConnectionLost()

    def _take(self, room: int) -> bytes:
        out = self._out
        if self._out_bytes <= room:
            data = b"".join(out)
            out.clear()
            self._out_bytes = 0
            return data
        self._out_bytes -= room
        parts: list[bytes | memoryview] = []
        while room:
            part = out.popleft()
            if len(part) > room:
                view = memoryview(part)
                out.appendleft(view[room:])
                part = view[:room]
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    def loseConnection(self) -> None:
        """See `ITransport.loseConnection`: flush, then an orderly end."""
        if self.connected and not self.disconnecting and not self._aborting:
            if self._fin_sent:
                self.lose(Failure(ConnectionDone()), Mark.FIN)
            else:
                self._reading = False
                self.disconnecting = True
                self._touch()

    def loseWriteConnection(self) -> None:
        """See `ITCPTransport.loseWriteConnection`."""
        self._half_closing = True
        if self.connected:
            self._touch()

    def abortConnection(self) -> None:
        """See `ITCPTransport.abortConnection`: a reset, and nothing flushed."""
        if self.disconnected or self._aborting:
            return
        self._aborting = True
        self._reading = False
        self._out.clear()
        self._out_bytes = 0
        reason = Failure(ConnectionAborted())
        self.reactor.callLater(0, self.lose, reason, Mark.RST)

    # -- IConsumer and IPushProducer ------------------------------------------

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """See `IConsumer.registerProducer`."""
        if self.producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer}, because producer"
                f" {self.producer} was never unregistered."
            )
        if self.disconnected:
            producer.stopProducing()
            return
        self.producer = producer
        self.streamingProducer = streaming
        self.producerPaused = False
        if not streaming:
            cast(IPullProducer, producer).resumeProducing()

    def unregisterProducer(self) -> None:
        """See `IConsumer.unregisterProducer`."""
        self.producer = None
        if self.connected and (self.disconnecting or self._half_closing):
            self._touch()

    def stopConsuming(self) -> None:
        """The producer has nothing more: close the connection."""
        self.unregisterProducer()
        self.loseConnection()

    def pauseProducing(self) -> None:
        """Read nothing; the window fills, and the peer has to wait."""
        self._reading = False

    def resumeProducing(self) -> None:
        """Read again."""
        if self.connected and not self.disconnecting and not self._aborting:
            self._reading = True
            if self._unread:
                self.world.schedule(self.world.now_ticks, self._readable)

    def _readable(self, _: Any) -> None:
        if self._phase is Phase.OPEN:
            self.notice()

    def stopProducing(self) -> None:
        """Close the connection."""
        self.loseConnection()

    # -- ITCPTransport: the rest ----------------------------------------------

    def getHost(self) -> Address:
        """The address of this end."""
        return self._here

    def getPeer(self) -> Address:
        """The address of the other end."""
        return self._there

    def getTcpNoDelay(self) -> bool:
        """What was set; it changes nothing here."""
        return self._no_delay

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Remembered only."""
        self._no_delay = bool(enabled)

    def getTcpKeepAlive(self) -> bool:
        """What was set; it changes nothing here."""
        return self._keep_alive

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Remembered only."""
        self._keep_alive = bool(enabled)
