# -*- test-case-name: tests.testing.test_tcp -*-
"""
The kernel's half of a simulated TCP connection.

It works whenever the machine is on, also while the process is stopped: it
shakes hands, takes bytes until the window is full, and answers for processes
that are gone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any

from mycorrizal.testing.ports import Address
from mycorrizal.testing.timeline import ticks_of

if TYPE_CHECKING:
    from mycorrizal.testing.dialing import SimListeningPort
    from mycorrizal.testing.host import Farewell, Host
    from mycorrizal.testing.network import Link
    from mycorrizal.testing.reactor import SimReactor
    from mycorrizal.testing.world import World

#: Bytes that are on their way or wait unread at the other end, at most.
WINDOW_BYTES = 64 * 1024

#: When a SYN that found a full backlog is sent again.
SYN_AGAIN_S = 1.0

#: With random segmentation, how often bytes wait for those behind them.
_JOINED = 0.25


class Mark(Enum):
    """What travels on a connection besides bytes."""

    SYN = "syn"
    SYN_ACK = "syn-ack"
    ACK = "ack"
    FIN = "fin"
    RST = "rst"


class Phase(Enum):
    """How far one end of a connection is."""

    DIALLING = "dialling"
    #: The kernels have shaken hands; the process has not looked yet.
    ACCEPTED = "accepted"
    OPEN = "open"
    CLOSED = "closed"


_FAREWELLS = {"reset": Mark.RST, "close": Mark.FIN, "silence": None}


class SimSocket(ABC):
    """
    One end of a simulated TCP connection, as the kernel sees it.

    :param host: Where it is; None for an address where there is no host.
    :param link: The link towards the other end.
    :param here: The address of this end.
    :param there: The address of the other end.
    :ivar reactor: The process it belongs to; at the end that listens only
        from the first contact on.
    :ivar connection_id: A number that is the same at both ends, and no other
        connection's.
    :ivar peer: The other end, whatever has become of it.
    """

    __slots__ = (
        "world",
        "host",
        "reactor",
        "peer",
        "connection_id",
        "_port",
        "_here",
        "_there",
        "_link",
        "_phase",
        "_wire",
        "_stalled",
        "_lands_at",
        "_unread",
        "_noticed",
        "_in_flight",
        "_fin_sent",
        # As Twisted's: code may mark a transport, or refer to it weakly.
        "__dict__",
        "__weakref__",
    )

    reactor: SimReactor
    peer: SimSocket

    def __init__(
        self, world: World, host: Host | None, link: Link, here: Address, there: Address
    ) -> None:
        self.world = world
        self.host = host
        self.connection_id = 0
        self._port: SimListeningPort | None = None
        self._here = here
        self._there = there
        self._link = link
        self._phase = Phase.DIALLING
        # Towards this end: what is on its way, and what waits to be read.
        self._wire: deque[bytes | Mark] = deque()
        self._stalled = 0
        self._lands_at = 0
        self._unread: deque[bytes | Mark] = deque()
        self._noticed = False
        # From this end: bytes that the other one has not read.
        self._in_flight = 0
        self._fin_sent = False

    def __repr__(self) -> str:
        here, there = self._here, self._there
        return (
            f"<{type(self).__name__} {self.connection_id} {here.host}:{here.port}"
            f" to {there.host}:{there.port}, {self._phase.value}>"
        )

    @abstractmethod
    def attend(self, _: Any) -> None:
        """Called in a turn of the process: something can be read."""

    @abstractmethod
    def refused(self, _: Any) -> None:
        """Called in a turn of the process: nobody listens over there."""

    @abstractmethod
    def room_made(self) -> None:
        """Called when the other end has read something."""

    # -- the wire -------------------------------------------------------------

    def transmit(self, segment: bytes | Mark, size: int = 0) -> None:
        """Put a segment on the wire, behind what is there already."""
        peer, link = self.peer, self._link
        if link.blocked:
            if segment is not Mark.RST:
                # A reset is never sent again; all else is, until it arrives.
                peer._wire.append(segment)
                peer._stalled += 1
                link.stall(peer)
            return
        peer._wire.append(segment)
        peer._lands_at = max(peer._lands_at, link.arrival_ticks(size))
        self.world.schedule(peer._lands_at, peer.arrive)

    def unstall(self, delay_ticks: int) -> None:
        """The link to this end works again: what waited is sent again."""
        stalled, self._stalled = self._stalled, 0
        inbound = self.peer._link
        for _ in range(stalled):
            at = inbound.arrival_ticks(0) + delay_ticks
            self._lands_at = max(self._lands_at, at)
            self.world.schedule(self._lands_at, self.arrive)

    def arrive(self, _: Any = None) -> None:
        """The next segment is here, unless the link is blocked by now."""
        inbound = self.peer._link
        if inbound.blocked:
            if self._wire[0] is Mark.RST:
                self._wire.popleft()
            else:
                self._stalled += 1
                inbound.stall(self)
            if self._unread:
                # Do not let what has arrived wait for what has not.
                self.notice()
            return
        segment = self._wire.popleft()
        if isinstance(segment, bytes):
            self._arrived_data(segment)
        else:
            self._arrived_mark(segment)

    def _arrived_data(self, data: bytes) -> None:
        self._record("tcp", len(data))
        if self._phase is Phase.CLOSED:
            self.transmit(Mark.RST)
            return
        self._unread.append(data)
        world = self.world
        if world.segmentation == "random" and self._wire and world.draw() < _JOINED:
            # Read together with what comes next.
            return
        self.notice()

    def _arrived_mark(self, mark: Mark) -> None:
        self._record(mark.value)
        if mark is Mark.SYN:
            self._syn()
        elif self._phase is Phase.CLOSED:
            if mark is Mark.SYN_ACK:
                self.transmit(Mark.RST)
        elif mark is Mark.SYN_ACK:
            self.transmit(Mark.ACK)
            self._phase = Phase.ACCEPTED
            self.notice()
        elif mark is Mark.ACK:
            self._phase = Phase.ACCEPTED
            self.notice()
        elif mark is Mark.RST and self._phase is Phase.DIALLING:
            if self._port is None:
                self.reactor.perform(self.refused)
            else:
                self.shut(None)
        else:
            self._unread.append(mark)
            self.notice()

    def rewritten(self, data: bytes) -> bytes:
        """What somebody on the way makes of bytes that leave now."""
        rewrite = self._link.rewrite
        if rewrite is None:
            return data
        changed = rewrite(self.connection_id, data)
        if len(changed) != len(data):
            raise ValueError(f"{len(data)} bytes were made {len(changed)}")
        if changed != data:
            self.world.rewritten.add(self.connection_id)
        return changed

    def forged_reset(self) -> None:
        """Somebody on the way says that the other end has reset it."""
        if self._phase in (Phase.ACCEPTED, Phase.OPEN):
            self._arrived_mark(Mark.RST)

    def _syn(self) -> None:
        if self.peer._phase is Phase.CLOSED:
            self._phase = Phase.CLOSED
            return
        host = self.host
        assert host is not None, "nothing arrives where there is no host"
        port = host.tcp_ports.find(self._here.host, self._here.port)
        if port is None:
            self._phase = Phase.CLOSED
            self.transmit(Mark.RST)
        elif not port.enqueue(self):
            self._wire.appendleft(Mark.SYN)
            again = self.world.now_ticks + ticks_of(SYN_AGAIN_S)
            self.world.schedule(again, self.arrive)
        else:
            self._port = port
            self.reactor = port.reactor
            self.reactor.connections[self] = None
            self._here, self._there = port.seen_by(self._here, self._there)
            self.transmit(Mark.SYN_ACK)

    def notice(self) -> None:
        """Let the process attend to this socket, when it is awake."""
        if self.reactor.asleep:
            if self._noticed:
                return
            self._noticed = True
        self.reactor.perform(self.attend)

    def _record(self, kind: str, size: int = 0) -> None:
        if self.host is not None:
            self.world.record(self.host.name, kind, size)

    def shut(self, farewell: Mark | None) -> None:
        """Close the socket; nothing is delivered any more."""
        if self._phase is Phase.CLOSED:
            return
        self._phase = Phase.CLOSED
        if farewell is Mark.RST or (farewell is Mark.FIN and not self._fin_sent):
            self.transmit(farewell)
        if farewell is Mark.FIN and any(isinstance(it, bytes) for it in self._unread):
            # Closed with bytes unread: the kernel says so (RFC 2525, 2.17).
            self.transmit(Mark.RST)
        self._unread.clear()
        if self._port is not None:
            self._port.dequeue(self)
        self.reactor.connections.pop(self, None)

    def vanish(self, peers: Farewell) -> None:
        """The process has died; it is not told, but the other end may be."""
        self.shut(_FAREWELLS[peers])

    def _read_by_peer(self, size: int) -> None:
        self._in_flight -= size
        self.room_made()
