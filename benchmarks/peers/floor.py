# -*- test-case-name: benchmarks.tests.test_floor -*-
"""
The floor: bare Twisted with our frame header and nothing else.

What Python and Twisted can do at best with framed messages; no membership, no
authentication, no limits. Frames are corked: all that is sent in one reactor
turn leaves in one ``transport.write``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory
from zope.interface import implementer

from benchmarks.child import fail, say
from benchmarks.peers import wire
from benchmarks.processes import Crew
from benchmarks.rows import Needed, Peer, Sample
from benchmarks.workloads import one_way as workload

#: version, type, length of what follows the header, length of the application id
HEADER = struct.Struct("<BBIH")
VERSION = 1
MESSAGE = 16
APP_ID = b"bench"

Receive = Callable[[bytes], None]


def one_way(load: workload.Load, tls: bool = False) -> Peer:
    def measure(crew: Crew) -> Sample:
        return workload.measure(crew, load, __name__, tls=tls)

    return Peer(
        name="floor",
        measure=measure,
        needs=(Needed("Twisted", module="twisted"),),
        settings=f"bare Twisted{', TLS 1.3' if tls else ''}, our frame header, one"
        " write per reactor turn, paced by IPushProducer",
    )


def receive(load: dict[str, int], tls: bool) -> None:
    from twisted.internet import reactor

    take = workload.arrivals(workload.Load(**load))
    say("ready", wire.listen(reactor, Accepting(reactor, take), tls))
    reactor.run()


def send(load: dict[str, int], address: int, tls: bool) -> None:
    from twisted.internet import reactor

    def connected(link: FramedLink) -> None:
        say("ready")
        Stream(reactor, link, workload.Load(**load)).resumeProducing()

    def failed(failure: Any) -> None:
        fail(failure.getErrorMessage())

    link = FramedLink(reactor, {})
    wire.connect(reactor, link, address, tls).addCallback(connected).addErrback(failed)
    reactor.run()


class FramedLink(Protocol):
    """One connection that carries frames to receivers by application id."""

    def __init__(self, reactor: Any, receivers: dict[bytes, Receive]) -> None:
        self._reactor = reactor
        self._receivers = receivers
        self._corked: list[bytes] = []
        self._rest = b""

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def send_message(self, app_id: bytes, payload: bytes) -> None:
        """
        Send with all the others of this reactor turn.
        """
        if not self._corked:
            self._reactor.callLater(0, self._uncork)
        app_id_length = len(app_id)
        self._corked.append(
            HEADER.pack(VERSION, MESSAGE, app_id_length + len(payload), app_id_length)
            + app_id
            + payload
        )

    def _uncork(self) -> None:
        assert self.transport is not None
        corked, self._corked = self._corked, []
        self.transport.write(b"".join(corked))

    def dataReceived(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        unpack, header_bytes, receivers = (
            HEADER.unpack_from,
            HEADER.size,
            self._receivers,
        )
        start, end_of_data = 0, len(data)
        while end_of_data - start >= header_bytes:
            _version, _type, length, app_id_length = unpack(data, start)
            body = start + header_bytes
            end = body + length
            if end > end_of_data:
                break
            payload_start = body + app_id_length
            receivers[data[body:payload_start]](data[payload_start:end])
            start = end
        self._rest = data[start:]


class Accepting(ServerFactory):
    """The listening side: each connection delivers to the same receiver."""

    noisy = False

    def __init__(self, reactor: Any, receive: Receive) -> None:
        self._reactor = reactor
        self._receive = receive

    def buildProtocol(self, addr: IAddress | None) -> FramedLink:
        return FramedLink(self._reactor, {APP_ID: self._receive})


@implementer(IPushProducer)
class Stream:
    """The sender of a load, paced by the transport alone."""

    def __init__(self, reactor: Any, link: FramedLink, load: workload.Load) -> None:
        self._reactor = reactor
        self._link = link
        self._turns = load.turns()
        self._paused = True
        self._scheduled = False
        link.transport.registerProducer(self, True)  # type: ignore[union-attr]

    def resumeProducing(self) -> None:
        self._paused = False
        if not self._scheduled:
            self._scheduled = True
            self._reactor.callLater(0, self._turn)

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._paused = True

    def _turn(self) -> None:
        self._scheduled = False
        if self._paused:
            return
        send_message = self._link.send_message
        for payload in (turn := next(self._turns, [])):
            send_message(APP_ID, payload)
        if turn:
            self.resumeProducing()
