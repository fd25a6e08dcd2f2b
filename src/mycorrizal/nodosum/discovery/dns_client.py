# -*- test-case-name: tests.nodosum.discovery.test_dns_client -*-
"""
Asking DNS servers: by UDP, and by TCP for what UDP cuts off.  (A shell.)

Each question has a port and an id of its own that nobody can foresee, and is
answered only from where it went to; nothing is open when it is over.
"""

from __future__ import annotations

import struct
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.protocol import (
    DatagramProtocol,
    Factory,
    Protocol,
    connectionDone,
)
from twisted.python.failure import Failure

from mycorrizal.nodosum.config import Address, format_address
from mycorrizal.nodosum.discovery.dns_message import (
    Malformed,
    Question,
    Rcode,
    Reply,
    decode_reply,
    encode_question,
)
from mycorrizal.runtime import Runtime

#: How long each server may take, in the first round of asking them all, in
#: the second and in the third.
TIMEOUTS_S = (1.0, 2.0, 4.0)
#: For a connection by TCP, and then for the answer on it.
TCP_TIMEOUT_S = 3.0
#: We promise nothing beyond 512 bytes; what is longer than this is cut.
DATAGRAM_BYTES_MAX = 4096
_LENGTH = struct.Struct("!H")
_CODES = frozenset(Rcode)


class DnsFailure(Exception):
    """
    A question got no answer.

    :ivar silent: Nobody said anything, so that asking again may help.
    """

    def __init__(self, problem: str, *, silent: bool = False) -> None:
        super().__init__(problem)
        self.silent = silent


class _Exchange:
    """One question to one server, and what comes back."""

    def __init__(self, server: Address, message_id: int, question: Question) -> None:
        self.server = server
        self.reply: Deferred[Reply] = Deferred()
        self.query = encode_question(message_id, question)
        self._id = message_id
        self._question = question
        self._unreadable = ""

    def received(self, data: bytes) -> None:
        """Something came; what is no reply to our question changes nothing."""
        try:
            reply = decode_reply(data, self._id, self._question)
        except Malformed as error:
            self._unreadable = str(error)
            return
        if not self.reply.called:
            self.reply.callback(reply)

    def fail(self, problem: str, *, silent: bool = False) -> None:
        """Nothing will come of it."""
        if not self.reply.called:
            name = f"DNS server {format_address(self.server)}"
            self.reply.errback(DnsFailure(f"{name} {problem}", silent=silent))

    def give_up(self) -> None:
        """It has had its time."""
        if self._unreadable:
            # Whoever sent that, the true answer may still come next time.
            problem = f"sends what is no answer ({self._unreadable})"
            self.fail(problem, silent=True)
        else:
            self.fail("does not answer", silent=True)


class _Datagrams(DatagramProtocol):
    """The socket of one question."""

    transport: Any

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    def ask(self) -> None:
        """Send it; from now on only that server is heard."""
        try:
            self.transport.connect(*self._exchange.server)
            self.transport.write(self._exchange.query)
        except OSError as error:
            self._exchange.fail(f"can't be asked: {error.strerror or error}")

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._exchange.received(datagram)

    def connectionRefused(self) -> None:
        self._exchange.fail("is not there: nobody listens on UDP")

    def stopProtocol(self) -> None:
        # Before we have closed it: epoll tells of a refusal as of a lost
        # connection.
        self.connectionRefused()


class _Stream(Protocol):
    """The connection of one question."""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange
        self._data = b""

    def connectionMade(self) -> None:
        query = self._exchange.query
        self.transport.write(_LENGTH.pack(len(query)) + query)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if len(self._data) < _LENGTH.size:
            return
        (length,) = _LENGTH.unpack_from(self._data)
        if len(self._data) >= _LENGTH.size + length:
            self._exchange.received(self._data[_LENGTH.size : _LENGTH.size + length])
            self._exchange.give_up()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._exchange.fail("closes the connection without an answer")


class DnsClient:
    """
    Asks servers in turn until one answers.

    :ivar servers: IP literals and ports, the one that answered last first.
    """

    def __init__(self, runtime: Runtime, servers: tuple[Address, ...] = ()) -> None:
        self.servers = servers
        self._runtime = runtime

    def use(self, servers: tuple[Address, ...]) -> None:
        """Ask these from now on; the order is kept if they are the same."""
        if sorted(servers) != sorted(self.servers):
            self.servers = servers

    async def ask(self, question: Question) -> Reply:
        """
        :return: What the first server answered that could: ``NOERROR`` or
            ``NXDOMAIN``.
        :raises DnsFailure: None could.
        """
        failure = DnsFailure("no DNS server is known")
        for timeout_s in TIMEOUTS_S:
            for server in self.servers:
                try:
                    reply = await self._ask(server, question, timeout_s)
                except DnsFailure as error:
                    failure = error
                    continue
                others = [other for other in self.servers if other != server]
                self.servers = (server, *others)
                return reply
            if not failure.silent:
                break
        raise DnsFailure(f"{failure}, asked for {question}", silent=failure.silent)

    async def _ask(
        self, server: Address, question: Question, timeout_s: float
    ) -> Reply:
        reply = await self._by_udp(self._exchange(server, question), timeout_s)
        if reply.truncated:
            reply = await self._by_tcp(self._exchange(server, question))
        if reply.truncated:
            place = format_address(server)
            raise DnsFailure(f"DNS server {place} cuts its answer off by TCP too")
        if reply.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
            code = reply.rcode
            said = Rcode(code).name if code in _CODES else f"code {code}"
            raise DnsFailure(f"DNS server {format_address(server)} answers {said}")
        return reply

    def _exchange(self, server: Address, question: Question) -> _Exchange:
        message_id = int.from_bytes(self._runtime.token_bytes(2), "big")
        return _Exchange(server, message_id, question)

    async def _by_udp(self, exchange: _Exchange, timeout_s: float) -> Reply:
        datagrams = _Datagrams(exchange)
        interface = "::" if ":" in exchange.server[0] else ""
        try:
            # The system gives out ports that nobody can foresee.
            port = self._runtime.reactor.listenUDP(
                0, datagrams, interface=interface, maxPacketSize=DATAGRAM_BYTES_MAX
            )
        except CannotListenError as error:
            raise DnsFailure(f"no UDP port can be opened: {error}") from None
        timer = self._runtime.call_later(timeout_s, exchange.give_up)
        try:
            datagrams.ask()
            return await exchange.reply
        finally:
            timer.cancel()
            port.stopListening()

    async def _by_tcp(self, exchange: _Exchange) -> Reply:
        host, port = exchange.server
        stream = _Stream(exchange)
        factory = Factory.forProtocol(lambda: stream)
        factory.noisy = False
        endpoint: Any = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        reactor = self._runtime.reactor
        try:
            await endpoint(reactor, host, port, timeout=TCP_TIMEOUT_S).connect(factory)
        except ConnectError:
            place = format_address(exchange.server)
            problem = f"DNS server {place} has more to say, but not by TCP"
            raise DnsFailure(problem) from None
        timer = self._runtime.call_later(TCP_TIMEOUT_S, exchange.give_up)
        try:
            return await exchange.reply
        finally:
            timer.cancel()
            transport: Any = stream.transport
            transport.abortConnection()
