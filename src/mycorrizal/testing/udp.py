# -*- test-case-name: tests.testing.test_udp -*-
"""
Simulated UDP: datagrams, which may be lost, doubled, overtaken or damaged.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    InvalidAddressError,
    MessageLengthError,
)
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

from mycorrizal.testing.ports import Address, address_of, mapped, unmapped

if TYPE_CHECKING:
    from mycorrizal.testing.host import Host
    from mycorrizal.testing.network import Link
    from mycorrizal.testing.reactor import SimReactor

#: The largest datagram that IPv4 carries.
DATAGRAM_BYTES_MAX = 65_507

#: Bytes that a kernel keeps for a process that does not read (Linux's).
UNREAD_BYTES_MAX = 212_992

_BROADCAST = ("<broadcast>", "255.255.255.255")


class Datagram:
    """
    One datagram on its way.

    :param link: The link it travels on; None when it is there already.
    """

    __slots__ = ("link", "source", "to", "destination", "data")

    def __init__(
        self,
        link: Link | None,
        source: tuple[str, int],
        to: Host,
        destination: tuple[str, int],
        data: bytes,
    ) -> None:
        self.link = link
        self.source = source
        self.to = to
        self.destination = destination
        self.data = data

    def send(self) -> None:
        """Put it on its link, which may do anything to it."""
        link, world = self.link, self.to.world
        if link is None or link.blocked or link.congested():
            return
        loss = world.udp_loss if link.udp_loss is None else link.udp_loss
        if loss and world.draw() < loss:
            return
        if world.udp_corrupt and self.data and world.draw() < world.udp_corrupt:
            damaged = bytearray(self.data)
            bit = int(world.draw() * len(damaged) * 8)
            damaged[bit // 8] ^= 1 << bit % 8
            self.data = bytes(damaged)
        copies = 1
        if world.udp_duplicate and world.draw() < world.udp_duplicate:
            copies = 2
        for _ in range(copies):
            world.schedule(link.arrival_ticks(len(self.data)), self.arrive)

    def arrive(self, _: Any = None) -> None:
        """It is there, unless the link was cut meanwhile."""
        to = self.to
        if not to.powered or (self.link is not None and self.link.blocked):
            return
        to.world.record(to.name, "udp", len(self.data))
        port = to.udp_ports.find(*self.destination)
        if port is not None:
            port.take(self.data, self.source)
        else:
            self._refuse()

    def _refuse(self) -> None:
        # An ICMP message, which only connected sockets hear of.
        world = self.to.world
        sender = world.locate(self.source[0], self.to)
        if self.link is not None and sender is not None:
            port = sender.udp_ports.find(*self.source)
            back = world.link(self.to, sender)
            if port is not None and not back.blocked:
                world.schedule(back.arrival_ticks(0), port.refused, self.destination)


@implementer(IUDPTransport, IListeningPort)
class SimDatagramPort:
    """
    A UDP port on a simulated host.

    :ivar interface: The address that it is bound to; ``""`` for all of IPv4,
        ``"::"`` for all.
    """

    def __init__(
        self,
        reactor: SimReactor,
        port: int,
        protocol: DatagramProtocol,
        interface: str,
        maxPacketSize: int,
    ) -> None:
        if interface and not (isIPAddress(interface) or isIPv6Address(interface)):
            raise InvalidAddressError(interface, "not an IPv4 or IPv6 address.")
        self.reactor = reactor
        self.protocol = protocol
        self.interface = "" if interface == "0.0.0.0" else interface
        self.maxPacketSize = maxPacketSize
        self._wanted = port
        self._port = 0
        self._ipv6 = ":" in interface
        self._to: tuple[str, int] | None = None
        self._broadcast = False
        self._stopping = False
        self._unread: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._unread_bytes = 0

    def __repr__(self) -> str:
        return f"<SimDatagramPort {self._port} of {self.reactor.host!r}>"

    def startListening(self) -> None:
        """See `IListeningPort.startListening`."""
        self._port = self.reactor.host.udp_ports.bind(self, self._wanted)
        self._stopping = False
        self.protocol.makeConnection(self)

    def stopListening(self) -> Deferred[None] | None:
        """See `IListeningPort.stopListening`; fires in the next turn."""
        if self._stopping or not self._port:
            return None
        self._stopping = True
        stopped: Deferred[None] = Deferred()
        self.reactor.callLater(0, self._close, stopped)
        return stopped

    loseConnection = stopListening

    def _close(self, stopped: Deferred[None]) -> None:
        self.reactor.host.udp_ports.release(self, self._port)
        self._port = 0
        self._unread.clear()
        self.protocol.doStop()
        stopped.callback(None)

    def getHost(self) -> Address:
        """The address that it is bound to."""
        return address_of("UDP", self.interface or "0.0.0.0", self._port)

    # -- sending --------------------------------------------------------------

    def write(self, packet: bytes, addr: tuple[str, int] | None = None) -> None:
        """See `IUDPTransport.write`."""
        to = self._to if addr is None else addr
        assert to is not None, "write() needs an address unless connected"
        if self._to is not None:
            assert to == self._to
        if len(packet) > DATAGRAM_BYTES_MAX:
            raise MessageLengthError("message too long")
        if to[0] in _BROADCAST and not self._ipv6:
            self._shout(packet, to[1])
            return
        self._check(to[0])
        if self._port and self.reactor.alive:
            self._send(packet, unmapped(to[0]), to[1])

    def writeSequence(
        self, seq: Iterable[bytes], addr: tuple[str, int] | None = None
    ) -> None:
        """Send the parts as one datagram."""
        self.write(b"".join(seq), addr)

    def connect(self, host: str, port: int) -> None:
        """See `IUDPTransport.connect`."""
        if self._to is not None:
            raise RuntimeError(
                "already connected, reconnecting is not currently supported"
            )
        self._check(host)
        self._to = (host, port)

    def _check(self, host: str) -> None:
        if isIPv6Address(host):
            if not self._ipv6:
                text = "IPv4 port write() called with IPv6 address"
                raise InvalidAddressError(host, text)
        elif not isIPAddress(host):
            text = "write() only accepts IP addresses, not hostnames"
            raise InvalidAddressError(host, text)
        elif self._ipv6:
            text = "IPv6 port write() called with IPv4 or broadcast address"
            raise InvalidAddressError(host, text)

    def _send(self, packet: bytes, address: str, port: int) -> None:
        here = self.reactor.host
        there = here.world.locate(address, here)
        source = self.interface
        if source in ("", "::"):
            source = here.source_for(address) or ""
        if there is not None and source:
            link = here.world.link(here, there)
            Datagram(link, (source, self._port), there, (address, port), packet).send()

    def _shout(self, packet: bytes, port: int) -> None:
        if not self._broadcast:
            raise PermissionError(errno.EACCES, "Permission denied")
        for host in self.reactor.world.hosts.values():
            address = next((it for it in host.addresses if ":" not in it), None)
            if address is not None:
                self._send(packet, address, port)

    # -- receiving ------------------------------------------------------------

    def take(self, data: bytes, source: tuple[str, int]) -> None:
        """Keep a datagram until the process reads it, if there is room."""
        if self._to is not None and source != self._to:
            return
        if self._unread_bytes + len(data) > UNREAD_BYTES_MAX:
            return
        self._unread.append((data, source))
        self._unread_bytes += len(data)
        if len(self._unread) == 1:
            self.reactor.perform(self._attend)

    def _attend(self, _: Any) -> None:
        unread = self._unread
        while unread and not self._stopping:
            data, (address, port) = unread.popleft()
            self._unread_bytes -= len(data)
            if self._ipv6:
                address = mapped(address)
            try:
                self.protocol.datagramReceived(
                    data[: self.maxPacketSize], (address, port)
                )
            except Exception:
                self.reactor.report("A datagram protocol failed")

    def refused(self, by: tuple[str, int]) -> None:
        """Nobody listens where a datagram of ours arrived."""
        if self._to == by:
            self.reactor.perform(self._tell_refused)

    def _tell_refused(self, _: Any) -> None:
        self.protocol.connectionRefused()

    # -- broadcasts -----------------------------------------------------------

    def setBroadcastAllowed(self, enabled: bool) -> None:
        """See `IUDPTransport.setBroadcastAllowed`."""
        self._broadcast = bool(enabled)

    def getBroadcastAllowed(self) -> bool:
        """See `IUDPTransport.getBroadcastAllowed`."""
        return self._broadcast
